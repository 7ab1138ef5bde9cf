//! Builds the messages: of every type, and tampered in every part.
use rsa::{Oaep, pkcs1::DecodeRsaPublicKey as _, sha2::Sha256};
use serde_json::{Value, json};
use subrosa::sealed::{
    Body, Fingerprint, Identity, OwnerChain, Plain, RoomSecret, VerifyingKey, View,
    encoding::{Header, from_base64, length_prefixed, to_base64},
    message::{self, Signed},
    plain::NewSecret,
};
use zeroize::Zeroizing;

use super::{
    keys::Keys,
    make::{bad, cut, flip, good, room, room_secret, seal_raw, with, with_head},
    seeded::Seeded,
};

/// How a case's message is made; every field but `json` has a usual value.
struct Made<'a> {
    author: &'a str,
    recipient: &'a str,
    signed_root: VerifyingKey,
    sealed_root: VerifyingKey,
    secret: RoomSecret,
}

fn make(keys: &Keys, made: &Made<'_>, json: &str) -> Value {
    let author = keys.identity(made.author);
    let recipient = keys.identity(made.recipient);
    let mut random = Seeded::new(&format!("message {json}"));
    let signed = Signed::sign(author, &made.signed_root, json.as_bytes()).expect("signed");
    let sealed = signed.seal(&made.sealed_root, &made.secret, &mut random).expect("sealed");
    let key = rsa::RsaPublicKey::from_pkcs1_der(recipient.public_key().pkcs1_der()).expect("key");
    let wrapped = key.encrypt(&mut random, Oaep::<Sha256>::new(), sealed.key().expose()).expect("sealed");
    let mut case = room(&made.sealed_root, &made.secret);
    case["recipient"] = json!(made.recipient);
    case["sender"] = json!(made.author);
    case["sender_key"] = json!(to_base64(author.verifying_key().as_bytes()));
    case["plain"] = json!(json);
    case["content_key"] = json!(to_base64(sealed.key().expose()));
    case["content"] = json!(message::content(Header { epoch: made.secret.epoch() }, &wrapped));
    case["shared"] = json!(sealed.shared());
    case
}

/// The one file that this module makes.
pub(crate) fn all(keys: &Keys) -> Vec<(&'static str, Value)> {
    let about = "Messages of every type. `plain` and `content_key` are there to seal the same `shared` with its nonce.";
    let cases = [types(keys), tampered(keys), raw(keys), fields(keys)].concat();
    vec![("message", json!({ "about": about, "cases": cases }))]
}

fn usual(keys: &Keys) -> Made<'static> {
    let root = *keys.identity("alice").verifying_key();
    Made { author: "alice", recipient: "bob", signed_root: root, sealed_root: root, secret: room_secret(0) }
}

fn view(keys: &Keys) -> View {
    let members = ["alice", "bob", "carol"].map(|name| keys.identity(name).fingerprint());
    View::of(members[0], members)
}

fn written(keys: &Keys, n: u64, body: Body, to: Option<Fingerprint>) -> String {
    let plain = Plain { n, at: 1_790_000_000_123, body, view: view(keys), to };
    String::from_utf8(plain.to_json().expect("JSON").to_vec()).expect("UTF-8")
}

fn ok(keys: &Keys, n: u64, kind: &str, body: Value, to: Option<Fingerprint>) -> Value {
    let mut ok =
        json!({ "n": n, "at": 1_790_000_000_123u64, "view": view(keys).to_base64(), "type": kind, "body": body });
    if let Some(to) = to {
        ok["to"] = json!(to.to_base64());
    }
    ok
}

