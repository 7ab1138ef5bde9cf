//! HPKE (RFC 9180) in PSK mode, over X-Wing (KEM 0x647A), HKDF-SHA256 (0x0001) and AES-256-GCM (0x0002), for one
//! message each.
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use super::{
    SealedError,
    leaf::{ENC_BYTES, Leaf, PublicLeaf},
    secret::{AeadKey, NONCE_BYTES, TAG_BYTES},
};

const MODE_PSK: u8 = 1;
const SUITE: [u8; 10] = *b"HPKE\x64\x7a\x00\x01\x00\x02";

/// What both sides know besides the keys.
pub(crate) struct Context<'a> {
    /// HPKE's `info`.
    pub(crate) info: &'a [u8],
    /// The additional data of the one message.
    pub(crate) aad: &'a [u8],
    /// The pre-shared key: `P` of the epoch.
    pub(crate) psk: &'a [u8; 32],
    /// Its name.
    pub(crate) psk_id: &'a [u8],
}

/// Seals `plain` to a leaf: `enc ‖ ciphertext`.
pub(crate) fn seal(to: &PublicLeaf, context: &Context<'_>, plain: &[u8]) -> Result<Vec<u8>, SealedError> {
    let (enc, shared) = to.encapsulate()?;
    let (key, nonce) = schedule(&SUITE, shared.expose(), context)?;
    let mut sealed = Vec::with_capacity(plain.len() + TAG_BYTES);
    sealed.extend_from_slice(plain);
    AeadKey::new(&key)?.seal(nonce, context.aad, &mut sealed)?;
    Ok([&enc[..], &sealed].concat())
}

/// Opens what was sealed to a leaf.
///
/// # Errors
/// [`SealedError::Hand`].
pub(crate) fn open(leaf: &Leaf, context: &Context<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealedError> {
    let (enc, ciphertext) = sealed.split_first_chunk::<ENC_BYTES>().ok_or(SealedError::Hand)?;
    let shared = leaf.decapsulate(enc)?;
    let (key, nonce) = schedule(&SUITE, shared.expose(), context)?;
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    let plain = AeadKey::new(&key)?.open(nonce, context.aad, &mut buffer).map_err(|_| SealedError::Hand)?;
    Ok(Zeroizing::new(plain.to_vec()))
}

/// RFC 9180, section 5.1: the key and the base nonce. A suite with another length of key takes its beginning (the
/// test's).
fn schedule(
    suite: &[u8; 10],
    shared: &[u8; 32],
    context: &Context<'_>,
) -> Result<(Zeroizing<[u8; 32]>, [u8; NONCE_BYTES]), SealedError> {
    let psk_id_hash = extract(suite, &[], b"psk_id_hash", context.psk_id);
    let info_hash = extract(suite, &[], b"info_hash", context.info);
    let scheduled = [&[MODE_PSK][..], &psk_id_hash[..], &info_hash[..]].concat();
    let secret = extract(suite, shared, b"secret", context.psk);
    let key = Zeroizing::new(expand::<32>(suite, &secret, b"key", &scheduled));
    Ok((key, expand(suite, &secret, b"base_nonce", &scheduled)))
}

/// `LabeledExtract`: HKDF-Extract, which is HMAC.
fn extract(suite: &[u8; 10], salt: &[u8], label: &[u8], ikm: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, salt));
    for part in [b"HPKE-v1", &suite[..], label, ikm] {
        context.update(part);
    }
    let mut out = Zeroizing::new([0; 32]);
    out.copy_from_slice(context.sign().as_ref());
    out
}

/// `LabeledExpand` of at most 32 bytes: the first block of HKDF-Expand.
fn expand<const N: usize>(suite: &[u8; 10], prk: &[u8; 32], label: &[u8], info: &[u8]) -> [u8; N] {
    const { assert!(N <= 32, "one block of SHA-256") };
    let length = [0, N as u8];
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, prk));
    for part in [&length[..], b"HPKE-v1", suite, label, info, &[1]] {
        context.update(part);
    }
    let mut out = [0; N];
    out.copy_from_slice(&context.sign().as_ref()[..N]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// RFC 9180, appendix A.1.2: the key schedule of PSK mode does not depend on the KEM.
    #[test]
    fn the_key_schedule_is_that_of_the_rfc() {
        let psk = bytes("0247fd33b913760fa1fa51e1892d9f307fbe65eb171e8132c2af18555a738b82");
        let context = Context {
            info: &bytes("4f6465206f6e2061204772656369616e2055726e"),
            aad: &[],
            psk: psk[..].try_into().unwrap(),
            psk_id: &bytes("456e6e796e20447572696e206172616e204d6f726961"),
        };
        let suite = *b"HPKE\x00\x20\x00\x01\x00\x01";
        let shared = bytes("727699f009ffe3c076315019c69648366b69171439bd7dd0807743bde76986cd");
        let (_, nonce) = schedule(&suite, shared[..].try_into().unwrap(), &context).unwrap();
        assert_eq!(nonce[..], bytes("9518635eba129d5ce0914555"));
        let secret = extract(&suite, &shared, b"secret", &psk);
        let scheduled = [
            &[MODE_PSK][..],
            &extract(&suite, &[], b"psk_id_hash", context.psk_id)[..],
            &extract(&suite, &[], b"info_hash", context.info)[..],
        ];
        let key = expand::<16>(&suite, &secret, b"key", &scheduled.concat());
        assert_eq!(key[..], bytes("15026dba546e3ae05836fc7de5a7bb26"));
    }

    #[test]
    fn every_part_of_the_context_counts() {
        let leaf = Leaf::generate(0).unwrap();
        let (psk, other) = ([1; 32], [2; 32]);
        let context = |info, aad, psk, psk_id| Context { info, aad, psk, psk_id };
        let sealed = seal(leaf.public(), &context(b"info", b"aad", &psk, b"id"), b"tea").unwrap();
        let open = |context| open(&leaf, &context, &sealed).map(|plain| plain.to_vec());
        assert_eq!(open(context(b"info", b"aad", &psk, b"id")).unwrap(), b"tea");
        for wrong in [
            context(b"inf0", b"aad", &psk, b"id"),
            context(b"info", b"aaD", &psk, b"id"),
            context(b"info", b"aad", &other, b"id"),
            context(b"info", b"aad", &psk, b"iD"),
        ] {
            assert_eq!(open(wrong), Err(SealedError::Hand));
        }
    }
}
