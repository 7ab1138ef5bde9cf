//! What all generators share, and every file but cards, links and messages.
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use subrosa::sealed::{
    Certificate, Fingerprint, Identity, InviteKind, OwnerChain, RoomSecret, VerifyingKey,
    encoding::{from_base64, length_prefixed, to_base64},
    padding,
};

use super::{keys::Keys, seeded::Seeded};

/// A case that must come out with this value.
pub(crate) fn good(name: &str, mut input: Value, ok: Value) -> Value {
    input["name"] = json!(name);
    input["expect"] = json!({ "ok": ok });
    input
}

/// A case that must be refused with this identifier.
pub(crate) fn bad(name: &str, mut input: Value, error: &str) -> Value {
    input["name"] = json!(name);
    input["expect"] = json!({ "error": error });
    input
}

/// The sealed string with one bit of one byte flipped; a negative index counts from the end.
pub(crate) fn flip(sealed: &str, at: isize) -> String {
    let mut bytes = from_base64(sealed).expect("base64");
    let at = if at < 0 { bytes.len() - at.unsigned_abs() } else { at.unsigned_abs() };
    bytes[at] ^= 0x10;
    to_base64(&bytes)
}

/// The same with a version of the future, or another epoch.
pub(crate) fn with_head(sealed: &str, version: u8, epoch: u8) -> String {
    let mut bytes = from_base64(sealed).expect("base64");
    (bytes[0], bytes[4]) = (version, epoch);
    to_base64(&bytes)
}

/// The sealed string without its last bytes.
pub(crate) fn cut(sealed: &str, bytes: usize) -> String {
    let sealed = from_base64(sealed).expect("base64");
    to_base64(&sealed[..sealed.len() - bytes])
}

/// Seals `plain` as it is, padding and all, without the crate's own code: HKDF-SHA256, then AES-256-GCM.
pub(crate) fn seal_raw(head: &[u8], nonce: [u8; 12], key: [&[u8]; 3], aad: &[u8], plain: &[u8]) -> String {
    let [salt, ikm, info] = key;
    let info = [info];
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(ikm);
    let key = LessSafeKey::new(UnboundKey::from(prk.expand(&info, &AES_256_GCM).expect("a key")));
    let mut sealed = plain.to_vec();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut sealed).expect("sealed");
    to_base64(&[head, &nonce, &sealed].concat())
}

/// A copy of `case` with one field changed.
pub(crate) fn with(case: &Value, field: &str, value: Value) -> Value {
    let mut case = case.clone();
    case[field] = value;
    case
}

/// One file.
pub(crate) fn file(name: &'static str, about: &str, cases: Vec<Value>) -> (&'static str, Value) {
    (name, json!({ "about": about, "cases": cases }))
}

/// Every file that this module makes.
pub(crate) fn all(keys: &Keys) -> Vec<(&'static str, Value)> {
    vec![
        file("base64", "Strict URL-safe base64 without padding; `ok` is in hexadecimal.", base64_cases()),
        file("json", "Documents in base64 that are, or are not, strict JSON objects.", json_cases()),
        file("name", "Display names.", name_cases()),
        file("padding", "Taking padding off; `ok` is the data in base64.", padding_cases()),
        file("bucket", "How long `length` bytes are once padded, at least `least`.", bucket_cases()),
        file("fingerprint", "Fingerprints of Ed25519 keys, as groups and as words.", fingerprint_cases(keys)),
        file("view", "Views of rooms.", view_cases(keys)),
        file("certificate", "Invite certificates.", certificate_cases(keys)),
        file("chain", "Chains of owners.", chain_cases(keys)),
    ]
}

fn base64_cases() -> Vec<Value> {
    let case = |text: &str| json!({ "text": text });
    vec![
        good("empty", case(""), json!("")),
        good("both special characters", case("-_8"), json!("fbff")),
        good("three bytes", case("AAEC"), json!("000102")),
        bad("padded", case("-_8="), "bad-base64"),
        bad("standard alphabet", case("+/8"), "bad-base64"),
        bad("stray bits", case("-_9"), "bad-base64"),
        bad("one character too many", case("AAECA"), "bad-base64"),
        bad("white space", case("AAEC\n"), "bad-base64"),
    ]
}

