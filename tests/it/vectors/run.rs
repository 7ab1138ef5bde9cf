//! Puts one case through the crate and writes down what came out, in the form of `expect`.
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use subrosa::{
    protocol::public_key::PublicKey,
    sealed::{
        Body, Card, Certificate, Fingerprint, InviteKind, Link, OwnerChain, Plain, RoomSecret, SealedError,
        VerifyingKey, View,
        encoding::{array_from_base64, from_base64, to_base64},
        json, message, name, padding,
    },
};

use super::keys::Keys;

/// The files, each named for its object.
pub(crate) const OBJECTS: [&str; 12] = [
    "base64",
    "json",
    "name",
    "padding",
    "bucket",
    "fingerprint",
    "view",
    "certificate",
    "chain",
    "card",
    "link",
    "message",
];

/// `{"ok": …}` or `{"error": id}`.
pub(crate) fn outcome(object: &str, case: &Value, keys: &Keys) -> Value {
    let result = match object {
        "base64" => from_base64(text(case, "text")).map(|bytes| json!(hex(&bytes))),
        "json" => json::check(&bytes(case, "document")).map(|()| json!({})),
        "name" => name::check_name(text(case, "text")).map(|()| json!({})),
        "padding" => padding::unpad(&bytes(case, "padded")).map(|data| json!(to_base64(data))),
        "bucket" => Ok(json!(padding::bucket(number(case, "length"), number(case, "least")))),
        "fingerprint" => fingerprint(case),
        "view" => view(case),
        "certificate" => certificate(case),
        "chain" => chain(case),
        "card" => card(case),
        "link" => Link::parse(text(case, "url")).map(|link| show_link(&link)),
        "message" => open_message(case, keys),
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
    VerifyingKey::from_bytes(array_from_base64(text(case, name)).expect("32 bytes"))
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

fn view(case: &Value) -> Result<Value, SealedError> {
    let members = case["members"].as_array().expect("members").iter();
    let members = members.map(|member| Fingerprint::from_base64(member.as_str().expect("text")));
    let owner = Fingerprint::from_base64(text(case, "owner"))?;
    Ok(json!(View::of(owner, members.collect::<Result<Vec<_>, _>>()?).to_base64()))
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
    })
}

fn certificate(case: &Value) -> Result<Value, SealedError> {
    let certificate = Certificate::from_bytes(&bytes(case, "certificate"))?;
    certificate.verify(&key(case, "root"), &key(case, "owner"))?;
    Ok(show_certificate(&certificate))
}

fn show_owners(chain: &OwnerChain) -> Vec<String> {
    chain.owners().map(|owner| to_base64(owner.as_bytes())).collect()
}

fn chain(case: &Value) -> Result<Value, SealedError> {
    Ok(json!({ "owners": show_owners(&OwnerChain::from_bytes(key(case, "root"), &bytes(case, "chain"))?) }))
}

fn card(case: &Value) -> Result<Value, SealedError> {
    let public_key = PublicKey::from_pem(text(case, "public_key_pem")).expect("PEM");
    let card = Card::open(text(case, "card"), &public_key, &key(case, "root"), &secret(case))?;
    let mut shown = json!({
        "name": card.name,
        "key": to_base64(card.key.as_bytes()),
        "fingerprint": card.fingerprint().to_base64(),
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
        "owners": show_owners(&link.chain),
    })
}

fn open_message(case: &Value, keys: &Keys) -> Result<Value, SealedError> {
    let me = keys.identity(text(case, "recipient"));
    let root = key(case, "root");
    let signed = message::open(text(case, "content"), text(case, "shared"), me, &root, &secret(case))?;
    let plain = Plain::parse(signed.verify(&root, &key(case, "sender_key"))?)?;
    plain.check_recipient(me.fingerprint())?;
    let mut shown = json!({ "n": plain.n, "at": plain.at, "view": plain.view.to_base64() });
    if let Some(to) = plain.to {
        shown["to"] = json!(to.to_base64());
    }
    let (kind, body) = match &plain.body {
        Body::Text(text) => ("text", json!(text.as_str())),
        Body::Secret(new) => (
            "secret",
            json!({
                "epoch": new.secret.epoch(),
                "secret": to_base64(new.secret.expose()),
                "removed": new.removed.iter().map(|member| member.to_base64()).collect::<Vec<_>>(),
                "chain": to_base64(&new.chain),
            }),
        ),
        Body::Succession { chain, transfer } => {
            ("succession", json!({ "chain": to_base64(chain), "transfer": transfer }))
        }
        Body::Void => ("void", Value::Null),
        Body::Unknown(_) => ("unknown", Value::Null),
    };
    shown["type"] = json!(kind);
    shown["body"] = body;
    Ok(shown)
}
