//! The worked example: its values are those of the test vectors, and each step follows from the one before. The steps
//! are made here from the cryptographic library alone, as a client author would.

use std::fs;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use subrosa::protocol::public_key::PublicKey;
use subrosa::sealed::VerifyingKey;

use super::document::{blocks, table};

fn case(file: &str, name: &str) -> Value {
    let path = format!("{}/tests/vectors/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let file: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
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

fn hkdf(salt: &[u8], ikm: &[u8], info: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 32];
    Salt::new(HKDF_SHA256, salt).extract(ikm).expand(&[info], HKDF_SHA256).unwrap().fill(&mut out).unwrap();
    out
}

/// Takes `H ‖ nonce ‖ ciphertext` apart and opens it; the nonce, the padded plaintext, and what is left without
/// padding.
fn open(sealed: &[u8], key: &[u8], aad: &[u8]) -> (Vec<u8>, usize, Vec<u8>) {
    let (nonce, mut inside) = (sealed[5..17].to_vec(), sealed[17..].to_vec());
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap());
    let nonce_bytes = Nonce::try_assume_unique_for_key(&nonce).unwrap();
    let padded = key.open_in_place(nonce_bytes, Aad::from(aad), &mut inside).unwrap();
    let mark = padded.iter().rposition(|byte| *byte != 0).unwrap();
    assert_eq!(padded[mark], 0x80);
    (nonce, padded.len(), padded[..mark].to_vec())
}

fn verify(key: &[u8], message: &[u8], signature: &[u8]) {
    UnparsedPublicKey::new(&ED25519, key).verify(message, signature).unwrap();
}

/// The parts of the link, by the layout of section 11.
fn parts(url: &str) -> Vec<Vec<u8>> {
    let bytes = read(url.split_once("/#").unwrap().1);
    assert_eq!(bytes[0], 1);
    let (mut rest, mut parts) = (&bytes[1..], Vec::new());
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (part, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        parts.push(part.to_vec());
        rest = after;
    }
    assert_eq!((parts.len(), rest.len()), (8, 0));
    parts
}

fn steps() -> Vec<(&'static str, String)> {
    let (link, card, message) =
        (case("link", "one-time"), case("card", "a member with an invite"), case("message", "text"));
    let parts = parts(text(&link, "url"));
    let [room_id, join_key, secret, root, certificate, room_name, ..] = &parts[..] else { panic!("eight parts") };
    let room_secret = &secret[4..];
    let said = lp(&[b"subrosa v1 invite", root, &certificate[..29]]);
    verify(root, &said, &certificate[29..]);
    let identity = VerifyingKey::from_bytes(root.as_slice().try_into().unwrap()).fingerprint();
    let fingerprint = sha256(&lp(&[b"subrosa v1 identity", root]));
    assert_eq!(fingerprint, identity.as_bytes());

    let bound = sha256(PublicKey::from_pem(text(&card, "public_key_pem")).unwrap().pkcs1_der());
    let card_key = hkdf(&[], room_secret, b"subrosa v1 card");
    let sealed = read(text(&card, "card"));
    let card_aad = [b"subrosa v1 card", &sealed[..5], &bound].concat();
    let (card_nonce, card_padded, inside) = open(&sealed, &card_key, &card_aad);
    let (card_signature, json) = inside.split_at(64);
    assert_eq!(json, text(&card, "json").as_bytes());
    let card_signed = lp(&[b"subrosa v1 card", root, &bound, json]);
    let json: Value = serde_json::from_slice(json).unwrap();
    verify(&read(text(&json, "key")), &card_signed, card_signature);

    let content_key = read(text(&message, "content_key"));
    let message_key = hkdf(room_secret, &content_key, b"subrosa v1 message");
    let sealed = read(text(&message, "shared"));
    let aad = [b"subrosa v1 message", &sealed[..5], root].concat();
    let (nonce, padded, inside) = open(&sealed, &message_key, &aad);
    let (signature, plain) = inside.split_at(64);
    assert_eq!(plain, text(&message, "plain").as_bytes());
    let signed = lp(&[b"subrosa v1 message", root, plain]);
    verify(root, &signed, signature);

    let utf8 = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    vec![
        ("link: room id", utf8(room_id)),
        ("link: join key", utf8(join_key)),
        ("link: room name", utf8(room_name)),
        ("link: `R`, epoch 0", write(room_secret)),
        ("link: `root`", write(root)),
        ("link: id of the certificate", write(&certificate[4..20])),
        ("link: SHA-256 of what its signature covers", write(sha256(&said))),
        ("fingerprint of `root`", write(&fingerprint)),
        ("its groups", identity.groups().join(" ")),
        ("its words", identity.words().join(" ")),
        ("card: `bound`", write(&bound)),
        ("card: `K_card`", write(card_key)),
        ("card: nonce", write(card_nonce)),
        ("card: aad", write(card_aad)),
        ("card: length once padded", card_padded.to_string()),
        ("card: SHA-256 of what `sig` covers", write(sha256(&card_signed))),
        ("card: `sig`", write(card_signature)),
        ("message: `CEK`", write(content_key)),
        ("message: `K`", write(message_key)),
        ("message: nonce", write(nonce)),
        ("message: aad", write(aad)),
        ("message: length once padded", padded.to_string()),
        ("message: SHA-256 of what the signature covers", write(sha256(&signed))),
        ("message: signature", write(signature)),
    ]
}

#[test]
fn steps_are_as_written() {
    let rows: Vec<_> = table("worked-example").into_iter().map(|row| format!("| {} |", row.join(" | "))).collect();
    let steps: Vec<_> = steps().into_iter().map(|(name, value)| format!("| {name} | `{value}` |")).collect();
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
