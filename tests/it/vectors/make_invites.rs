//! Builds owner chains, proofs, certificates, links and cards.
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use subrosa::protocol::pin::Pin;
use subrosa::sealed::{
    Card, Certificate, Fingerprint, Identity, InviteKind, Link, OwnerChain, RoomSecret, Server, VerifyingKey,
    chain::Right,
    encoding::{length_prefixed, to_base64},
};

use super::{
    keys::{Keys, Member},
    make::{bad, cut, file, flip, good, key_text, room, room_secret, sha256, with, with_head},
    seeded::Seeded,
};

/// The files.
pub(crate) fn all(keys: &Keys) -> Vec<(&'static str, Value)> {
    vec![
        file("chain", "Chains of owners.", chain_cases(keys)),
        file("proof", "Owners' proofs of epochs.", proof_cases(keys)),
        file("certificate", "Invite certificates.", certificate_cases(keys)),
        file("card", "Member cards.", card_cases(keys)),
        file("link", "Invite links.", link_cases(keys)),
    ]
}

fn identities<'a, const N: usize>(keys: &'a Keys, names: [&str; N]) -> [&'a Identity; N] {
    names.map(|name| keys.identity(name))
}

/// alice → bob (hand-over, epoch 1) → carol (heir, epoch 4).
fn chain_of_three(keys: &Keys) -> [OwnerChain; 3] {
    let [alice, bob, carol] = identities(keys, ["alice", "bob", "carol"]);
    let none = OwnerChain::new(*alice.verifying_key());
    let one = none.handed_to(alice, *bob.verifying_key(), Right::HandOver, 1).expect("signed");
    let two = one.handed_to(bob, *carol.verifying_key(), Right::Heir, 4).expect("signed");
    [none, one, two]
}

fn chain_cases(keys: &Keys) -> Vec<Value> {
    let [alice, bob, carol] = identities(keys, ["alice", "bob", "carol"]);
    let root = *alice.verifying_key();
    let [_, one, two] = chain_of_three(keys);
    let case = |bytes: &[u8]| json!({ "root": key_text(&root), "chain": to_base64(bytes) });
    let show = |links: &[(&Identity, &str, u32)]| {
        let links = links.iter().map(
            |(owner, right, epoch)| json!({ "key": key_text(owner.verifying_key()), "right": right, "epoch": epoch }),
        );
        json!({ "links": links.collect::<Vec<_>>() })
    };
    let bytes = two.to_bytes();
    let flipped = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x10;
        case(&bytes)
    };
    let set = |at: usize, to: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = to;
        case(&bytes)
    };
    let back = one.handed_to(bob, root, Right::HandOver, 2).expect("signed");
    let replayed = [back.to_bytes(), one.to_bytes()].concat();
    let falling = one.handed_to(bob, *carol.verifying_key(), Right::Heir, 0).expect("signed");
    let mut weak = [0; 32];
    weak[0] = 1;
    vec![
        good("the creator", case(&[]), show(&[])),
        good("one hand-over", case(&one.to_bytes()), show(&[(bob, "hand-over", 1)])),
        good("a hand-over and an heir", case(&bytes), show(&[(bob, "hand-over", 1), (carol, "heir", 4)])),
        good("there and back", case(&back.to_bytes()), show(&[(bob, "hand-over", 1), (alice, "hand-over", 2)])),
        bad("there and back, and the first hand-over once more", case(&replayed), "bad-chain"),
        bad("an epoch falls", case(&falling.to_bytes()), "bad-chain"),
        bad("first key changed", flipped(0), "bad-chain"),
        bad("first kind changed", set(32, 2), "bad-chain"),
        bad("first epoch changed", flipped(36), "bad-chain"),
        bad("first signature changed", flipped(40), "bad-chain"),
        bad("last key changed", flipped(101), "bad-chain"),
        bad("last signature changed", flipped(201), "bad-chain"),
        bad("unknown kind", set(32, 3), "bad-kind"),
        bad("a weak key", case(&[&weak[..], &bytes[32..]].concat()), "bad-key"),
        bad("order changed", case(&[&bytes[101..], &bytes[..101]].concat()), "bad-chain"),
        bad("first link missing", case(&bytes[101..]), "bad-chain"),
        bad("cut short", case(&bytes[..201]), "bad-length"),
        bad("33 links", case(&vec![0; 33 * 101]), "bad-length"),
        bad("another room", with(&case(&bytes), "root", json!(key_text(bob.verifying_key()))), "bad-chain"),
    ]
}

fn prints(members: &[Fingerprint]) -> Vec<u8> {
    members.iter().flat_map(|member| *member.as_bytes()).collect()
}