fn json_cases() -> Vec<Value> {
    let case = |document: &[u8]| json!({ "document": URL_SAFE_NO_PAD.encode(document) });
    vec![
        good("plain", case(br#"{"a":1,"b":{"a":2}}"#), json!({})),
        good("escaped surrogate pair", case(br#"{"a":"\ud83c\udf75"}"#), json!({})),
        good("white space", case(b" {\n\"a\" : null } "), json!({})),
        bad("a name twice", case(br#"{"a":1,"a":1}"#), "bad-json"),
        bad("a name twice inside", case(br#"{"x":[{"a":1,"a":2}]}"#), "bad-json"),
        bad("a name twice by an escape", case(br#"{"a":1,"\u0061":2}"#), "bad-json"),
        bad("lone leading surrogate", case(br#"{"a":"\ud83c"}"#), "bad-json"),
        bad("lone trailing surrogate", case(br#"{"a":"\udf75"}"#), "bad-json"),
        bad("lone surrogate in a name", case(br#"{"\ud83c":1}"#), "bad-json"),
        bad("not UTF-8", case(b"{\"a\":\"\xff\"}"), "bad-json"),
        bad("surrogate in UTF-8", case(b"{\"a\":\"\xed\xa0\xbc\"}"), "bad-json"),
        bad("byte order mark", case(b"\xef\xbb\xbf{}"), "bad-json"),
        bad("raw control character", case(b"{\"a\":\"\t\"}"), "bad-json"),
        bad("not an object", case(b"[]"), "bad-json"),
        bad("something after it", case(b"{} {}"), "bad-json"),
        bad("comma at the end", case(br#"{"a":1,}"#), "bad-json"),
    ]
}

fn name_cases() -> Vec<Value> {
    let case = |text: &str| json!({ "text": text });
    let mut cases = Vec::new();
    for name in ["alice", "Zoë", "李", "two words", "🍵", &"x".repeat(64)] {
        cases.push(good(&format!("allowed: {}", name.chars().take(9).collect::<String>()), case(name), json!({})));
    }
    for (why, name) in [
        ("empty", ""),
        ("65 bytes", &*"x".repeat(65)),
        ("66 bytes in 22 characters", &"李".repeat(22)),
        ("line feed", "a\nb"),
        ("zero", "a\u{0}"),
        ("C1 control", "a\u{85}"),
        ("delete", "a\u{7f}"),
        ("right-to-left override", "a\u{202e}b"),
        ("isolate", "\u{2067}a"),
        ("right-to-left mark", "a\u{200f}"),
        ("Arabic letter mark", "a\u{61c}"),
        ("line separator", "a\u{2028}b"),
        ("not NFC", "Zoe\u{308}"),
    ] {
        cases.push(bad(why, case(name), "bad-name"));
    }
    cases
}

fn padding_cases() -> Vec<Value> {
    let case = |padded: &[u8]| json!({ "padded": to_base64(padded) });
    let tea = padding::pad(&[b"tea"], 0, 0).to_vec();
    let changed = |at: usize, to: u8| {
        let mut padded = tea.clone();
        padded[at] = to;
        padded
    };
    vec![
        good("three bytes", case(&tea), json!(to_base64(b"tea"))),
        good("nothing", case(&padding::pad(&[], 0, 0)), json!("")),
        good("as full as it goes", case(&padding::pad(&[&[7; 255]], 0, 0)), json!(to_base64(&[7; 255]))),
        good("ends like padding", case(&padding::pad(&[&[0x80, 0]], 0, 0)), json!(to_base64(&[0x80, 0]))),
        good("a larger bucket than needed", case(&padding::pad(&[b"tea"], 1024, 0)), json!(to_base64(b"tea"))),
        bad("wrong mark", case(&changed(3, 0x81)), "bad-padding"),
        bad("not zero after the mark", case(&changed(255, 1)), "bad-padding"),
        bad("no mark", case(&[0; 256]), "bad-padding"),
        bad("no bucket", case(&tea[..255]), "bad-padding"),
        bad("no bucket: 768", case(&[&tea[..], &[0; 512]].concat()), "bad-padding"),
        bad("empty", case(&[]), "bad-padding"),
    ]
}

fn bucket_cases() -> Vec<Value> {
    let sizes = [0, 1, 255, 256, 511, 512, 1023, 1024, 8191, 8192, 16_383, 16_384, 32_767, 32_768, 1_000_000];
    let expected = [256, 256, 256, 512, 512, 1024, 1024, 2048, 8192, 16_384, 16_384, 32_768, 32_768, 49_152, 1_015_808];
    let mut cases: Vec<_> = sizes
        .iter()
        .zip(expected)
        .map(|(size, bucket)| good(&format!("{size}"), json!({ "length": size, "least": 0 }), json!(bucket)))
        .collect();
    cases.push(good("a card", json!({ "length": 400, "least": 1024 }), json!(1024)));
    cases
}

fn fingerprint_cases(keys: &Keys) -> Vec<Value> {
    let words: Vec<_> = include_str!("../../../src/sealed/words.txt").lines().collect();
    keys.0
        .iter()
        .map(|(name, member)| {
            let key = member.identity.verifying_key().as_bytes();
            let hashed = length_prefixed(&[b"subrosa v1 identity", key]);
            let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &hashed);
            let hash = hash.as_ref();
            let groups: Vec<_> =
                hash[..24].chunks(2).map(|b| format!("{:05}", b[0] as u32 * 256 + b[1] as u32)).collect();
            let bits: String = hash.iter().map(|byte| format!("{byte:08b}")).collect();
            let read_out: Vec<_> =
                (0..6).map(|i| words[usize::from_str_radix(&bits[i * 11..][..11], 2).expect("bits")]).collect();
            let ok = json!({ "fingerprint": to_base64(hash), "groups": groups, "words": read_out });
            good(name, json!({ "key": to_base64(key) }), ok)
        })
        .collect()
}

fn view_cases(keys: &Keys) -> Vec<Value> {
    let print = |name: &&str| keys.identity(name).fingerprint();
    let case = |name: &str, owner: &str, members: &[&str]| {
        let owner: Fingerprint = print(&owner);
        let prints: Vec<_> = members.iter().map(print).collect();
        let mut sorted: Vec<_> = prints.iter().map(|print| *print.as_bytes()).collect();
        sorted.sort_unstable();
        let hash =
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &[&owner.as_bytes()[..], &sorted.concat()].concat());
        let members: Vec<_> = prints.into_iter().map(Fingerprint::to_base64).collect();
        let input = json!({ "owner": owner.to_base64(), "members": members });
        good(name, input, json!(to_base64(&hash.as_ref()[..16])))
    };
    vec![
        case("the creator alone", "alice", &["alice"]),
        case("three members", "alice", &["carol", "alice", "bob"]),
        case("the order given does not matter", "alice", &["bob", "carol", "alice"]),
        case("another owner", "bob", &["alice", "bob", "carol"]),
        case("the owner has left", "alice", &["bob", "carol"]),
    ]
}

/// A certificate made from the seed `label`.
pub(crate) fn certificate(
    owner: &Identity,
    root: &VerifyingKey,
    epoch: u32,
    label: &str,
    kind: InviteKind,
) -> Certificate {
    let expiry = if kind == InviteKind::OneTime { 1_800_000_000 } else { 0 };
    Certificate::issue(owner, root, epoch, Seeded::new(label).array(), kind, expiry).expect("signed")
}

/// A certificate as `expect` shows it.
pub(crate) fn shown(certificate: &Certificate) -> Value {
    let kind = if certificate.kind == InviteKind::OneTime { "one-time" } else { "forever" };
    json!({ "epoch": certificate.epoch, "id": to_base64(&certificate.id), "kind": kind, "expiry": certificate.expiry })
}

/// A key in base64.
pub(crate) fn key_text(key: &VerifyingKey) -> String {
    to_base64(key.as_bytes())
}

fn certificate_cases(keys: &Keys) -> Vec<Value> {
    let (alice, bob) = (keys.identity("alice"), keys.identity("bob"));
    let root = alice.verifying_key();
    let one_time = certificate(alice, root, 0, "one-time", InviteKind::OneTime);
    let forever = certificate(alice, root, 3, "forever", InviteKind::Forever);
    let case = |certificate: &Certificate| {
        json!({
            "signer": "alice",
            "root": key_text(root),
            "owner": key_text(alice.verifying_key()),
            "certificate": to_base64(&certificate.to_bytes()),
        })
    };
    let base = case(&one_time);
    let text = base["certificate"].as_str().expect("text").to_owned();
    let tampered = |at| with(&base, "certificate", json!(flip(&text, at)));
    let mut kind = one_time.to_bytes();
    kind[20] = 3;
    let mut other_kind = one_time.to_bytes();
    other_kind[20] = 2;
    let later_owner = certificate(bob, root, 1, "by bob", InviteKind::OneTime);
    let mut by_bob = with(&case(&later_owner), "owner", json!(key_text(bob.verifying_key())));
    by_bob["signer"] = json!("bob");
    vec![
        good("one-time", base.clone(), shown(&one_time)),
        good("forever", case(&forever), shown(&forever)),
        good("by a later owner", by_bob, shown(&later_owner)),
        bad("epoch changed", tampered(3), "bad-signature"),
        bad("id changed", tampered(10), "bad-signature"),
        bad("expiry changed", tampered(25), "bad-signature"),
        bad("signature changed", tampered(-1), "bad-signature"),
        bad("kind changed", with(&base, "certificate", json!(to_base64(&other_kind))), "bad-signature"),
        bad("unknown kind", with(&base, "certificate", json!(to_base64(&kind))), "bad-kind"),
        bad("too short", with(&base, "certificate", json!(to_base64(&kind[..92]))), "bad-length"),
        bad("another room", with(&base, "root", json!(key_text(bob.verifying_key()))), "bad-signature"),
        bad("signed by somebody else", with(&base, "owner", json!(key_text(bob.verifying_key()))), "bad-signature"),
    ]
}

fn chain_cases(keys: &Keys) -> Vec<Value> {
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| keys.identity(name));
    let root = *alice.verifying_key();
    let one = OwnerChain::new(root).handed_to(alice, *bob.verifying_key()).expect("signed");
    let two = one.handed_to(bob, *carol.verifying_key()).expect("signed");
    let case = |bytes: &[u8]| json!({ "root": key_text(&root), "chain": to_base64(bytes) });
    let owners = |who: &[&Identity]| {
        let keys: Vec<_> = who.iter().map(|owner| key_text(owner.verifying_key())).collect();
        json!({ "owners": keys })
    };
    let bytes = two.to_bytes();
    let flipped = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x10;
        case(&bytes)
    };
    let swapped = [&bytes[96..], &bytes[..96]].concat();
    vec![
        good("the creator", case(&[]), owners(&[alice])),
        good("one hand-over", case(&one.to_bytes()), owners(&[alice, bob])),
        good("two hand-overs", case(&bytes), owners(&[alice, bob, carol])),
        bad("first key changed", flipped(0), "bad-chain"),
        bad("first signature changed", flipped(40), "bad-chain"),
        bad("last key changed", flipped(96), "bad-chain"),
        bad("last signature changed", flipped(191), "bad-chain"),
        bad("order changed", case(&swapped), "bad-chain"),
        bad("first hand-over missing", case(&bytes[96..]), "bad-chain"),
        bad("cut short", case(&bytes[..191]), "bad-length"),
        bad("257 hand-overs", case(&vec![0; 257 * 96]), "bad-length"),
        bad("another room", with(&case(&bytes), "root", json!(key_text(bob.verifying_key()))), "bad-chain"),
    ]
}

/// The room secret of an epoch in all vectors.
pub(crate) fn room_secret(epoch: u32) -> RoomSecret {
    RoomSecret::generate(epoch, &mut Seeded::new(&format!("room secret {epoch}")))
}

/// The fields of a case that name the room and its secret.
pub(crate) fn room(root: &VerifyingKey, secret: &RoomSecret) -> Value {
    json!({ "root": key_text(root), "epoch": secret.epoch(), "secret": to_base64(secret.expose()) })
}
