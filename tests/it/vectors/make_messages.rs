//! Builds steps, hands, room messages, private messages and notes, from the bytes up: without the crate's own code but for base64, `LP`,
//! padding, signing.
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use serde_json::{Value, json};
use subrosa::sealed::{
    RoomSecret, VerifyingKey,
    encoding::{length_prefixed, to_base64},
    padding,
};

use super::{
    keys::{Keys, LEAF_GENERATION, Member},
    make::{bad, cut, derive, file, flip, good, hmac, key_text, room, room_secret, sha256, with, with_head},
    seeded::Seeded,
};

const EPOCH: u32 = 2;
const GENERATION: u32 = 7;
const INDEX: u32 = 5;
const SAID: u32 = 40;

/// The files.
pub(crate) fn all(keys: &Keys) -> Vec<(&'static str, Value)> {
    let stage = Stage::new(keys);
    vec![
        file("step", "Steps of a chain key.", step_cases()),
        file("hand", "Hands: a chain, sealed to one member's leaf.", stage.hand_cases()),
        file("message", "Room messages, opened with the chain key at their index.", stage.message_cases()),
        file("private", "Private messages.", stage.private_cases()),
        file("note", "Notes.", stage.note_cases()),
    ]
}

/// The four parts of HKDF(ck, "subrosa v2 step", 108).
struct Step {
    next: Vec<u8>,
    key: Vec<u8>,
    nonce: [u8; 12],
    commit: Vec<u8>,
}

fn step(ck: &[u8]) -> Step {
    let okm = derive(ck, b"subrosa v2 step", 108);
    let nonce = okm[64..76].try_into().expect("12 bytes");
    Step { next: okm[..32].to_vec(), key: okm[32..64].to_vec(), nonce, commit: okm[76..].to_vec() }
}

fn step_cases() -> Vec<Value> {
    let case = |label: &str| {
        let ck = Seeded::new(label).array::<32>();
        let step = step(&ck);
        let ok = json!({
            "next": to_base64(&step.next),
            "key": to_base64(&step.key),
            "nonce": to_base64(&step.nonce),
            "commit": to_base64(&step.commit),
        });
        good(label, json!({ "chain_key": to_base64(&ck) }), ok)
    };
    vec![case("a chain key"), case("another chain key")]
}

fn gcm(key: &[u8], nonce: [u8; 12], aad: &[u8], plain: &[u8]) -> Vec<u8> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("a key"));
    let mut sealed = plain.to_vec();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut sealed).expect("sealed");
    sealed
}

/// HPKE's key schedule in PSK mode, and one seal.
fn hpke(shared_secret: &[u8], info: &[u8], aad: &[u8], psk: &[u8], psk_id: &[u8], plain: &[u8]) -> Vec<u8> {
    let suite = b"HPKE\x64\x7a\x00\x01\x00\x02";
    let extract = |salt: &[u8], label: &[u8], ikm: &[u8]| hmac(salt, &[b"HPKE-v1", suite, label, ikm]);
    let scheduled = [&[1][..], &extract(&[], b"psk_id_hash", psk_id), &extract(&[], b"info_hash", info)].concat();
    let secret = extract(shared_secret, b"secret", psk);
    let expand = |label: &[u8], length: u8| {
        let mut out = hmac(&secret, &[&[0, length], b"HPKE-v1", suite, label, &scheduled, &[1]]);
        out.truncate(length.into());
        out
    };
    gcm(&expand(b"key", 32), expand(b"base_nonce", 12).try_into().expect("12 bytes"), aad, plain)
}

struct Stage<'a> {
    keys: &'a Keys,
    root: &'a VerifyingKey,
    secret: RoomSecret,
    alice: &'a Member,
    bob: &'a Member,
    chain_key: [u8; 32],
}

const EPOCH_BYTES: [u8; 4] = EPOCH.to_be_bytes();
const HEAD: [u8; 5] = [2, EPOCH_BYTES[0], EPOCH_BYTES[1], EPOCH_BYTES[2], EPOCH_BYTES[3]];