fn proof_cases(keys: &Keys) -> Vec<Value> {
    let [alice, bob] = identities(keys, ["alice", "bob"]);
    let [none, one, _] = chain_of_three(keys);
    let mut members: Vec<_> = ["alice", "bob", "carol"].iter().map(|name| keys.identity(name).fingerprint()).collect();
    members.sort_unstable();
    let case = |signer: &str, owner: &Identity, chain: &OwnerChain, epoch: u32| {
        let secret = room_secret(epoch);
        let statement = length_prefixed(&[
            b"subrosa v2 epoch",
            chain.root().as_bytes(),
            &sha256(&chain.to_bytes()),
            &epoch.to_be_bytes(),
            &sha256(secret.expose()),
            &sha256(&prints(&members)),
        ]);
        let mut case = room(chain.root(), &secret);
        case["signer"] = json!(signer);
        case["chain"] = json!(to_base64(&chain.to_bytes()));
        case["members"] = json!(to_base64(&prints(&members)));
        case["proof"] = json!(to_base64(&owner.sign(&statement).expect("signed")));
        case
    };
    let base = case("alice", alice, &none, 1);
    let proof = base["proof"].as_str().expect("text").to_owned();
    vec![
        good("by the creator", base.clone(), json!({})),
        good("by a later owner", case("bob", bob, &one, 2), json!({})),
        bad("by somebody else", case("bob", bob, &none, 1), "bad-signature"),
        bad("by a former owner", case("alice", alice, &one, 1), "bad-signature"),
        bad("changed", with(&base, "proof", json!(flip(&proof, 5))), "bad-signature"),
        bad("another epoch", with(&base, "epoch", json!(2)), "bad-signature"),
        bad("another secret", with(&base, "secret", json!(to_base64(room_secret(2).expose()))), "bad-signature"),
        bad("a member fewer", with(&base, "members", json!(to_base64(&prints(&members[1..])))), "bad-signature"),
        bad("another history", with(&base, "chain", json!(to_base64(&one.to_bytes()))), "bad-signature"),
    ]
}

/// A certificate made from the seed `label`.
fn certificate(owner: &Identity, chain: &OwnerChain, epoch: u32, label: &str, kind: InviteKind) -> Certificate {
    let expiry = if kind == InviteKind::OneTime { 1_800_000_000 } else { 0 };
    Certificate::issue(owner, chain, epoch, Seeded::new(label).array(), kind, expiry).expect("signed")
}

/// A certificate as `expect` shows it.
fn shown(certificate: &Certificate) -> Value {
    json!({
        "epoch": certificate.epoch,
        "id": to_base64(&certificate.id),
        "kind": if certificate.kind == InviteKind::OneTime { "one-time" } else { "forever" },
        "expiry": certificate.expiry,
        "links": certificate.links,
    })
}

fn certificate_cases(keys: &Keys) -> Vec<Value> {
    let [alice, bob] = identities(keys, ["alice", "bob"]);
    let [none, one, two] = chain_of_three(keys);
    let one_time = certificate(alice, &none, 0, "one-time", InviteKind::OneTime);
    let forever = certificate(alice, &none, 3, "forever", InviteKind::Forever);
    let later = certificate(bob, &one, 1, "by bob", InviteKind::OneTime);
    let case = |signer: &str, certificate: &Certificate, chain: &OwnerChain| {
        json!({
            "signer": signer,
            "root": key_text(chain.root()),
            "chain": to_base64(&chain.to_bytes()),
            "certificate": to_base64(&certificate.to_bytes()),
        })
    };
    let base = case("alice", &one_time, &none);
    let text = base["certificate"].as_str().expect("text").to_owned();
    let tampered = |at| with(&base, "certificate", json!(flip(&text, at)));
    let set = |at: usize, to: u8| {
        let mut bytes = one_time.to_bytes();
        bytes[at] = to;
        with(&base, "certificate", json!(to_base64(&bytes)))
    };
    vec![
        good("one-time", base.clone(), shown(&one_time)),
        good("forever", case("alice", &forever, &none), shown(&forever)),
        good("by the creator, under a longer chain", case("alice", &one_time, &two), shown(&one_time)),
        good("by a later owner", case("bob", &later, &one), shown(&later)),
        good("by a later owner, under a longer chain", case("bob", &later, &two), shown(&later)),
        bad("by an owner that the chain does not reach", case("bob", &later, &none), "bad-signature"),
        bad("epoch changed", tampered(3), "bad-signature"),
        bad("id changed", tampered(10), "bad-signature"),
        bad("expiry changed", tampered(25), "bad-signature"),
        bad("links changed", set(29, 1), "bad-signature"),
        bad("signature changed", tampered(-1), "bad-signature"),
        bad("kind changed", set(20, 2), "bad-signature"),
        bad("unknown kind", set(20, 3), "bad-kind"),
        bad("33 links", set(29, 33), "bad-field"),
        bad("too short", with(&base, "certificate", json!(cut(&text, 1))), "bad-length"),
        bad("another room", with(&base, "root", json!(key_text(bob.verifying_key()))), "bad-signature"),
    ]
}

