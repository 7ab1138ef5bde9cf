//! Builds the cards and the links.
use aws_lc_rs::digest::{SHA256, digest};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use subrosa::protocol::pin::Pin;
use subrosa::sealed::{
    Card, Identity, InviteKind, Link, OwnerChain, RoomSecret, Server, VerifyingKey,
    encoding::{from_base64, length_prefixed, to_base64},
};

use super::{
    keys::Keys,
    make::{bad, certificate, cut, file, flip, good, key_text, room, room_secret, seal_raw, shown, with, with_head},
    seeded::Seeded,
};

/// Both files.
pub(crate) fn all(keys: &Keys) -> Vec<(&'static str, Value)> {
    let cards = [card_cases(keys), raw_card_cases(keys)].concat();
    vec![file("card", "Member cards.", cards), file("link", "Invite links.", link_cases(keys))]
}

/// Cards with something wrong inside that no client would seal.
fn raw_card_cases(keys: &Keys) -> Vec<Value> {
    let (root, bob, secret) = (keys.identity("alice").verifying_key(), keys.identity("bob"), room_secret(0));
    let bound = digest(&SHA256, bob.public_key().pkcs1_der());
    let bound = bound.as_ref();
    let json = format!(r#"{{"name":"bob","key":"{}"}}"#, key_text(bob.verifying_key()));
    let signed = length_prefixed(&[b"subrosa v1 card", root.as_bytes(), bound, json.as_bytes()]);
    let signature = bob.sign(&signed).expect("signed");
    let case = |plain: Vec<u8>| {
        let head = [1, 0, 0, 0, 0];
        let nonce = Seeded::new("raw card").array();
        let aad = [b"subrosa v1 card", &head[..], bound].concat();
        let card = seal_raw(&head, nonce, [&[], secret.expose(), b"subrosa v1 card"], &aad, &plain);
        let mut case = room(root, &secret);
        case["public_key_pem"] = json!(bob.public_key().pkcs1_pem());
        case["card"] = json!(card);
        case
    };
    let padded = |parts: &[&[u8]], mark: u8, length: usize| {
        let mut plain = parts.concat();
        plain.push(mark);
        plain.resize(length, 0);
        plain
    };
    let mut flipped = signature;
    flipped[40] ^= 1;
    let ok = json!({
        "name": "bob",
        "key": key_text(bob.verifying_key()),
        "fingerprint": bob.fingerprint().to_base64(),
    });
    vec![
        good("sealed step by step", case(padded(&[&signature, json.as_bytes()], 0x80, 1024)), ok),
        bad("signature changed", case(padded(&[&flipped, json.as_bytes()], 0x80, 1024)), "bad-signature"),
        bad("padding: wrong mark", case(padded(&[&signature, json.as_bytes()], 0x81, 1024)), "bad-padding"),
        bad("padding: no bucket", case(padded(&[&signature, json.as_bytes()], 0x80, 1025)), "bad-padding"),
        bad("padding: too small a bucket", case(padded(&[&signature, json.as_bytes()], 0x80, 512)), "bad-length"),
        bad("too short for a signature", case(padded(&[&signature[..63]], 0x80, 1024)), "bad-length"),
    ]
}

fn card_cases(keys: &Keys) -> Vec<Value> {
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| keys.identity(name));
    let root = alice.verifying_key();
    let (secret, next) = (room_secret(0), room_secret(1));
    let invite = certificate(alice, root, 0, "bob's invite", InviteKind::OneTime);
    let invite_text = to_base64(&invite.to_bytes());
    let case = |member: &Identity, json: &str, secret: &RoomSecret, signed_root: &VerifyingKey| {
        let mut random = Seeded::new(&format!("card {json}"));
        let card = Card::seal_json(member, json.as_bytes(), signed_root, secret, &mut random).expect("sealed");
        let mut case = room(root, secret);
        case["public_key_pem"] = json!(member.public_key().pkcs1_pem());
        case["card"] = json!(card);
        case["json"] = json!(json);
        case
    };
    let key = |member: &Identity| key_text(member.verifying_key());
    let of_bob = format!(r#"{{"name":"bob","key":"{}","invite":"{invite_text}"}}"#, key(bob));
    let of_alice = format!(r#"{{"name":"alice","key":"{}"}}"#, key(alice));
    let of_carol = format!(r#"{{"future":[1],"key":"{}","name":"Carol \"李\""}}"#, key(carol));
    let ok = |member: &Identity, name: &str| json!({ "name": name, "key": key(member), "fingerprint": member.fingerprint().to_base64() });
    let mut bob_ok = ok(bob, "bob");
    bob_ok["invite"] = shown(&invite);
    let base = with(&case(bob, &of_bob, &secret, root), "member", json!("bob"));
    let card = base["card"].as_str().expect("text").to_owned();
    let changed = |card: String| with(&base, "card", json!(card));
    let spki = keys.to_json()["members"]["bob"]["rsa_public_spki_pem"].clone();
    let own = |json: &str| case(bob, json, &secret, root);
    let bob_key = key(bob);
    vec![
        good("a member with an invite", base.clone(), bob_ok.clone()),
        good("its key as SPKI", with(&base, "public_key_pem", spki), bob_ok.clone()),
        good("the creator", with(&case(alice, &of_alice, &secret, root), "member", json!("alice")), ok(alice, "alice")),
        good(
            "unknown fields, 3072 bits, a later epoch",
            with(&case(carol, &of_carol, &next, root), "member", json!("carol")),
            ok(carol, "Carol \"李\""),
        ),
        bad("unknown version", changed(with_head(&card, 2, 0)), "unknown-version"),
        bad("epoch changed", changed(with_head(&card, 1, 1)), "wrong-epoch"),
        bad("nonce changed", changed(flip(&card, 5)), "does-not-open"),
        bad("ciphertext changed", changed(flip(&card, 100)), "does-not-open"),
        bad("tag changed", changed(flip(&card, -1)), "does-not-open"),
        bad("cut short", changed(cut(&card, 1)), "bad-length"),
        bad("longer than 2048 characters", changed("A".repeat(2052)), "bad-length"),
        bad("empty", changed(String::new()), "bad-length"),
        bad("not base64", changed(format!("{}!", &card[..40])), "bad-base64"),
        bad("padded base64", changed(format!("{}==", &card[..40])), "bad-base64"),
        bad("another room's secret", with(&base, "secret", json!(to_base64(next.expose()))), "does-not-open"),
        bad(
            "the next epoch's secret",
            with(&with(&base, "secret", json!(to_base64(next.expose()))), "epoch", json!(1)),
            "wrong-epoch",
        ),
        bad("another room", with(&base, "root", json!(key(bob))), "bad-signature"),
        bad("signed for another room", case(bob, &of_bob, &secret, bob.verifying_key()), "bad-signature"),
        bad("another RSA key", with(&base, "public_key_pem", json!(carol.public_key().pkcs1_pem())), "does-not-open"),
        bad("somebody else's signing key", own(&of_carol), "bad-signature"),
        bad("no key", own(r#"{"name":"bob"}"#), "bad-field"),
        bad("key too short", own(r#"{"name":"bob","key":"AAAA"}"#), "bad-field"),
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
    let (alice, bob) = (keys.identity("alice"), keys.identity("bob"));
    let root = *alice.verifying_key();
    let link = |host: &str, pin, room_name: &str, epoch, chain: OwnerChain, owner: &Identity, kind| Link {
        server: Server { authority: format!("{host}:5656").parse().unwrap(), pin },
        room_id: to_base64(&Seeded::new("room id").array::<24>()),
        join_key: SecretString::from(to_base64(&Seeded::new("join key").array::<24>())),
        secret: room_secret(epoch),
        room_name: room_name.into(),
        certificate: certificate(owner, &root, epoch, "link", kind),
        chain,
    };
    let url = |link: &Link| link.to_url().expose_secret().to_owned();
    let show = |link: &Link, owners: &[&Identity]| {
        let owners: Vec<_> = owners.iter().map(|owner| key_text(owner.verifying_key())).collect();
        json!({
            "host": link.server.authority.url_host(),
            "port": link.server.authority.port(),
            "pin": link.server.pin.map(|pin| pin.to_string()),
            "room_id": link.room_id,
            "join_key": link.join_key.expose_secret(),
            "epoch": link.secret.epoch(),
            "secret": to_base64(link.secret.expose()),
            "root": key_text(&root),
            "room_name": link.room_name,
            "certificate": shown(&link.certificate),
            "owners": owners,
        })
    };
    let new = OwnerChain::new(root);
    let handed = new.handed_to(alice, *bob.verifying_key()).expect("signed");
    let first = link("chat.example", None, "tea", 0, new.clone(), alice, InviteKind::OneTime);
    let pin = Some(Pin::new(Seeded::new("pin").array()));
    let second = link("[::1]", pin, "", 2, handed.clone(), bob, InviteKind::Forever);
    let former = link("chat.example", None, "tea", 0, handed, alice, InviteKind::OneTime);
    let mut old_invite = link("chat.example", None, "tea", 0, new.clone(), alice, InviteKind::OneTime);
    old_invite.certificate = certificate(alice, &root, 1, "link", InviteKind::OneTime);
    let bidi = link("chat.example", None, "\u{202e}tea", 0, new.clone(), alice, InviteKind::OneTime);
    let mut bad_id = link("chat.example", None, "tea", 0, new, alice, InviteKind::OneTime);
    bad_id.room_id = "a room".into();
    let text = url(&first);
    let (origin, fragment) = text.split_once('#').expect("a fragment");
    let case = |url: String| json!({ "url": url });
    let raw = from_base64(fragment).expect("base64");
    let changed = |at: usize| {
        let mut bytes = raw.clone();
        bytes[at] ^= 0x10;
        case(format!("{origin}#{}", to_base64(&bytes)))
    };
    let at = |what: &[u8]| raw.windows(what.len()).position(|window| window == what).expect("in the link");
    let certificate_at = at(&first.certificate.to_bytes());
    vec![
        good("one-time", case(text.clone()), show(&first, &[alice])),
        good("forever, pinned, nameless, by a later owner", case(url(&second)), show(&second, &[alice, bob])),
        good("no port", case(text.replace(":5656", "")), with(&show(&first, &[alice]), "port", json!(443))),
        good("white space around it", case(format!(" {text}\n")), show(&first, &[alice])),
        bad("plain http", case(text.replace("https:", "http:")), "bad-link"),
        bad("no fragment", case(origin.to_owned()), "bad-link"),
        bad("a path", case(text.replace("/#", "/room#")), "bad-link"),
        bad("a user in it", case(text.replace("chat.", "you@chat.")), "bad-link"),
        bad("port 0", case(text.replace("5656", "0")), "bad-link"),
        bad("port 65536", case(text.replace("5656", "65536")), "bad-link"),
        bad("empty fragment", case(origin.to_owned() + "#"), "bad-length"),
        bad("not base64", case(format!("{text}!")), "bad-base64"),
        bad("unknown version", changed(0), "unknown-version"),
        bad("cut short", case(format!("{origin}#{}", cut(fragment, 1))), "bad-length"),
        bad(
            "something after the parts",
            case(format!("{origin}#{}", to_base64(&[&raw[..], &[0]].concat()))),
            "bad-length",
        ),
        bad("a part's length changed", changed(4), "bad-length"),
        bad("root changed", changed(at(root.as_bytes())), "bad-certificate"),
        bad("certificate's id changed", changed(certificate_at + 5), "bad-certificate"),
        bad("certificate's signature changed", changed(certificate_at + 92), "bad-certificate"),
        bad("certificate's kind unknown", changed(certificate_at + 20), "bad-kind"),
        bad("epoch changed", changed(at(first.secret.expose()) - 1), "bad-certificate"),
        bad("certificate of another epoch", case(url(&old_invite)), "bad-certificate"),
        bad("invite of a former owner", case(url(&former)), "bad-certificate"),
        bad(
            "chain changed",
            {
                let text = url(&second);
                let (origin, fragment) = text.split_once('#').expect("a fragment");
                case(format!("{origin}#{}", flip(fragment, -1)))
            },
            "bad-chain",
        ),
        bad("bidi room name", case(url(&bidi)), "bad-name"),
        bad("room id of other characters", case(url(&bad_id)), "bad-field"),
    ]
}
