//! Strict JSON for what members say to each other.
//!
//! A signature covers bytes, and every client must read the same out of them. So what parsers treat differently is refused: a name
//! twice in one object, lone surrogates, bytes that are not UTF-8. Strings are wiped when dropped.
use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use zeroize::Zeroizing;

use super::{SealedError, encoding};

/// The largest integer that is allowed anywhere: 2⁵³−1.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Checks that `bytes` are one JSON object in the strict form that messages and cards must have.
///
/// # Errors
/// [`SealedError::Json`].
pub fn check(bytes: &[u8]) -> Result<(), SealedError> {
    Object::parse(bytes).map(|_| ())
}

/// A parsed value. Objects have no name twice.
pub(crate) enum Json {
    /// An integer without sign, fraction or exponent.
    Integer(u64),
    /// A string, wiped when dropped.
    Text(Zeroizing<String>),
    /// A list.
    List(Vec<Json>),
    /// An object.
    Object(Object),
    /// `true` or `false`.
    Bool(bool),
    /// `null` and other numbers: nothing that we read.
    Other,
}

/// An object's fields by name.
pub(crate) struct Object(BTreeMap<String, Json>);

impl Object {
    /// Parses a whole document that must be an object.
    ///
    /// # Errors
    /// [`SealedError::Json`] if it is not strict JSON, or no object.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, SealedError> {
        match serde_json::from_slice(bytes) {
            Ok(Json::Object(object)) => Ok(object),
            _ => Err(SealedError::Json),
        }
    }

    /// A field that may be absent.
    pub(crate) fn get(&self, name: &str) -> Option<&Json> {
        self.0.get(name)
    }

    /// A field that must be there.
    pub(crate) fn field(&self, name: &str) -> Result<&Json, SealedError> {
        self.get(name).ok_or(SealedError::Field)
    }
}

impl Json {
    /// An integer within `0..=max`.
    pub(crate) fn integer(&self, max: u64) -> Result<u64, SealedError> {
        match self {
            Self::Integer(n) if *n <= max => Ok(*n),
            _ => Err(SealedError::Field),
        }
    }

    /// A string.
    pub(crate) fn text(&self) -> Result<&str, SealedError> {
        match self {
            Self::Text(text) => Ok(text),
            _ => Err(SealedError::Field),
        }
    }

    /// A list.
    pub(crate) fn list(&self) -> Result<&[Json], SealedError> {
        match self {
            Self::List(list) => Ok(list),
            _ => Err(SealedError::Field),
        }
    }

    /// An object.
    pub(crate) fn object(&self) -> Result<&Object, SealedError> {
        match self {
            Self::Object(object) => Ok(object),
            _ => Err(SealedError::Field),
        }
    }

    /// Bytes in base64.
    pub(crate) fn bytes(&self) -> Result<Zeroizing<Vec<u8>>, SealedError> {
        encoding::from_base64(self.text()?).map(Zeroizing::new).map_err(|_| SealedError::Field)
    }

    /// Exactly `N` bytes in base64.
    pub(crate) fn array<const N: usize>(&self) -> Result<[u8; N], SealedError> {
        self.bytes()?.as_slice().try_into().map_err(|_| SealedError::Field)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(if value <= MAX_INTEGER { Json::Integer(value) } else { Json::Other })
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(Zeroizing::new(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element()? {
            list.push(value);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Json>()? {
            if fields.insert(name, value).is_some() {
                return Err(A::Error::custom("a name twice"));
            }
        }
        Ok(Json::Object(Object(fields)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ambiguous_documents_are_refused() {
        for bad in [
            &br#"{"a":1,"a":2}"#[..],
            br#"{"x":{"a":1,"\u0061":2}}"#,
            br#"{"a":"\ud800"}"#,
            br#"{"a":"\udc00\ud800"}"#,
            b"{\"a\":\"\xff\"}",
            b"{\"a\":\"\n\"}",
            b"\xef\xbb\xbf{}",
            b"{}x",
            b"[]",
            b"{\"a\":01}",
            b"{'a':1}",
            b"",
        ] {
            assert!(Object::parse(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
        assert!(Object::parse(" {\"a\": \"\\ud83c\\udf75\"} ".as_bytes()).is_ok());
    }

    #[test]
    fn integers_are_bounded_and_plain() {
        let object =
            Object::parse(br#"{"ok":9007199254740991,"big":9007199254740992,"neg":-1,"dot":1.0,"exp":1e2}"#).unwrap();
        assert_eq!(object.field("ok").unwrap().integer(MAX_INTEGER), Ok(MAX_INTEGER));
        for name in ["big", "neg", "dot", "exp"] {
            assert_eq!(object.field(name).unwrap().integer(MAX_INTEGER), Err(SealedError::Field), "{name}");
        }
    }

    proptest! {
        #[test]
        fn the_parser_never_panics(bytes: Vec<u8>, text in "[\\[\\]{}\",:0-9a\\\\u]{0,60}") {
            let _ = Object::parse(&bytes);
            let _ = Object::parse(text.as_bytes());
        }
    }
}