impl<'a> Stage<'a> {
    fn new(keys: &'a Keys) -> Self {
        let (alice, bob) = (&keys.0["alice"], &keys.0["bob"]);
        let root = keys.identity("carol").verifying_key();
        let chain_key = Seeded::new("alice's chain at 5").array();
        Self { keys, root, secret: room_secret(EPOCH), alice, bob, chain_key }
    }

    /// `HPKE.SealPSK` to a member's leaf, with its one encapsulation.
    fn to_leaf(&self, to: &Member, label: &[u8], at: &[u8], plain: &[u8]) -> Vec<u8> {
        let (enc, shared_secret) = to.encapsulation();
        let from = self.alice.identity.fingerprint();
        let info = length_prefixed(&[label, self.root.as_bytes(), &EPOCH_BYTES, from.as_bytes()]);
        let aad = [&to.identity.fingerprint().as_bytes()[..], &LEAF_GENERATION.to_be_bytes(), at].concat();
        let psk = derive(self.secret.expose(), b"subrosa v2 psk", 32);
        let psk_id = [&b"subrosa v2 psk"[..], &EPOCH_BYTES].concat();
        [enc, hpke(&shared_secret, &info, &aad, &psk, &psk_id, plain)].concat()
    }

    /// The fields that every case has.
    fn base(&self) -> Value {
        let mut case = room(self.root, &self.secret);
        case["sender_key"] = json!(key_text(self.alice.identity.verifying_key()));
        case["recipient"] = json!("bob");
        case
    }

    fn hand(&self, signer: &Member, index: u32, said: u32) -> String {
        let at = [GENERATION.to_be_bytes(), index.to_be_bytes()].concat();
        let to = self.bob.identity.fingerprint();
        let statement = length_prefixed(&[
            b"subrosa v2 hand",
            self.root.as_bytes(),
            &EPOCH_BYTES,
            to.as_bytes(),
            &LEAF_GENERATION.to_be_bytes(),
            &GENERATION.to_be_bytes(),
            &index.to_be_bytes(),
            &said.to_be_bytes(),
            &sha256(&self.chain_key),
        ]);
        let signature = signer.identity.sign(&statement).expect("signed");
        let plain = [&signature[..], &said.to_be_bytes(), &self.chain_key].concat();
        let sealed = self.to_leaf(self.bob, b"subrosa v2 hand", &at, &plain);
        to_base64(&[&[2, 1][..], &LEAF_GENERATION.to_be_bytes(), &sealed].concat())
    }

    fn hand_cases(&self) -> Vec<Value> {
        let mut base = self.base();
        base["generation"] = json!(GENERATION);
        base["index"] = json!(INDEX);
        base["content"] = json!(self.hand(self.alice, INDEX, SAID));
        let content = base["content"].as_str().expect("text").to_owned();
        let ok = json!({ "said": SAID, "chain_key": to_base64(&self.chain_key) });
        let changed = |content: String| with(&base, "content", json!(content));
        let head = |at: usize, to: u8| {
            let mut bytes = subrosa::sealed::encoding::from_base64(&content).expect("base64");
            bytes[at] = to;
            to_base64(&bytes)
        };
        vec![
            good("a hand", base.clone(), ok.clone()),
            bad("signed by another member", changed(self.hand(&self.keys.0["mallory"], INDEX, SAID)), "bad-signature"),
            bad(
                "another sender",
                with(&base, "sender_key", json!(key_text(self.bob.identity.verifying_key()))),
                "hand-does-not-open",
            ),
            bad("another index", with(&base, "index", json!(INDEX + 1)), "hand-does-not-open"),
            bad("another generation", with(&base, "generation", json!(GENERATION + 1)), "hand-does-not-open"),
            bad("another epoch", with(&base, "epoch", json!(EPOCH + 1)), "hand-does-not-open"),
            bad(
                "another secret",
                with(&base, "secret", json!(to_base64(room_secret(3).expose()))),
                "hand-does-not-open",
            ),
            bad(
                "another room",
                with(&base, "root", json!(key_text(self.bob.identity.verifying_key()))),
                "hand-does-not-open",
            ),
            bad("another recipient", with(&base, "recipient", json!("dave")), "hand-does-not-open"),
            bad("the encapsulation changed", changed(flip(&content, 20)), "hand-does-not-open"),
            bad("the X25519 part changed", changed(flip(&content, 1120)), "hand-does-not-open"),
            bad("the ciphertext changed", changed(flip(&content, -1)), "hand-does-not-open"),
            bad("the first version", changed(head(0, 1)), "unknown-version"),
            bad("an unknown kind", changed(head(1, 3)), "bad-kind"),
            bad("cut short", changed(cut(&content, 1)), "bad-length"),
            bad("not base64", changed(format!("{content}=")), "bad-base64"),
        ]
    }

