//! What all generators share, and the small objects.
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use subrosa::sealed::{
    Fingerprint, RoomSecret, VerifyingKey,
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
        file("key", "Ed25519 keys: which are refused.", key_cases(keys)),
        file("signature", "Ed25519 signatures: which are refused.", signature_cases(keys)),
        file("skeleton", "What names look like.", skeleton_cases()),
        file("view", "Views of rooms.", view_cases(keys)),
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
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
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
        bad("a fraction", case(br#"{"a":1.0}"#), "bad-json"),
        bad("an exponent", case(br#"{"a":1e2}"#), "bad-json"),
        bad("beyond a double", case(br#"{"a":1e999}"#), "bad-json"),
        bad("400 digits", case(format!("{{\"a\":{}}}", "9".repeat(400)).as_bytes()), "bad-json"),
        bad("negative", case(br#"{"a":-1}"#), "bad-json"),
        bad("minus zero", case(br#"{"a":-0}"#), "bad-json"),
        bad("leading zero", case(br#"{"a":01}"#), "bad-json"),
        bad("2^53", case(br#"{"a":9007199254740992}"#), "bad-json"),
        good("2^53 - 1", case(br#"{"a":9007199254740991}"#), json!({})),
        good("32 levels", case(nested(31).as_bytes()), json!({})),
        bad("33 levels", case(nested(32).as_bytes()), "bad-json"),
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
        ("space in front", " a"),
        ("space behind", "a "),
        ("two spaces", "a  b"),
        ("no-break space", "a\u{a0}b"),
        ("ideographic space", "a\u{3000}b"),
        ("Braille blank", "\u{2800}"),
        ("zero width space", "bob\u{200b}"),
        ("soft hyphen", "bob\u{ad}"),
        ("variation selector", "a\u{fe0f}"),
        ("Hangul filler", "\u{3164}"),
        ("tag character", "a\u{e0041}"),
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
    cases.push(good("a card", json!({ "length": 1500, "least": 2048 }), json!(2048)));
    cases
}

fn fingerprint_cases(keys: &Keys) -> Vec<Value> {
    let words: Vec<_> = include_str!("../../../src/sealed/words.txt").lines().collect();
    keys.0
        .iter()
        .map(|(name, member)| {
            let key = member.identity.verifying_key().as_bytes();
            let hashed = length_prefixed(&[b"subrosa v2 identity", key]);
            let hash = &sha256(&hashed)[..];
            let groups: Vec<_> =
                hash[..24].chunks(2).map(|b| format!("{:05}", b[0] as u32 * 256 + b[1] as u32)).collect();
            let bits: String = hash.iter().map(|byte| format!("{byte:08b}")).collect();
            let read_out: Vec<_> =
                (0..8).map(|i| words[usize::from_str_radix(&bits[i * 11..][..11], 2).expect("bits")]).collect();
            let ok = json!({ "fingerprint": to_base64(hash), "groups": groups, "words": read_out });
            good(name, json!({ "key": to_base64(key) }), ok)
        })
        .collect()
}

/// The encodings that verifiers treat differently: beyond the prime, and of small order.
fn weak_points() -> Vec<(&'static str, [u8; 32])> {
    let near = |low: u8, fill: u8, top: u8| {
        let mut point = [fill; 32];
        (point[0], point[31]) = (low, top);
        point
    };
    let order_8 = |text: &str| {
        let mut point = [0; 32];
        for (at, byte) in point.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hexadecimal");
        }
        point
    };
    vec![
        ("y = 0", near(0, 0, 0)),
        ("y = 0, other sign", near(0, 0, 0x80)),
        ("y = 1", near(1, 0, 0)),
        ("y = 1, other sign", near(1, 0, 0x80)),
        ("y = -1", near(0xec, 0xff, 0x7f)),
        ("y = -1, other sign", near(0xec, 0xff, 0xff)),
        ("y = p", near(0xed, 0xff, 0x7f)),
        ("y = p + 1", near(0xee, 0xff, 0x7f)),
        ("y = p + 1, other sign", near(0xee, 0xff, 0xff)),
        ("y = p + 18", near(0xff, 0xff, 0x7f)),
        ("order 8", order_8("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")),
        ("order 8, other sign", order_8("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85")),
        ("order 8, another", order_8("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")),
        ("order 8, another, other sign", order_8("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa")),
    ]
}

fn key_cases(keys: &Keys) -> Vec<Value> {
    let mut cases =
        vec![good("alice's", json!({ "key": key_text(keys.identity("alice").verifying_key()) }), json!({}))];
    cases.extend(weak_points().into_iter().map(|(name, key)| bad(name, json!({ "key": to_base64(&key) }), "bad-key")));
    cases
}

fn signature_cases(keys: &Keys) -> Vec<Value> {
    let alice = keys.identity("alice");
    let signature = alice.sign(b"tea").expect("signed");
    let case = |signature: &[u8]| {
        json!({
            "key": key_text(alice.verifying_key()),
            "message": to_base64(b"tea"),
            "signature": to_base64(signature),
        })
    };
    let mut beyond = signature;
    // S + L: the same point, another encoding.
    let order: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    for (byte, add) in beyond[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
    let mut changed = signature;
    changed[40] ^= 1;
    let mut cases = vec![
        good("alice's", case(&signature), json!({})),
        bad("changed", case(&changed), "bad-signature"),
        bad("S beyond the order", case(&beyond), "bad-signature"),
        bad("too short", case(&signature[..63]), "bad-signature"),
    ];
    for (name, r) in weak_points() {
        cases.push(bad(&format!("R: {name}"), case(&[&r[..], &[0; 32]].concat()), "bad-signature"));
    }
    cases
}

fn skeleton_cases() -> Vec<Value> {
    let pairs = [
        ("bob", "bob"),
        ("BOB", "bob"),
        ("b\u{43e}b", "bob"),
        ("\u{412}ob", "bob"),
        ("B0b", "bob"),
        ("Bill", "blll"),
        ("B1II", "blll"),
        ("mallory", "rnallory"),
        ("ﬁona", "flona"),
        ("\u{1d4b7}\u{1d4f8}\u{1d4b7}", "bob"),
        ("Zoë", "zoe\u{308}"),
        ("李", "李"),
        ("ΑΒΓ", "aby"),
        ("Straße", "straße"),
    ];
    pairs.iter().map(|(name, skeleton)| good(name, json!({ "text": name }), json!(skeleton))).collect()
}

fn view_cases(keys: &Keys) -> Vec<Value> {
    let print = |name: &&str| keys.identity(name).fingerprint();
    let case = |name: &str, owner: &str, members: &[&str], epoch: u32| {
        let secret = room_secret(epoch);
        let owner: Fingerprint = print(&owner);
        let prints: Vec<_> = members.iter().map(print).collect();
        let mut sorted: Vec<_> = prints.iter().map(|print| *print.as_bytes()).collect();
        sorted.sort_unstable();
        let authenticator = derive(secret.expose(), b"subrosa v2 authenticator", 32);
        let hashed = length_prefixed(&[
            b"subrosa v2 view",
            owner.as_bytes(),
            &epoch.to_be_bytes(),
            &authenticator,
            &sorted.concat(),
        ]);
        let members: Vec<_> = prints.into_iter().map(Fingerprint::to_base64).collect();
        let input = json!({
            "owner": owner.to_base64(),
            "members": members,
            "epoch": epoch,
            "secret": to_base64(secret.expose()),
        });
        good(name, input, json!(to_base64(&sha256(&hashed)[..16])))
    };
    vec![
        case("the creator alone", "alice", &["alice"], 0),
        case("three members", "alice", &["carol", "alice", "bob"], 0),
        case("the order given does not matter", "alice", &["bob", "carol", "alice"], 0),
        case("another epoch", "alice", &["bob", "carol", "alice"], 1),
        case("another owner", "bob", &["alice", "bob", "carol"], 0),
        case("the owner has left", "alice", &["bob", "carol"], 0),
    ]
}

/// SHA-256.
pub(crate) fn sha256(data: &[u8]) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, data).as_ref().to_vec()
}

/// HMAC-SHA-256.
pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
    sign(&Key::new(HMAC_SHA256, key), &parts.concat()).as_ref().to_vec()
}

/// HKDF-SHA-256 with an empty salt, by hand: Extract, then Expand (RFC 5869).
pub(crate) fn derive(ikm: &[u8], info: &[u8], length: usize) -> Vec<u8> {
    let prk = hmac(&[0; 32], &[ikm]);
    let (mut out, mut block) = (Vec::new(), Vec::new());
    for counter in 1.. {
        block = hmac(&prk, &[&block, info, &[counter]]);
        out.extend_from_slice(&block);
        if out.len() >= length {
            break;
        }
    }
    out.truncate(length);
    out
}

/// A key in base64.
pub(crate) fn key_text(key: &VerifyingKey) -> String {
    to_base64(key.as_bytes())
}

/// The room secret of an epoch in all vectors.
pub(crate) fn room_secret(epoch: u32) -> RoomSecret {
    RoomSecret::generate(epoch, &mut Seeded::new(&format!("room secret {epoch}")))
}

/// The fields of a case that name the room and its secret.
pub(crate) fn room(root: &VerifyingKey, secret: &RoomSecret) -> Value {
    json!({ "root": key_text(root), "epoch": secret.epoch(), "secret": to_base64(secret.expose()) })
}