fn types(keys: &Keys) -> Vec<Value> {
    let [alice, bob, carol]: [&Identity; 3] = ["alice", "bob", "carol"].map(|name| keys.identity(name));
    let text = |text: &str| Body::Text(Zeroizing::new(text.to_owned()));
    let to_bob = Some(bob.fingerprint());
    let chain = OwnerChain::new(*alice.verifying_key()).handed_to(alice, *bob.verifying_key()).expect("signed");
    let (next, shown_next) = (room_secret(1), to_base64(room_secret(1).expose()));
    let removed = vec![carol.fingerprint(), keys.identity("dave").fingerprint()];
    let shown_removed: Vec<_> = removed.iter().map(|member| member.to_base64()).collect();
    let rekey = written(keys, 4, Body::Secret(NewSecret { secret: next, removed, chain: chain.to_bytes() }), None);
    let succession = written(keys, 2, Body::Succession { chain: chain.to_bytes(), transfer: true }, to_bob);
    let succession_body = json!({ "chain": to_base64(&chain.to_bytes()), "transfer": true });
    let long = "long ".repeat(4000);
    let later = Made { author: "bob", recipient: "carol", secret: room_secret(7), ..usual(keys) };
    let made = |json: &str| make(keys, &usual(keys), json);
    let room_text = written(keys, 1, text("tea?"), None);
    let with_unknown = room_text.replace("{\"n\":", "{\"later\":{\"n\":[1.5,null,true,-2]},\"n\":");
    let unknown = room_text.replace("\"text\"", "\"drawing\"");
    let bare_succession = succession.replace(",\"transfer\":true", "");
    let rekey_body = json!({
        "epoch": 1,
        "secret": shown_next,
        "removed": shown_removed,
        "chain": to_base64(&chain.to_bytes()),
    });
    vec![
        good("text", made(&room_text), ok(keys, 1, "text", json!("tea?"), None)),
        good(
            "text with quotes, lines and planes",
            made(&written(keys, 2, text("\"a\"\n李 🍵 \u{1}"), None)),
            ok(keys, 2, "text", json!("\"a\"\n李 🍵 \u{1}"), None),
        ),
        good(
            "long text, later epoch, 3072 bits",
            make(keys, &later, &written(keys, 3, text(&long), None)),
            ok(keys, 3, "text", json!(long), None),
        ),
        good(
            "private text",
            made(&written(keys, 1, text("for you"), to_bob)),
            ok(keys, 1, "text", json!("for you"), to_bob),
        ),
        good("secret", made(&rekey), ok(keys, 4, "secret", rekey_body, None)),
        good("succession", made(&succession), ok(keys, 2, "succession", succession_body.clone(), to_bob)),
        good(
            "succession in a room that closes",
            made(&bare_succession),
            ok(keys, 2, "succession", with(&succession_body, "transfer", json!(false)), to_bob),
        ),
        good("void", made(&written(keys, 5, Body::Void, None)), ok(keys, 5, "void", Value::Null, None)),
        good("unknown type", made(&unknown), ok(keys, 1, "unknown", Value::Null, None)),
        good("unknown fields", made(&with_unknown), ok(keys, 1, "text", json!("tea?"), None)),
    ]
}

fn tampered(keys: &Keys) -> Vec<Value> {
    let bob = keys.identity("bob");
    let base = make(keys, &usual(keys), &written(keys, 1, Body::Text(Zeroizing::new("tea?".into())), None));
    let part = |name: &str| base[name].as_str().expect("text").to_owned();
    let (content, shared) = (part("content"), part("shared"));
    let changed = |name: &str, value: String| with(&base, name, json!(value));
    let other_root = to_base64(bob.verifying_key().as_bytes());
    let forged_root = Made { signed_root: *bob.verifying_key(), ..usual(keys) };
    let for_carol = Made { recipient: "carol", ..usual(keys) };
    let json = part("plain");
    let mut misdelivered = make(keys, &for_carol, &json);
    misdelivered["recipient"] = json!("dave");
    let private =
        written(keys, 1, Body::Text(Zeroizing::new("for you".into())), Some(keys.identity("carol").fingerprint()));
    let both =
        |epoch| with(&changed("content", with_head(&content, 1, epoch)), "shared", json!(with_head(&shared, 1, epoch)));
    vec![
        bad("content: unknown version", changed("content", with_head(&content, 2, 0)), "unknown-version"),
        bad("shared: unknown version", changed("shared", with_head(&shared, 0, 0)), "unknown-version"),
        bad("content: epoch changed", changed("content", with_head(&content, 1, 1)), "epochs-differ"),
        bad("shared: epoch changed", changed("shared", with_head(&shared, 1, 1)), "epochs-differ"),
        bad("both: epoch changed", both(1), "wrong-epoch"),
        bad("both: epoch changed, and the secret's", with(&both(1), "epoch", json!(1)), "does-not-open"),
        bad("content: key changed", changed("content", flip(&content, 50)), "key-does-not-open"),
        bad("content: cut short", changed("content", cut(&content, 1)), "key-does-not-open"),
        bad("content: only a head", changed("content", to_base64(&[1, 0, 0, 0, 0])), "key-does-not-open"),
        bad("content: not base64", changed("content", content.clone() + "="), "bad-base64"),
        bad("content: empty", changed("content", String::new()), "bad-length"),
        bad("shared: nonce changed", changed("shared", flip(&shared, 6)), "does-not-open"),
        bad("shared: ciphertext changed", changed("shared", flip(&shared, 60)), "does-not-open"),
        bad("shared: tag changed", changed("shared", flip(&shared, -1)), "does-not-open"),
        bad("shared: cut short", changed("shared", cut(&shared, 1)), "bad-length"),
        bad("shared: not base64", changed("shared", shared.replace(['A', 'B', 'C'], "*")), "bad-base64"),
        bad("another room", changed("root", other_root), "does-not-open"),
        bad("another room's secret", changed("secret", to_base64(room_secret(1).expose())), "does-not-open"),
        bad("signed for another room", make(keys, &forged_root, &json), "bad-signature"),
        bad("from somebody else", changed("sender_key", to_base64(bob.verifying_key().as_bytes())), "bad-signature"),
        bad("for another member's key", misdelivered, "key-does-not-open"),
        bad("private, passed on to another", make(keys, &usual(keys), &private), "not-for-me"),
    ]
}

