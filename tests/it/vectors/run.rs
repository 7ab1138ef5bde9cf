//! Puts one case through the crate and writes down what came out, in the form of `expect`.
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use subrosa::sealed::{
    Card, Certificate, EpochKeys, Fingerprint, InviteKind, Link, Note, OwnerChain, Plain, RoomSecret, SealedError,
    VerifyingKey, View,
    chain::Right,
    encoding::{array_from_base64, from_base64, to_base64},
    hand::{self, Between, Content, Position},
    json,
    message::{Part, Shared},
    name,
    note::Lacks,
    padding,
    step::ChainKey,
};

use super::keys::Keys;

/// The files, each named for its object.
pub(crate) const OBJECTS: [&str; 20] = [
    "base64",
    "json",
    "name",
    "skeleton",
    "padding",
    "bucket",
    "fingerprint",
    "key",
    "signature",
    "view",
    "chain",
    "proof",
    "certificate",
    "card",
    "link",
    "step",
    "hand",
    "message",
    "private",
    "note",
];

/// `{"ok": …}` or `{"error": id}`.
pub(crate) fn outcome(object: &str, case: &Value, keys: &Keys) -> Value {
    let result = match object {
        "base64" => from_base64(text(case, "text")).map(|bytes| json!(hex(&bytes))),
        "json" => json::check(&bytes(case, "document")).map(|()| json!({})),
        "name" => name::check_name(text(case, "text")).map(|()| json!({})),
        "skeleton" => Ok(json!(name::skeleton(text(case, "text")))),
        "padding" => padding::unpad(&bytes(case, "padded")).map(|data| json!(to_base64(data))),
        "bucket" => Ok(json!(padding::bucket(number(case, "length"), number(case, "least")))),
        "fingerprint" => fingerprint(case),
        "key" => VerifyingKey::from_bytes(array_from_base64(text(case, "key")).expect("32 bytes")).map(|_| json!({})),
        "signature" => key(case, "key").verify(&bytes(case, "message"), &bytes(case, "signature")).map(|()| json!({})),
        "view" => view(case),
        "chain" => chain(case).map(|chain| show_chain(&chain)),
        "proof" => proof(case),
        "certificate" => certificate(case),
        "card" => card(case),
        "link" => Link::parse(text(case, "url")).map(|link| show_link(&link)),
        "step" => Ok(step(case)),
        "hand" => open_hand(case, keys),
        "message" => open_message(case),
        "private" => open_private(case, keys),
        "note" => open_note(case),
        _ => panic!("no such object: {object}"),
    };
    match result {
        Ok(value) => json!({ "ok": value }),
        Err(error) => json!({ "error": error.id() }),
    }
}

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap_or_else(|| panic!("{name} in {}", case["name"]))
}

fn number(case: &Value, name: &str) -> usize {
    usize::try_from(case[name].as_u64().expect("a number")).expect("a size")
}

fn bytes(case: &Value, name: &str) -> Vec<u8> {
    from_base64(text(case, name)).expect("base64")
}

fn key(case: &Value, name: &str) -> VerifyingKey {
    VerifyingKey::from_bytes(array_from_base64(text(case, name)).expect("32 bytes")).expect("a key")
}