    fn plain(core: &str, extra: &str, bytes: Option<&[u8]>) -> Vec<u8> {
        let length = u32::try_from(core.len()).expect("short").to_be_bytes();
        let mut plain = [&length[..], core.as_bytes(), extra.as_bytes()].concat();
        if let Some(bytes) = bytes {
            plain.push(0);
            plain.extend_from_slice(bytes);
        }
        plain
    }

    /// A room message of alice.
    fn room_message(&self, signer: &Member, signed_index: u32, plain: &[u8], mark: u8) -> Value {
        let step = step(&self.chain_key);
        let at = |index: u32| [GENERATION.to_be_bytes(), index.to_be_bytes()].concat();
        let statement = length_prefixed(&[
            b"subrosa v2 message",
            self.root.as_bytes(),
            &EPOCH_BYTES,
            &GENERATION.to_be_bytes(),
            &signed_index.to_be_bytes(),
            &step.commit,
            plain,
        ]);
        let signature = signer.identity.sign(&statement).expect("signed");
        let mut padded = padding::pad(&[&signature, plain], 0, 0).to_vec();
        padded[signature.len() + plain.len()] = mark;
        let aad = [b"subrosa v2 message", &HEAD[..], &at(INDEX), self.root.as_bytes()].concat();
        let sealed = gcm(&step.key, step.nonce, &aad, &padded);
        let mut case = self.base();
        case["chain_key"] = json!(to_base64(&self.chain_key));
        case["shared"] = json!(to_base64(&[&HEAD[..], &[0], &at(INDEX), &sealed].concat()));
        case
    }

