//! Strict JSON for what members say to each other.
//!
//! A signature covers bytes, and every client must read the same out of them. So what parsers treat differently is
//! refused: a name twice in one object, lone surrogates, bytes that are not UTF-8, numbers other than plain integers,
//! deep nesting. Strings are wiped when dropped.
use std::{collections::BTreeMap, fmt};

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};
use zeroize::Zeroizing;

use super::{SealedError, encoding};

/// The largest integer that is allowed anywhere: 2⁵³−1.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;
/// How many lists and objects may stand inside each other, the outermost object counted.
pub const MAX_DEPTH: usize = 32;

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
    /// `null`.
    Null,
}

/// An object's fields by name.
pub(crate) struct Object(BTreeMap<String, Json>);

impl Object {
    /// Parses a whole document that must be an object.
    ///
    /// # Errors
    /// [`SealedError::Json`] if it is not strict JSON, or no object.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, SealedError> {
        let mut parser = serde_json::Deserializer::from_slice(bytes);
        let parsed = Nested(0).deserialize(&mut parser).and_then(|json| parser.end().map(|()| json));
        match parsed {
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

    /// `true` or `false`.
    pub(crate) fn bool(&self) -> Result<bool, SealedError> {
        match self {
            Self::Bool(value) => Ok(*value),
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

/// Reads a value that stands inside so many lists and objects.
#[derive(Clone, Copy)]
struct Nested(usize);

impl Nested {
    fn inside<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.0 < MAX_DEPTH { Ok(Self(self.0 + 1)) } else { Err(E::custom("nested too deeply")) }
    }
}

impl<'de> DeserializeSeed<'de> for Nested {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nested {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("strict JSON, numbers only as integers from 0 to 2⁵³−1")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Json, E> {
        if value <= MAX_INTEGER { Ok(Json::Integer(value)) } else { Err(E::custom("too large")) }
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(Zeroizing::new(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let (inside, mut list) = (self.inside()?, Vec::new());
        while let Some(value) = seq.next_element_seed(inside)? {
            list.push(value);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let (inside, mut fields) = (self.inside()?, BTreeMap::new());
        while let Some(name) = map.next_key::<String>()? {
            if fields.insert(name, map.next_value_seed(inside)?).is_some() {
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
            br#"{"a":1.0}"#,
            br#"{"a":1e2}"#,
            br#"{"a":-1}"#,
            br#"{"a":-0}"#,
            br#"{"a":1e999}"#,
            br#"{"a":9007199254740992}"#,
        ] {
            assert!(Object::parse(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
        assert!(Object::parse(" {\"a\": \"\\ud83c\\udf75\"} ".as_bytes()).is_ok());
    }

    #[test]
    fn integers_and_nesting_are_bounded() {
        let object = Object::parse(br#"{"ok":9007199254740991,"zero":0}"#).unwrap();
        assert_eq!(object.field("ok").unwrap().integer(MAX_INTEGER), Ok(MAX_INTEGER));
        assert_eq!(object.field("ok").unwrap().integer(1), Err(SealedError::Field));
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(check(nested(MAX_DEPTH - 1).as_bytes()).is_ok());
        assert_eq!(check(nested(MAX_DEPTH).as_bytes()), Err(SealedError::Json));
        assert_eq!(check(nested(100_000).as_bytes()), Err(SealedError::Json));
    }

    proptest! {
        #[test]
        fn the_parser_never_panics(bytes: Vec<u8>, text in "[\\[\\]{}\",:0-9a\\\\u]{0,60}") {
            let _ = Object::parse(&bytes);
            let _ = Object::parse(text.as_bytes());
        }
    }
}
