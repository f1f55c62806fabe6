//! JSON in which nothing is said twice: of a claim that is there twice, one reader takes the first and another the last.

use std::fmt;

use entitlement::text::paired;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A value whose objects, at every depth, have each key once.
struct Once(Value);

/// Reads an object.
pub(super) fn object(text: &[u8]) -> Option<Map<String, Value>> {
    match value(text)? {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

/// Reads a value; none where it is no JSON, or says something twice. A text in it that was cut in the middle of a character harms no other one.
pub(super) fn value(text: &[u8]) -> Option<Value> {
    serde_json::from_slice(text).ok().or_else(|| mended(text)).map(|Once(value)| value)
}

/// Reads what has texts that cannot be read: these are `false`, as two of them that differ would name one account.
#[cold]
fn mended(text: &[u8]) -> Option<Once> {
    let text = std::str::from_utf8(text).ok()?;
    let Once(mut value) = serde_json::from_str(&paired(text)).ok()?;
    blank(&mut value);
    Some(Once(value))
}

fn blank(value: &mut Value) {
    match value {
        Value::String(text) if text.contains(char::REPLACEMENT_CHARACTER) => *value = Value::Bool(false),
        Value::Array(values) => values.iter_mut().for_each(blank),
        Value::Object(entries) => entries.values_mut().for_each(blank),
        _ => {}
    }
}

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading).map(Self)
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON in which no key is there twice")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Once(value)) = values.next_element()? {
            all.push(value);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some((key, Once(value))) = entries.next_entry::<String, Once>()? {
            if all.insert(key, value).is_some() {
                return Err(A::Error::custom("a key is there twice"));
            }
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_twice_is_not_read() {
        for text in [r#"{"a":1,"b":[true,null,"x",-2,1.5,{"c":{}}]}"#, "[]", "null", "\"x\"", "18446744073709551615"] {
            assert_eq!(value(text.as_bytes()), serde_json::from_str(text).ok(), "{text}");
        }
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"[{"a":1,"a":2}]"#,
            "{",
            "",
            "1 2",
        ] {
            assert_eq!(value(text.as_bytes()), None, "{text}");
        }
        let text = br#"{"a":"half \ud83d","b":["\ud83d\ude00"],"\ude00":1}"#;
        let read = value(text).expect("the others are read");
        assert_eq!((&read["a"], &read["b"][0]), (&Value::Bool(false), &"\u{1f600}".into()));
        // Bytes that are no UTF-8 are no JSON.
        for text in [&br#"{"\ud83d":1,"\ud83e":2}"#[..], br#"{"a":"\ud83d","b":1,"b":2}"#, b"{\"a\":\xff}"] {
            assert_eq!(value(text), None, "said twice, or no text");
        }
        assert_eq!(value("[".repeat(10_000).as_bytes()), None, "it has a depth");
        assert_eq!(object(b"[]"), None);
    }
}
