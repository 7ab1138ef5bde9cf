//! A payload as it is in the frame: a JSON string that the server passes on without decoding.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;

/// A JSON string in its JSON form, quotes included, that every JSON reader can take.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RawString<'a>(&'a str);

impl<'a> RawString<'a> {
    /// `None` when the JSON is not a string, or its escapes leave a lone surrogate: many readers would refuse the frame
    /// around it.
    pub fn new(json: &'a RawValue) -> Option<Self> {
        let text = json.get();
        let sound =
            text.starts_with('"') && (!text.contains("\\u") || serde_json::from_str::<Cow<'_, str>>(text).is_ok());
        sound.then_some(Self(text))
    }

    /// From text with its quotes that has neither escapes nor control characters, as the caller has seen.
    pub(super) fn plain(quoted: &'a str) -> Self {
        Self(quoted)
    }

    /// The JSON text.
    pub fn get(self) -> &'a str {
        self.0
    }
}

impl Default for RawString<'_> {
    fn default() -> Self {
        Self("\"\"")
    }
}

impl std::fmt::Debug for RawString<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RawString([REDACTED])")
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawString<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&'a RawValue>::deserialize(deserializer)?;
        Self::new(json).ok_or_else(|| de::Error::custom("not a sound string"))
    }
}

impl Serialize for RawString<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(self.0).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_strings_that_every_reader_takes() {
        let sound = |text: &str| serde_json::from_str::<RawString<'_>>(text).is_ok();
        assert!(sound(r#""plain""#) && sound(r#""\ud83d\ude00 \n""#) && sound(r#""""#));
        assert!(!sound(r#""\ud83d""#) && !sound("7") && !sound("null") && !sound("{}"));
    }

    #[test]
    fn debug_shows_nothing_of_what_is_said() {
        let said: RawString<'_> = serde_json::from_str(r#""secret""#).unwrap();
        assert_eq!(format!("{said:?}"), "RawString([REDACTED])");
    }
}
