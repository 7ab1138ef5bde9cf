//! The worked example: its values are those of the test vectors, and each step follows from the one before. The steps are made here
//! from the cryptographic library alone, as a client author would.

use std::fs;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use subrosa::sealed::VerifyingKey;

use super::document::{blocks, table};

fn vectors(file: &str) -> Value {
    let path = format!("{}/tests/vectors/{file}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn case(file: &str, name: &str) -> Value {
    let file = vectors(file);
    let case = file["cases"].as_array().unwrap().iter().find(|case| case["name"] == name);
    case.unwrap_or_else(|| panic!("no case {name}")).clone()
}

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap_or_else(|| panic!("no field {field}"))
}

fn write(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn read(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

fn lp(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().flat_map(|part| [&u32::try_from(part.len()).unwrap().to_be_bytes()[..], part].concat()).collect()
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &parts.concat()).as_ref().to_vec()
}

/// HKDF with an empty salt.
fn hkdf(ikm: &[u8], info: &[u8], length: usize) -> Vec<u8> {
    let prk = mac(&[0; 32], &[ikm]);
    let (mut out, mut block) = (Vec::new(), Vec::new());
    for counter in 1..=4 {
        block = mac(&prk, &[&block, info, &[counter]]);
        out.extend_from_slice(&block);
    }
    out.truncate(length);
    out
}

fn gcm_open(key: &[u8], nonce: &[u8], aad: &[u8], sealed: &[u8]) -> Vec<u8> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap());
    let mut inside = sealed.to_vec();
    let nonce = Nonce::try_assume_unique_for_key(nonce).unwrap();
    key.open_in_place(nonce, Aad::from(aad), &mut inside).unwrap().to_vec()
}

/// What is left without padding.
fn unpad(padded: &[u8]) -> Vec<u8> {
    let mark = padded.iter().rposition(|byte| *byte != 0).unwrap();
    assert_eq!(padded[mark], 0x80);
    padded[..mark].to_vec()
}

fn verify(key: &[u8], message: &[u8], signature: &[u8]) {
    UnparsedPublicKey::new(&ED25519, key).verify(message, signature).unwrap();
}

/// The parts of the link, by the layout of section 11.
fn parts(url: &str) -> Vec<Vec<u8>> {
    let bytes = read(url.split_once("/#").unwrap().1);
    assert_eq!(bytes[0], 2);
    let (mut rest, mut parts) = (&bytes[1..], Vec::new());
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (part, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        parts.push(part.to_vec());
        rest = after;
    }
    assert_eq!((parts.len(), rest.len()), (8, 0));
    parts
}