/// Messages with something wrong inside that no client would seal.
fn raw(keys: &Keys) -> Vec<Value> {
    let json = written(keys, 1, Body::Text(Zeroizing::new("tea?".into())), None);
    let base = make(keys, &usual(keys), &json);
    let (alice, root, secret) = (keys.identity("alice"), usual(keys).sealed_root, room_secret(0));
    let key = from_base64(base["content_key"].as_str().expect("text")).expect("base64");
    let signed = length_prefixed(&[b"subrosa v1 message", root.as_bytes(), json.as_bytes()]);
    let signature = alice.sign(&signed).expect("signed");
    let case = |parts: &[&[u8]], mark: u8, length: usize| {
        let mut plain = parts.concat();
        plain.push(mark);
        plain.resize(length, 0);
        let head = [1, 0, 0, 0, 0];
        let aad = [b"subrosa v1 message", &head[..], root.as_bytes()].concat();
        let nonce = Seeded::new("raw message").array();
        let shared = seal_raw(&head, nonce, [secret.expose(), &key, b"subrosa v1 message"], &aad, &plain);
        with(&base, "shared", json!(shared))
    };
    let mut flipped = signature;
    flipped[40] ^= 1;
    let ok = ok(keys, 1, "text", json!("tea?"), None);
    vec![
        good("sealed step by step", case(&[&signature, json.as_bytes()], 0x80, 512), ok.clone()),
        good("in a larger bucket", case(&[&signature, json.as_bytes()], 0x80, 2048), ok),
        bad("signature changed", case(&[&flipped, json.as_bytes()], 0x80, 512), "bad-signature"),
        bad("padding: wrong mark", case(&[&signature, json.as_bytes()], 0x81, 512), "bad-padding"),
        bad("padding: no bucket", case(&[&signature, json.as_bytes()], 0x80, 513), "bad-padding"),
        bad("too short for a signature", case(&[&signature[..63]], 0x80, 256), "bad-length"),
    ]
}

fn fields(keys: &Keys) -> Vec<Value> {
    let json = written(keys, 1, Body::Text(Zeroizing::new("tea?".into())), None);
    let bob = Some(keys.identity("bob").fingerprint());
    let private = written(keys, 1, Body::Text(Zeroizing::new("tea?".into())), bob);
    let secret =
        written(keys, 1, Body::Secret(NewSecret { secret: room_secret(1), removed: vec![], chain: vec![] }), None);
    let replaced = |json: &str, from: &str, to: &str| {
        assert!(json.contains(from), "{from} is not in {json}");
        make(keys, &usual(keys), &json.replace(from, to))
    };
    let text = |from: &str, to: &str| replaced(&json, from, to);
    let rekey = |from: &str, to: &str| replaced(&secret, from, to);
    vec![
        good("the largest number", text("\"n\":1,", "\"n\":9007199254740991,"), {
            with(&ok(keys, 1, "text", json!("tea?"), None), "n", json!(9_007_199_254_740_991u64))
        }),
        bad("number 0", text("\"n\":1,", "\"n\":0,"), "bad-field"),
        bad("number 2^53", text("\"n\":1,", "\"n\":9007199254740992,"), "bad-field"),
        bad("number -1", text("\"n\":1,", "\"n\":-1,"), "bad-field"),
        bad("number 1.0", text("\"n\":1,", "\"n\":1.0,"), "bad-field"),
        bad("number 1e0", text("\"n\":1,", "\"n\":1e0,"), "bad-field"),
        bad("number as text", text("\"n\":1,", "\"n\":\"1\","), "bad-field"),
        bad("no number", text("\"n\":1,", ""), "bad-field"),
        bad("a number twice", text("\"n\":1,", "\"n\":1,\"n\":1,"), "bad-json"),
        bad("no time", text("\"at\"", "\"ta\""), "bad-field"),
        bad("no view", text("\"view\"", "\"weiv\""), "bad-field"),
        bad("view too short", text("\"view\":\"", "\"view\":\"AAAA\",\"x\":\""), "bad-field"),
        bad("no type", text("\"type\"", "\"epyt\""), "bad-field"),
        bad("no body", text("\"body\"", "\"ydob\""), "bad-field"),
        bad("body is no text", text("\"tea?\"", "[\"tea?\"]"), "bad-field"),
        bad("lone surrogate", text("tea?", "\\ud83c"), "bad-json"),
        bad("recipient is null", text("\"n\":1,", "\"to\":null,\"n\":1,"), "bad-field"),
        bad("recipient too short", replaced(&private, "\"to\":\"", "\"to\":\"AAAA\",\"x\":\""), "bad-field"),
        bad("secret: no epoch", rekey("\"epoch\"", "\"hcope\""), "bad-field"),
        bad("secret: epoch 2^32", rekey("\"epoch\":1", "\"epoch\":4294967296"), "bad-field"),
        bad("secret: no secret", rekey("\"secret\":\"", "\"terces\":\""), "bad-field"),
        bad("secret: removed is no list", rekey("[]", "{}"), "bad-field"),
        bad("secret: removed holds no fingerprint", rekey("[]", "[\"AAAA\"]"), "bad-field"),
        bad("secret: no chain", rekey("\"chain\"", "\"niahc\""), "bad-field"),
        bad("not an object", replaced(&json, &json, "[]"), "bad-json"),
        bad("nothing", replaced(&json, &json, ""), "bad-json"),
    ]
}