    fn message_cases(&self) -> Vec<Value> {
        let print = |name: &str| self.keys.identity(name).fingerprint().to_base64();
        let (of, said) = (print("carol"), to_base64(&Seeded::new("said").array::<16>()));
        let id = to_base64(&Seeded::new("file").array::<16>());
        let view = to_base64(&Seeded::new("view").array::<16>());
        let extra = format!(r#"{{"view":"{view}"}}"#);
        let said_hash = |core: &str| {
            let fingerprint = self.alice.identity.fingerprint();
            let hashed = length_prefixed(&[b"subrosa v2 said", fingerprint.as_bytes(), core.as_bytes()]);
            to_base64(&sha256(&hashed)[..16])
        };
        let message = |core: &str, extra: &str, bytes: Option<&[u8]>| {
            let mut case = self.room_message(self.alice, INDEX, &Self::plain(core, extra, bytes), 0x80);
            case["core"] = json!(core);
            case["extra"] = json!(extra);
            if let Some(bytes) = bytes {
                case["bytes"] = json!(to_base64(bytes));
            }
            case
        };
        let show = |core: &str, kind: &str, n: u32, body: Value| json!({ "n": n, "at": 1_790_000_000_000_u64, "type": kind, "body": body, "said": said_hash(core), "view": view, "after": [] });
        let core = |n: u32, kind: &str, body: &Value| {
            format!(r#"{{"n":{n},"at":1790000000000,"type":"{kind}","body":{body}}}"#)
        };
        let plain_case = |name: &str, n: u32, kind: &str, body: Value| {
            let core = core(n, kind, &body);
            good(name, message(&core, &extra, None), show(&core, kind, n, body))
        };
        let wrong = |name: &str, kind: &str, body: &str| {
            let core = format!(r#"{{"n":1,"at":0,"type":"{kind}","body":{body}}}"#);
            bad(name, message(&core, &extra, None), "bad-field")
        };
        let re = json!({ "of": of, "n": 4, "said": said });
        let hash = to_base64(&Seeded::new("hash").array::<32>());
        let file =
            json!({ "id": id, "name": "tea.png", "size": 48_001, "type": "image/png", "pieces": 2, "hash": hash });
        let tea = core(1, "text", &json!({ "text": "tea" }));
        let base = message(&tea, &extra, None);
        let shared = base["shared"].as_str().expect("text").to_owned();
        let changed = |shared: String| with(&base, "shared", json!(shared));
        let after = to_base64(&[&[7; 8][..], &[0, 0, 0, 9], &[8; 16]].concat());
        let long_extra = format!(r#"{{"view":"{view}","after":"{after}"}}"#);
        let mut with_after = show(&tea, "text", 1, json!({ "text": "tea" }));
        with_after["after"] = json!([{ "author": to_base64(&[7; 8]), "n": 9, "said": to_base64(&[8; 16]) }]);
        let five = to_base64(&[7; 5 * 28]);
        let settings = r#"{"n":2,"at":1790000000000,"type":"text","body":{"text":"x"},"gone":60,"timer":60,"marks":true,"quiet":true}"#;
        let mut shown_settings = show(settings, "text", 2, json!({ "text": "x" }));
        for (field, value) in
            [("gone", json!(60)), ("timer", json!(60)), ("marks", json!(true)), ("quiet", json!(true))]
        {
            shown_settings[field] = value;
        }
        let mut members: Vec<_> =
            ["alice", "bob"].map(|name| *self.keys.identity(name).fingerprint().as_bytes()).into();
        members.sort_unstable();
        let secret = json!({
            "epoch": 3,
            "secret": to_base64(room_secret(3).expose()),
            "members": to_base64(&members.concat()),
            "chain": "",
            "proof": to_base64(&[5; 64]),
        });
        members.reverse();
        let disordered = with(&secret, "members", json!(to_base64(&members.concat())));
        let piece = core(0, "piece", &json!({ "id": id, "index": 1 }));
        let mut shown_piece = show(&piece, "piece", 0, json!({ "id": id, "index": 1 }));
        shown_piece["bytes"] = json!(to_base64(b"\0x\0"));
        let unknown = core(3, "poll", &json!([1]));
        vec![
            good("text", base.clone(), show(&tea, "text", 1, json!({ "text": "tea" }))),
            good("text after another's", message(&tea, &long_extra, None), with_after),
            good("the owner's settings", message(settings, &extra, None), shown_settings),
            plain_case("a reply", 2, "text", json!({ "text": "yes", "re": re })),
            plain_case("edit", 5, "edit", json!({ "n": 4, "text": "Tea" })),
            plain_case("delete", 5, "delete", json!({ "n": 4 })),
            plain_case("react", 5, "react", json!({ "re": re, "text": "🍵" })),
            plain_case("a reaction taken back", 5, "react", json!({ "re": re, "text": "" })),
            plain_case("timer", 5, "timer", json!({ "gone": 3600, "marks": false })),
            plain_case("file", 5, "file", file.clone()),
            plain_case("typing", 0, "typing", json!({ "on": true })),
            plain_case("read", 0, "read", json!({ "of": of, "n": 4 })),
            plain_case("void", 5, "void", json!({})),
            plain_case("secret", 5, "secret", secret.clone()),
            plain_case("the largest number", u32::MAX, "void", json!({})),
            good("a piece, with zeros in it", message(&piece, &extra, Some(b"\0x\0")), shown_piece),
            good("an unknown type", message(&unknown, &extra, None), show(&unknown, "unknown", 3, Value::Null)),
            bad("a piece without bytes", message(&piece, &extra, None), "bad-field"),
            bad("bytes behind a text", message(&tea, &extra, Some(b"x")), "bad-field"),
            bad("n is 0", message(&core(0, "void", &json!({})), &extra, None), "bad-field"),
            bad("n is 2^32", message(r#"{"n":4294967296,"at":0,"type":"void","body":{}}"#, &extra, None), "bad-field"),
            bad("no view", message(&tea, "{}", None), "bad-field"),
            bad(
                "five entries in after",
                message(&tea, &format!(r#"{{"view":"{view}","after":"{five}"}}"#), None),
                "bad-field",
            ),
            bad("core is not JSON", message("tea", &extra, None), "bad-json"),
            bad("extra is not JSON", message(&tea, "tea", None), "bad-json"),
            bad(
                "to in a room message",
                message(&tea.replace("}}", &format!(r#"}},"to":"{of}"}}"#)), &extra, None),
                "not-for-me",
            ),
            wrong("an empty text", "text", r#"{"text":""}"#),
            wrong("a text that is no object", "text", r#""tea""#),
            wrong("a reference without a hash", "text", &format!(r#"{{"text":"x","re":{{"of":"{of}","n":1}}}}"#)),
            wrong(
                "a reaction of 33 bytes",
                "react",
                &with(&json!({ "re": re }), "text", json!("x".repeat(33))).to_string(),
            ),
            wrong("a timer of more than a year", "timer", r#"{"gone":31536001,"marks":false}"#),
            wrong("a file of no bytes", "file", &with(&with(&file, "size", json!(0)), "pieces", json!(0)).to_string()),
            wrong(
                "a file that is too large",
                "file",
                &with(&with(&file, "size", json!(16_777_217)), "pieces", json!(350)).to_string(),
            ),
            wrong("a file of too few pieces", "file", &with(&file, "pieces", json!(1)).to_string()),
            wrong("a roster out of order", "secret", &disordered.to_string()),
            wrong("want in the room", "want", &json!({ "id": id, "pieces": [1] }).to_string()),
            wrong("succession in the room", "succession", r#"{"chain":"","transfer":false}"#),
            bad(
                "a file with a path",
                message(&core(1, "file", &with(&file, "name", json!("a/b"))), &extra, None),
                "bad-name",
            ),
            bad(
                "core is longer than the whole",
                self.room_message(self.alice, INDEX, &[0, 0, 1, 0, b'{', b'}'], 0x80),
                "bad-length",
            ),
            bad(
                "signed by another member",
                self.room_message(self.bob, INDEX, &Self::plain(&tea, &extra, None), 0x80),
                "bad-signature",
            ),
            bad(
                "signed for another index",
                self.room_message(self.alice, 6, &Self::plain(&tea, &extra, None), 0x80),
                "bad-signature",
            ),
            bad("another chain key", with(&base, "chain_key", json!(to_base64(&[1; 32]))), "does-not-open"),
            bad(
                "another room",
                with(&base, "root", json!(key_text(self.bob.identity.verifying_key()))),
                "does-not-open",
            ),
            bad(
                "padding: wrong mark",
                self.room_message(self.alice, INDEX, &Self::plain(&tea, &extra, None), 0x81),
                "bad-padding",
            ),
            bad("epoch changed", changed(with_head(&shared, 2, 3)), "does-not-open"),
            bad("index changed", changed(flip(&shared, 13)), "does-not-open"),
            bad("ciphertext changed", changed(flip(&shared, -1)), "does-not-open"),
            bad("an index of 128", changed(set(&shared, 13, 128)), "bad-field"),
            bad("an unknown tag", changed(set(&shared, 5, 3)), "bad-kind"),
            bad("the first version", changed(with_head(&shared, 1, 2)), "unknown-version"),
            bad("too short", changed(to_base64(&[2, 0, 0, 0, 2, 0, 0, 0, 0, 7, 0, 0, 0, 5, 1])), "bad-length"),
            bad("not base64", changed(format!("{shared}=")), "bad-base64"),
        ]
    }

    fn private_message(&self, signed_for: &Member, core: &str) -> Value {
        let step = step(&self.chain_key);
        let plain = Self::plain(core, &format!(r#"{{"view":"{}"}}"#, to_base64(&[0; 16])), None);
        let to = signed_for.identity.fingerprint();
        let statement = length_prefixed(&[
            b"subrosa v2 private",
            self.root.as_bytes(),
            &EPOCH_BYTES,
            to.as_bytes(),
            &step.commit,
            &plain,
        ]);
        let signature = self.alice.identity.sign(&statement).expect("signed");
        let (from, to) = (self.alice.identity.fingerprint(), self.bob.identity.fingerprint());
        let aad = [b"subrosa v2 private", &HEAD[..], self.root.as_bytes(), from.as_bytes(), to.as_bytes()].concat();
        let sealed = gcm(&step.key, step.nonce, &aad, &padding::pad(&[&signature, &plain], 0, 0));
        let hand = self.to_leaf(self.bob, b"subrosa v2 private", &[], &self.chain_key);
        let mut case = self.base();
        case["shared"] = json!(to_base64(&[&HEAD[..], &[1], &sealed].concat()));
        case["content"] = json!(to_base64(&[&[2, 2][..], &LEAF_GENERATION.to_be_bytes(), &hand].concat()));
        case
    }

    fn private_cases(&self) -> Vec<Value> {
        let core = |kind: &str, body: &str, to: &str| {
            let to = self.keys.identity(to).fingerprint().to_base64();
            format!(r#"{{"n":1,"at":1790000000000,"type":"{kind}","body":{body},"to":"{to}"}}"#)
        };
        let tea = core("text", r#"{"text":"tea"}"#, "bob");
        let base = with(&self.private_message(self.bob, &tea), "core", json!(tea));
        let content = base["content"].as_str().expect("text").to_owned();
        let shared = base["shared"].as_str().expect("text").to_owned();
        let id = to_base64(&[9; 16]);
        let (want, succession) =
            (format!(r#"{{"id":"{id}","pieces":[0,349]}}"#), r#"{"chain":"AAAA","transfer":true}"#);
        let ok = |core: &str, kind: &str, body: Value| {
            let fingerprint = self.alice.identity.fingerprint();
            let said = sha256(&length_prefixed(&[b"subrosa v2 said", fingerprint.as_bytes(), core.as_bytes()]));
            json!({
                "n": 1, "at": 1_790_000_000_000_u64, "type": kind, "body": body, "said": to_base64(&said[..16]),
                "view": to_base64(&[0; 16]), "after": [], "to": self.bob.identity.fingerprint().to_base64(),
            })
        };
        let case = |kind: &str, body: &str| {
            let core = core(kind, body, "bob");
            good(
                kind,
                self.private_message(self.bob, &core),
                ok(&core, kind, serde_json::from_str(body).expect("JSON")),
            )
        };
        let wrong = |kind: &str, body: &str| {
            bad(&format!("{kind} in private"), self.private_message(self.bob, &core(kind, body, "bob")), "bad-field")
        };
        let without_to = r#"{"n":1,"at":0,"type":"void","body":{}}"#;
        vec![
            good("text", base.clone(), ok(&tea, "text", json!({ "text": "tea" }))),
            case("want", &want),
            case("succession", succession),
            wrong("timer", r#"{"gone":1,"marks":false}"#),
            wrong("typing", r#"{"on":true}"#),
            wrong("read", r#"{"of":"","n":1}"#),
            bad(
                "for another member",
                self.private_message(self.bob, &core("text", r#"{"text":"tea"}"#, "carol")),
                "not-for-me",
            ),
            bad("for nobody", self.private_message(self.bob, without_to), "not-for-me"),
            bad("signed for another member", self.private_message(&self.keys.0["carol"], &tea), "bad-signature"),
            bad(
                "another sender",
                with(&base, "sender_key", json!(key_text(self.bob.identity.verifying_key()))),
                "hand-does-not-open",
            ),
            bad("another recipient", with(&base, "recipient", json!("dave")), "hand-does-not-open"),
            bad("content changed", with(&base, "content", json!(flip(&content, -1))), "hand-does-not-open"),
            bad("shared changed", with(&base, "shared", json!(flip(&shared, -1))), "does-not-open"),
            bad(
                "the epoch of shared changed",
                with(&base, "shared", json!(with_head(&shared, 2, 3))),
                "hand-does-not-open",
            ),
            bad(
                "content of a hand's length",
                with(&base, "content", json!(self.hand(self.alice, INDEX, SAID))),
                "bad-kind",
            ),
        ]
    }

    fn note_of(&self, signer: &Member, json: &str) -> Value {
        let leaf = self.alice.public_leaf();
        let generation = LEAF_GENERATION.to_be_bytes();
        let statement = length_prefixed(&[
            b"subrosa v2 note",
            self.root.as_bytes(),
            &EPOCH_BYTES,
            &generation,
            &leaf.key[..],
            json.as_bytes(),
        ]);
        let signature = signer.identity.sign(&statement).expect("signed");
        let padded = padding::pad(&[&signature, &generation, &leaf.key[..], json.as_bytes()], 2048, 0);
        let nonce = Seeded::new(json).array::<12>();
        let aad = [b"subrosa v2 note", &HEAD[..], self.root.as_bytes()].concat();
        let key = derive(self.secret.expose(), b"subrosa v2 note", 32);
        let sealed = gcm(&key, nonce, &aad, &padded);
        let mut case = room(self.root, &self.secret);
        case["sender_key"] = json!(key_text(self.alice.identity.verifying_key()));
        case["shared"] = json!(to_base64(&[&HEAD[..], &[2], &nonce, &sealed].concat()));
        case["json"] = json!(json);
        case
    }

    fn note_cases(&self) -> Vec<Value> {
        let to = |count: usize| vec![self.bob.identity.fingerprint().to_base64(); count];
        let written =
            |to: Vec<String>, epoch: u32, lacks: &str| json!({ "to": to, "epoch": epoch, "lacks": lacks }).to_string();
        let ok = |count: usize, lacks: &str| json!({ "to": to(count), "epoch": EPOCH, "lacks": lacks, "leaf_generation": LEAF_GENERATION, "leaf": self.alice.leaf["public"] });
        let note = |json: &str| self.note_of(self.alice, json);
        let base = note(&written(to(1), EPOCH, "secret"));
        let shared = base["shared"].as_str().expect("text").to_owned();
        let changed = |shared: String| with(&base, "shared", json!(shared));
        vec![
            good("lacks a secret", base.clone(), ok(1, "secret")),
            good("lacks a chain, asks eight", note(&written(to(8), EPOCH, "chain")), ok(8, "chain")),
            bad("asks nobody", note(&written(to(0), EPOCH, "chain")), "bad-field"),
            bad("asks nine", note(&written(to(9), EPOCH, "chain")), "bad-field"),
            bad("another epoch inside", note(&written(to(1), EPOCH + 1, "chain")), "bad-field"),
            bad("lacks something else", note(&written(to(1), EPOCH, "tea")), "bad-field"),
            bad("not JSON", note("tea"), "bad-json"),
            bad("signed by another member", self.note_of(self.bob, &written(to(1), EPOCH, "secret")), "bad-signature"),
            bad("epoch changed", changed(with_head(&shared, 2, 3)), "wrong-epoch"),
            bad("nonce changed", changed(flip(&shared, 7)), "does-not-open"),
            bad("ciphertext changed", changed(flip(&shared, -1)), "does-not-open"),
            bad("another secret", with(&base, "secret", json!(to_base64(room_secret(3).expose()))), "does-not-open"),
            bad(
                "another room",
                with(&base, "root", json!(key_text(self.bob.identity.verifying_key()))),
                "does-not-open",
            ),
            bad("another tag", changed(set(&shared, 5, 1)), "bad-kind"),
            bad("not base64", changed(format!("{shared}=")), "bad-base64"),
        ]
    }
}

fn set(sealed: &str, at: usize, to: u8) -> String {
    let mut bytes = subrosa::sealed::encoding::from_base64(sealed).expect("base64");
    bytes[at] = to;
    to_base64(&bytes)
}