type Steps = Vec<(&'static str, String)>;

fn link_steps() -> Steps {
    let link = case("link", "plain");
    let parts = parts(text(&link, "url"));
    let [room_id, join_key, secret, root, certificate, ..] = &parts[..] else { panic!("eight parts") };
    let said = lp(&[b"subrosa v2 invite", root, &sha256(b""), &certificate[..30]]);
    verify(root, &said, &certificate[30..]);
    let identity = VerifyingKey::from_bytes(root.as_slice().try_into().unwrap()).unwrap().fingerprint();
    let fingerprint = sha256(&lp(&[b"subrosa v2 identity", root]));
    assert_eq!(fingerprint, identity.as_bytes());
    let utf8 = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    vec![
        ("link: room id", utf8(room_id)),
        ("link: join key", utf8(join_key)),
        ("link: `R`, epoch 0", write(&secret[4..])),
        ("link: `root`", write(root)),
        ("link: id of the certificate", write(&certificate[4..20])),
        ("link: SHA-256 of what its signature covers", write(sha256(&said))),
        ("fingerprint of `root`", write(&fingerprint)),
        ("its groups", identity.groups().join(" ")),
        ("its words", identity.words().join(" ")),
    ]
}

fn card_steps() -> Steps {
    let card = case("card", "a member with an invite");
    let (root, secret) = (read(text(&card, "root")), read(text(&card, "secret")));
    let card_key = hkdf(&secret, b"subrosa v2 card", 32);
    let sealed = read(text(&card, "card"));
    let (head, nonce) = (&sealed[..5], &sealed[5..17]);
    let aad = [b"subrosa v2 card", head].concat();
    let padded = gcm_open(&card_key, nonce, &aad, &sealed[17..]);
    let inside = unpad(&padded);
    let (signature, rest) = inside.split_at(64);
    let (generation, rest) = rest.split_at(4);
    let (leaf, json) = rest.split_at(1216);
    assert_eq!(json, text(&card, "json").as_bytes());
    let signed = lp(&[b"subrosa v2 card", &root, &head[1..], generation, leaf, json]);
    let json: Value = serde_json::from_slice(json).unwrap();
    verify(&read(text(&json, "key")), &signed, signature);
    vec![
        ("card: `K_card`", write(card_key)),
        ("card: nonce", write(nonce)),
        ("card: aad", write(aad)),
        ("card: length once padded", padded.len().to_string()),
        ("card: leaf generation", u32::from_be_bytes(generation.try_into().unwrap()).to_string()),
        ("card: SHA-256 of the leaf", write(sha256(leaf))),
        ("card: SHA-256 of what `sig` covers", write(sha256(&signed))),
        ("card: `sig`", write(signature)),
    ]
}

fn hand_steps() -> Steps {
    let hand = case("hand", "a hand");
    let keys = vectors("keys");
    let bob = &keys["members"]["bob"];
    let (root, secret) = (read(text(&hand, "root")), read(text(&hand, "secret")));
    let from = sha256(&lp(&[b"subrosa v2 identity", &read(text(&hand, "sender_key"))]));
    let to = read(text(bob, "fingerprint"));
    let content = read(text(&hand, "content"));
    let number = |field: &str| u32::try_from(hand[field].as_u64().unwrap()).unwrap().to_be_bytes();
    let (epoch, generation, index) = (number("epoch"), number("generation"), number("index"));
    let leaf_generation = &content[2..6];
    let (enc, sealed) = content[6..].split_at(1120);
    assert_eq!(enc, read(text(&bob["leaf"], "enc")));
    // What X-Wing gives the holder of the leaf.
    let shared_secret = read(text(&bob["leaf"], "shared_secret"));
    let psk = hkdf(&secret, b"subrosa v2 psk", 32);
    let psk_id = [&b"subrosa v2 psk"[..], &epoch].concat();
    let info = lp(&[b"subrosa v2 hand", &root, &epoch, &from]);
    let aad = [&to[..], leaf_generation, &generation, &index].concat();
    let suite = b"HPKE\x64\x7a\x00\x01\x00\x02";
    let extract = |salt: &[u8], label: &[u8], ikm: &[u8]| mac(salt, &[b"HPKE-v1", suite, label, ikm]);
    let scheduled = [&[1][..], &extract(&[], b"psk_id_hash", &psk_id), &extract(&[], b"info_hash", &info)].concat();
    let schedule = extract(&shared_secret, b"secret", &psk);
    let expand = |label: &[u8], length: u8| {
        mac(&schedule, &[&[0, length], b"HPKE-v1", suite, label, &scheduled, &[1]])[..length.into()].to_vec()
    };
    let (key, nonce) = (expand(b"key", 32), expand(b"base_nonce", 12));
    let plain = gcm_open(&key, &nonce, &aad, sealed);
    let (signature, rest) = plain.split_at(64);
    let (said, chain_key) = rest.split_at(4);
    let parts: [&[u8]; 9] =
        [b"subrosa v2 hand", &root, &epoch, &to, leaf_generation, &generation, &index, said, &sha256(chain_key)];
    let signed = lp(&parts);
    verify(&read(text(&hand, "sender_key")), &signed, signature);
    vec![
        ("hand: `P`", write(psk)),
        ("hand: shared secret of X-Wing", write(shared_secret)),
        ("hand: SHA-256 of `info`", write(sha256(&info))),
        ("hand: aad", write(aad)),
        ("hand: HPKE's `secret`", write(schedule)),
        ("hand: HPKE's `key`", write(key)),
        ("hand: HPKE's `base_nonce`", write(nonce)),
        ("hand: `said`", u32::from_be_bytes(said.try_into().unwrap()).to_string()),
        ("hand: `ck`", write(chain_key)),
        ("hand: SHA-256 of what its signature covers", write(sha256(&signed))),
    ]
}

fn message_steps() -> Steps {
    let message = case("message", "text");
    let (root, author) = (read(text(&message, "root")), read(text(&message, "sender_key")));
    let step = hkdf(&read(text(&message, "chain_key")), b"subrosa v2 step", 108);
    let (next, key, nonce, commit) = (&step[..32], &step[32..64], &step[64..76], &step[76..]);
    let shared = read(text(&message, "shared"));
    let (head, place, sealed) = (&shared[..5], &shared[6..14], &shared[14..]);
    let aad = [b"subrosa v2 message", head, place, &root].concat();
    let padded = gcm_open(key, nonce, &aad, sealed);
    let inside = unpad(&padded);
    let (signature, plain) = inside.split_at(64);
    let (core, extra) = (text(&message, "core"), text(&message, "extra"));
    assert_eq!(
        plain,
        [&u32::try_from(core.len()).unwrap().to_be_bytes()[..], core.as_bytes(), extra.as_bytes()].concat()
    );
    let signed = lp(&[b"subrosa v2 message", &root, &head[1..], &place[..4], &place[4..], commit, plain]);
    verify(&author, &signed, signature);
    let fingerprint = sha256(&lp(&[b"subrosa v2 identity", &author]));
    let said = sha256(&lp(&[b"subrosa v2 said", &fingerprint, core.as_bytes()]));
    assert_eq!(write(&said[..16]), text(&message["expect"]["ok"], "said"));
    vec![
        ("message: next `ck`", write(next)),
        ("message: `key`", write(key)),
        ("message: `nonce`", write(nonce)),
        ("message: `commit`", write(commit)),
        ("message: aad", write(aad)),
        ("message: length once padded", padded.len().to_string()),
        ("message: SHA-256 of what the signature covers", write(sha256(&signed))),
        ("message: signature", write(signature)),
        ("message: said hash", write(&said[..16])),
    ]
}

#[test]
fn steps_are_as_written() {
    let rows: Vec<_> = table("worked-example").into_iter().map(|row| format!("| {} |", row.join(" | "))).collect();
    let steps = [link_steps(), card_steps(), hand_steps(), message_steps()].concat();
    let steps: Vec<_> = steps.into_iter().map(|(name, value)| format!("| {name} | `{value}` |")).collect();
    assert_eq!(rows, steps, "the steps are\n{}", steps.join("\n"));
}

#[test]
fn values_are_those_of_the_vectors() {
    let mut checked = 0;
    for block in blocks("text") {
        let Some(place) = block.info.strip_prefix("text vector=\"") else { continue };
        let place: Vec<_> = place.trim_end_matches('"').split(": ").collect();
        let [file, name, field] = place[..] else { panic!("{}", block.info) };
        assert_eq!(block.text, text(&case(file, name), field).trim_end(), "{}", block.info);
        checked += 1;
    }
    assert!(checked > 0);
}