fn secret(case: &Value) -> RoomSecret {
    let epoch = u32::try_from(case["epoch"].as_u64().expect("epoch")).expect("32 bits");
    RoomSecret::from_slice(epoch, &bytes(case, "secret")).expect("32 bytes")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn fingerprint(case: &Value) -> Result<Value, SealedError> {
    let fingerprint = key(case, "key").fingerprint();
    Ok(json!({
        "fingerprint": fingerprint.to_base64(),
        "groups": fingerprint.groups(),
        "words": fingerprint.words(),
    }))
}

fn epoch_keys(case: &Value) -> EpochKeys {
    secret(case).keys().expect("keys")
}

fn view(case: &Value) -> Result<Value, SealedError> {
    let members = case["members"].as_array().expect("members").iter();
    let members = members.map(|member| Fingerprint::from_base64(member.as_str().expect("text")));
    let owner = Fingerprint::from_base64(text(case, "owner"))?;
    let view = View::of(owner, &epoch_keys(case), members.collect::<Result<Vec<_>, _>>()?);
    Ok(json!(to_base64(view.as_bytes())))
}

fn show_certificate(certificate: &Certificate) -> Value {
    json!({
        "epoch": certificate.epoch,
        "id": to_base64(&certificate.id),
        "kind": match certificate.kind {
            InviteKind::OneTime => "one-time",
            InviteKind::Forever => "forever",
        },
        "expiry": certificate.expiry,
        "links": certificate.links,
    })
}

fn chain(case: &Value) -> Result<OwnerChain, SealedError> {
    OwnerChain::from_bytes(key(case, "root"), &bytes(case, "chain"))
}

fn show_chain(chain: &OwnerChain) -> Value {
    let links = chain.links().iter().map(|link| {
        let right = match link.right {
            Right::HandOver => "hand-over",
            Right::Heir => "heir",
        };
        json!({ "key": to_base64(link.key.as_bytes()), "right": right, "epoch": link.epoch })
    });
    json!({ "links": links.collect::<Vec<_>>() })
}

fn proof(case: &Value) -> Result<Value, SealedError> {
    let members: Vec<_> =
        bytes(case, "members").as_chunks::<32>().0.iter().copied().map(Fingerprint::from_bytes).collect();
    let proof = bytes(case, "proof").try_into().map_err(|_| SealedError::Length)?;
    chain(case)?.check_proof(&secret(case), &members, &proof)?;
    Ok(json!({}))
}

fn certificate(case: &Value) -> Result<Value, SealedError> {
    let certificate = Certificate::from_bytes(&bytes(case, "certificate"))?;
    certificate.verify(&chain(case)?)?;
    Ok(show_certificate(&certificate))
}

fn card(case: &Value) -> Result<Value, SealedError> {
    let card = Card::open(text(case, "card"), &key(case, "root"), &epoch_keys(case))?;
    let mut shown = json!({
        "name": card.name,
        "key": to_base64(card.key.as_bytes()),
        "fingerprint": card.fingerprint().to_base64(),
        "leaf_generation": card.leaf.generation,
        "leaf": to_base64(&card.leaf.key[..]),
    });
    if let Some(invite) = &card.invite {
        shown["invite"] = show_certificate(invite);
    }
    Ok(shown)
}

fn show_link(link: &Link) -> Value {
    json!({
        "host": link.server.authority.url_host(),
        "port": link.server.authority.port(),
        "pin": link.server.pin.map(|pin| pin.to_string()),
        "room_id": link.room_id,
        "join_key": link.join_key.expose_secret(),
        "epoch": link.secret.epoch(),
        "secret": to_base64(link.secret.expose()),
        "root": to_base64(link.root().as_bytes()),
        "room_name": link.room_name,
        "certificate": show_certificate(&link.certificate),
        "owners": link.chain.owners().map(|owner| to_base64(owner.as_bytes())).collect::<Vec<_>>(),
    })
}

fn step(case: &Value) -> Value {
    let okm = super::make::derive(&bytes(case, "chain_key"), b"subrosa v2 step", 108);
    // The library shows no keys: that it takes the same step shows in the messages.
    ChainKey::from_slice(&bytes(case, "chain_key")).and_then(|key| key.step()).expect("a step");
    json!({
        "next": to_base64(&okm[..32]),
        "key": to_base64(&okm[32..64]),
        "nonce": to_base64(&okm[64..76]),
        "commit": to_base64(&okm[76..]),
    })
}

fn open_hand(case: &Value, keys: &Keys) -> Result<Value, SealedError> {
    let Content::Hand(sealed) = Content::parse(text(case, "content"))? else {
        return Err(SealedError::Kind);
    };
    let (me, sender, root) = (&keys.0[text(case, "recipient")], key(case, "sender_key"), key(case, "root"));
    let keys = epoch_keys(case);
    let between = Between { root: &root, keys: &keys, from: sender.fingerprint(), to: me.identity.fingerprint() };
    let field = |name| u32::try_from(number(case, name)).expect("32 bits");
    let at = Position { generation: field("generation"), index: field("index") };
    let hand = hand::open_hand(&sealed, &me.leaf(), &between, &sender, at)?;
    Ok(json!({ "said": hand.said, "chain_key": to_base64(hand.key.expose()) }))
}

fn open_message(case: &Value) -> Result<Value, SealedError> {
    let shared = Shared::parse(text(case, "shared"))?;
    let (sender, root) = (key(case, "sender_key"), key(case, "root"));
    let (_, step) = ChainKey::from_slice(&bytes(case, "chain_key"))?.step()?;
    let plain = Plain::parse(sender.fingerprint(), &shared.open_room(&step, &root, &sender)?)?;
    plain.check_recipient(None)?;
    Ok(show_plain(&plain))
}

fn open_private(case: &Value, keys: &Keys) -> Result<Value, SealedError> {
    let shared = Shared::parse(text(case, "shared"))?;
    let Content::Private(sealed) = Content::parse(text(case, "content"))? else {
        return Err(SealedError::Kind);
    };
    if shared.part != Part::Private {
        return Err(SealedError::Kind);
    }
    let (me, sender, root) = (&keys.0[text(case, "recipient")], key(case, "sender_key"), key(case, "root"));
    // The psk is that of the epoch that the message names.
    let keys = RoomSecret::from_slice(shared.epoch, &bytes(case, "secret"))?.keys()?;
    let between = Between { root: &root, keys: &keys, from: sender.fingerprint(), to: me.identity.fingerprint() };
    let (_, step) = hand::open_private(&sealed, &me.leaf(), &between)?.step()?;
    let plain = Plain::parse(sender.fingerprint(), &shared.open_private(&step, &between, &sender)?)?;
    plain.check_recipient(Some(me.identity.fingerprint()))?;
    Ok(show_plain(&plain))
}

fn show_plain(plain: &Plain) -> Value {
    let core = &plain.core;
    let after = plain
        .extra
        .after
        .iter()
        .map(|after| json!({ "author": to_base64(&after.author), "n": after.n, "said": to_base64(&after.said.0) }));
    let mut shown = json!({
        "n": core.n,
        "at": core.at,
        "type": core.body.kind().unwrap_or("unknown"),
        "body": core.body.kind().map(|_| serde_json::to_value(&core.body).expect("JSON")),
        "said": to_base64(&plain.said.0),
        "view": to_base64(plain.extra.view.as_bytes()),
        "after": after.collect::<Vec<_>>(),
    });
    if let Some(to) = core.to {
        shown["to"] = json!(to.to_base64());
    }
    if let Some(gone) = core.gone {
        shown["gone"] = json!(gone);
    }
    if let Some(settings) = core.settings {
        shown["timer"] = json!(settings.gone);
        shown["marks"] = json!(settings.marks);
    }
    if core.quiet {
        shown["quiet"] = json!(true);
    }
    if core.body.kind() == Some("piece") {
        shown["bytes"] = json!(to_base64(&plain.bytes));
    }
    shown
}

fn open_note(case: &Value) -> Result<Value, SealedError> {
    let note = Note::open(text(case, "shared"), &key(case, "sender_key"), &key(case, "root"), &epoch_keys(case))?;
    Ok(json!({
        "to": note.to.iter().map(|member| member.to_base64()).collect::<Vec<_>>(),
        "epoch": note.epoch,
        "lacks": match note.lacks {
            Lacks::Secret => "secret",
            Lacks::Chain => "chain",
        },
        "leaf_generation": note.leaf.generation,
        "leaf": to_base64(&note.leaf.key[..]),
    }))
}