fn card_of(member: &Member, json: &str, signed_root: &VerifyingKey, root: &VerifyingKey, secret: &RoomSecret) -> Value {
    let mut random = Seeded::new(&format!("card {json}"));
    let keys = secret.keys().expect("keys");
    let leaf = member.public_leaf();
    let card = Card::seal_json(&member.identity, json.as_bytes(), &leaf, signed_root, &keys, &mut random);
    let mut case = room(root, secret);
    case["card"] = json!(card.expect("sealed"));
    case["json"] = json!(json);
    case
}

fn card_cases(keys: &Keys) -> Vec<Value> {
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| &keys.0[name]);
    let root = alice.identity.verifying_key();
    let none = OwnerChain::new(*root);
    let (secret, next) = (room_secret(0), room_secret(1));
    let invite = certificate(&alice.identity, &none, 0, "bob's invite", InviteKind::OneTime);
    let invite_text = to_base64(&invite.to_bytes());
    let key = |member: &Member| key_text(member.identity.verifying_key());
    let of_bob = format!(r#"{{"name":"bob","key":"{}","invite":"{invite_text}"}}"#, key(bob));
    let of_alice = format!(r#"{{"name":"alice","key":"{}"}}"#, key(alice));
    let of_carol = format!(r#"{{"future":[1],"key":"{}","name":"Carol \"李\""}}"#, key(carol));
    let ok = |member: &Member, name: &str| {
        json!({
            "name": name,
            "key": key(member),
            "fingerprint": member.identity.fingerprint().to_base64(),
            "leaf_generation": 3,
            "leaf": member.leaf["public"],
        })
    };
    let mut bob_ok = ok(bob, "bob");
    bob_ok["invite"] = shown(&invite);
    let base = with(&card_of(bob, &of_bob, root, root, &secret), "member", json!("bob"));
    let card = base["card"].as_str().expect("text").to_owned();
    let changed = |card: String| with(&base, "card", json!(card));
    let own = |json: &str| card_of(bob, json, root, root, &secret);
    let bob_key = key(bob);
    let weak = to_base64(&[0; 32]);
    vec![
        good("a member with an invite", base.clone(), bob_ok),
        good(
            "the creator",
            with(&card_of(alice, &of_alice, root, root, &secret), "member", json!("alice")),
            ok(alice, "alice"),
        ),
        good(
            "unknown fields, a later epoch",
            with(&card_of(carol, &of_carol, root, root, &next), "member", json!("carol")),
            ok(carol, "Carol \"李\""),
        ),
        bad("the first version", changed(with_head(&card, 1, 0)), "unknown-version"),
        bad("unknown version", changed(with_head(&card, 3, 0)), "unknown-version"),
        bad("epoch changed", changed(with_head(&card, 2, 1)), "wrong-epoch"),
        bad("nonce changed", changed(flip(&card, 5)), "does-not-open"),
        bad("ciphertext changed", changed(flip(&card, 100)), "does-not-open"),
        bad("tag changed", changed(flip(&card, -1)), "does-not-open"),
        bad("cut short", changed(cut(&card, 1)), "bad-length"),
        bad("too long", changed(format!("{card}A")), "bad-length"),
        bad("empty", changed(String::new()), "bad-length"),
        bad("not base64", changed(format!("{}!", &card[..2774])), "bad-base64"),
        bad("another room's secret", with(&base, "secret", json!(to_base64(next.expose()))), "does-not-open"),
        bad("another room", with(&base, "root", json!(key(bob))), "bad-signature"),
        bad(
            "signed for another room",
            card_of(bob, &of_bob, bob.identity.verifying_key(), root, &secret),
            "bad-signature",
        ),
        bad("somebody else's signing key", own(&of_carol), "bad-signature"),
        bad("no key", own(r#"{"name":"bob"}"#), "bad-field"),
        bad("key too short", own(r#"{"name":"bob","key":"AAAA"}"#), "bad-field"),
        bad("a weak key", own(&format!(r#"{{"name":"bob","key":"{weak}"}}"#)), "bad-key"),
        bad("no name", own(&format!(r#"{{"key":"{bob_key}"}}"#)), "bad-field"),
        bad("empty name", own(&format!(r#"{{"name":"","key":"{bob_key}"}}"#)), "bad-name"),
        bad("bidi name", own(&format!(r#"{{"name":"a\u202eb","key":"{bob_key}"}}"#)), "bad-name"),
        bad("a name twice", own(&format!(r#"{{"name":"bob","name":"bob","key":"{bob_key}"}}"#)), "bad-json"),
        bad("not JSON", own("bob"), "bad-json"),
        bad("invite too short", own(&format!(r#"{{"name":"bob","key":"{bob_key}","invite":"AAAA"}}"#)), "bad-field"),
        bad("null invite", own(&format!(r#"{{"name":"bob","key":"{bob_key}","invite":null}}"#)), "bad-field"),
    ]
}

fn link_cases(keys: &Keys) -> Vec<Value> {
    let [alice, bob] = identities(keys, ["alice", "bob"]);
    let [none, one, _] = chain_of_three(keys);
    let link = |host: &str, pin, room_name: &str, epoch, chain: &OwnerChain, owner: &Identity, kind| Link {
        server: Server { authority: format!("{host}:5656").parse().expect("an authority"), pin },
        room_id: to_base64(&Seeded::new("room id").array::<24>()),
        join_key: SecretString::from(to_base64(&Seeded::new("join key").array::<24>())),
        secret: room_secret(epoch),
        room_name: room_name.into(),
        certificate: certificate(owner, chain, epoch, "link", kind),
        chain: chain.clone(),
    };
    let url = |link: &Link| link.to_url().expose_secret().to_owned();
    let show = |link: &Link, owners: &[&Identity]| {
        let owners: Vec<_> = owners.iter().map(|owner| key_text(owner.verifying_key())).collect();
        json!({
            "host": link.server.authority.url_host(),
            "port": link.server.authority.port(),
            "pin": link.server.pin.map(|pin| to_base64(pin.as_bytes())),
            "room_id": link.room_id,
            "join_key": link.join_key.expose_secret(),
            "epoch": link.secret.epoch(),
            "secret": to_base64(link.secret.expose()),
            "root": key_text(link.root()),
            "room_name": link.room_name,
            "certificate": shown(&link.certificate),
            "owners": owners,
        })
    };
    let case = |url: &str| json!({ "url": url });
    let plain = link("example.org", None, "", 0, &none, alice, InviteKind::OneTime);
    let pinned = link("[::1]", Some(Pin::new(Seeded::new("pin").array())), "Tee 🍵", 5, &one, bob, InviteKind::Forever);
    let plain_url = url(&plain);
    let (head, fragment) = plain_url.split_once('#').expect("a link");
    let changed = |fragment: String| case(&format!("{head}#{fragment}"));
    let with_server = |server: &str| case(&format!("{server}/#{fragment}"));
    let moved = |server: &str, host: &str, port: u16| {
        let ok = with(&with(&show(&plain, &[alice]), "host", json!(host)), "port", json!(port));
        good(server, with_server(server), ok)
    };
    let mut other_epoch = link("example.org", None, "", 0, &none, alice, InviteKind::OneTime);
    other_epoch.secret = room_secret(1);
    let mut by_bob = link("example.org", None, "", 0, &none, alice, InviteKind::OneTime);
    by_bob.certificate = certificate(bob, &OwnerChain::new(*bob.verifying_key()), 0, "link", InviteKind::OneTime);
    let mut of_former = link("example.org", None, "", 1, &one, bob, InviteKind::OneTime);
    of_former.certificate = certificate(alice, &none, 1, "link", InviteKind::OneTime);
    let mut bad_name = link("example.org", None, "", 0, &none, alice, InviteKind::OneTime);
    bad_name.room_name = "a\u{200b}".into();
    vec![
        good("plain", case(&plain_url), show(&plain, &[alice])),
        good("white space around it", case(&format!(" {plain_url}\n")), show(&plain, &[alice])),
        good("pin, name, a later owner", case(&url(&pinned)), show(&pinned, &[alice, bob])),
        moved("https://example.org", "example.org", 443),
        moved("https://192.0.2.1:1", "192.0.2.1", 1),
        bad("not https", with_server("http://example.org:5656"), "bad-link"),
        bad("port 0", with_server("https://example.org:0"), "bad-link"),
        bad("port 65536", with_server("https://example.org:65536"), "bad-link"),
        bad("a path", case(&plain_url.replace("/#", "/x#")), "bad-link"),
        bad("no fragment", case("https://example.org:5656/"), "bad-link"),
        bad("empty fragment", case("https://example.org:5656/#"), "bad-length"),
        bad("not base64", changed(format!("{fragment}=")), "bad-base64"),
        bad("the first version", changed(with_head(fragment, 1, 0)), "unknown-version"),
        bad("cut short", changed(cut(fragment, 1)), "bad-length"),
        bad("the chain's length changed", changed(flip(fragment, -1)), "bad-length"),
        bad("another epoch than the invite", case(&url(&other_epoch)), "bad-certificate"),
        bad("an invite of another room", case(&url(&by_bob)), "bad-certificate"),
        bad("an invite of a former owner", case(&url(&of_former)), "bad-certificate"),
        bad("a room name that is not allowed", case(&url(&bad_name)), "bad-name"),
    ]
}
