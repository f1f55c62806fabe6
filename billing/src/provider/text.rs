//! What providers send, made readable before it is read: a part that nobody reads cannot harm what is.
//!
//! A text that was cut in the middle of a character is what providers do send: half of a pair of escapes (a lone surrogate), or bytes
//! that are no UTF-8. Each becomes the replacement character, as browsers show it. Numbers out of range, and what is nested too deep,
//! become `null`.

use std::borrow::Cow;

use chrono::NaiveDateTime;
use entitlement::Timestamp;
use entitlement::text::paired;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::bounds::bounded;

/// The first second of the year 9000: no date of a subscription lies beyond, and what is added to one stays in the
/// calendar.
const SECONDS_MAX: i64 = 221_845_392_000;

/// A body as text that a reader of JSON takes.
pub fn mended(body: &[u8]) -> Cow<'_, str> {
    match String::from_utf8_lossy(body) {
        Cow::Borrowed(text) => repaired(text),
        Cow::Owned(text) => Cow::Owned(repaired(&text).into_owned()),
    }
}

fn repaired(text: &str) -> Cow<'_, str> {
    match paired(text) {
        Cow::Borrowed(text) => bounded(text),
        Cow::Owned(text) => Cow::Owned(bounded(&text).into_owned()),
    }
}

/// A whole number, as one or as its text.
pub fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        value => whole(&value).map(Some).ok_or_else(|| D::Error::custom(format!("{value} is no whole number"))),
    }
}

/// A whole number, or nothing where it cannot be read: for fields whose loss harms nobody.
pub fn lenient_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(whole(&Value::deserialize(deserializer)?))
}

/// A text, or a number as its text; nothing where it is neither.
pub fn lenient_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(named(&Value::deserialize(deserializer)?))
}

/// A name that was written as a text or as a number.
pub fn named(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A currency in lower case; nothing where it is none.
pub fn currency(text: Option<&str>) -> Option<String> {
    let text = text.filter(|text| text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_alphabetic()))?;
    Some(text.to_ascii_lowercase())
}

/// Yes or no, however it was written; nothing where it is neither.
pub fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let written = || match value.as_str()?.trim() {
        text if text.eq_ignore_ascii_case("true") => Some(true),
        text if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    };
    let counted = || match whole(&value)? {
        1 => Some(true),
        0 => Some(false),
        _ => None,
    };
    Ok(value.as_bool().or_else(written).or_else(counted))
}

/// A moment between 1970 and 9000, as seconds with or without a fraction, or as a date. A date without a zone is UTC's.
pub fn moment(value: &Value) -> Option<Timestamp> {
    let dated = || {
        let text = value.as_str()?.trim();
        let unzoned = |form| NaiveDateTime::parse_from_str(text, form).ok().map(|at| at.and_utc());
        let forms = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
        text.parse().ok().or_else(|| forms.into_iter().find_map(unzoned))
    };
    let seconds = || whole(value).or_else(|| rounded(float(value)?.floor()));
    let counted = seconds().and_then(|seconds| Timestamp::from_timestamp(seconds, 0));
    counted.or_else(dated).filter(|moment| (0..=SECONDS_MAX).contains(&moment.timestamp()))
}

/// The first of some fields that is there and cannot be read as a moment.
pub fn unreadable_moment<'a>(object: &Value, fields: &[&'a str]) -> Option<&'a str> {
    let is_unreadable =
        |field: &&&str| object.get(**field).is_some_and(|told| !told.is_null() && moment(told).is_none());
    fields.iter().find(is_unreadable).copied()
}

fn float(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// A whole number, however it was written.
pub fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| rounded(number.as_f64()?)),
        Value::String(text) => text.trim().parse().ok().or_else(|| rounded(text.trim().parse().ok()?)),
        _ => None,
    }
}

/// A number with nothing after the point, within what a float counts exactly.
fn rounded(number: f64) -> Option<i64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and within the bounds")]
    let whole = (number.fract() == 0.0 && number.abs() <= EXACT_MAX).then_some(number as i64);
    whole
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn half_a_character_becomes_the_replacement_and_nothing_else_changes() {
        for (body, expected) in [
            (r#"{"a":"thank you \ud83d"}"#, "thank you \u{fffd}"),
            (r#"{"a":"\ud83d\ude00"}"#, "\u{1f600}"),
            (r#"{"a":"\uD83D\uDE00\uDE00"}"#, "\u{1f600}\u{fffd}"),
            (r#"{"a":"\ud83d\ud83d\ude00"}"#, "\u{fffd}\u{1f600}"),
            (r#"{"a":"\ude00\ud83d"}"#, "\u{fffd}\u{fffd}"),
            (r#"{"a":"\\ud83d"}"#, "\\ud83d"),
            (r#"{"a":"\\\ud83d"}"#, "\\\u{fffd}"),
            (r#"{"a":"\ud83d\n"}"#, "\u{fffd}\n"),
            (r#"{"a":"\ud83dx\ude00"}"#, "\u{fffd}x\u{fffd}"),
        ] {
            let read: Value = serde_json::from_str(&mended(body.as_bytes())).expect(body);
            assert_eq!(read["a"], expected, "{body}");
        }
        let raw = b"{\"a\":\"so long \xed\xa0\xbd\"}";
        assert!(serde_json::from_str::<Value>(&mended(raw)).is_ok(), "three bytes of half a pair");
        let key = r#"{"\ud83d":1,"b":2}"#;
        assert_eq!(serde_json::from_str::<Value>(&mended(key.as_bytes())).expect("it is read")["b"], 2);
        assert!(matches!(mended(br#"{"a":"\ud83d\ude00 \\ \""}"#), Cow::Borrowed(_)), "what is whole is not copied");
    }

    #[test]
    fn a_number_is_read_however_it_is_written() {
        for (value, expected) in [
            (json!(700), Some(700)),
            (json!("700"), Some(700)),
            (json!(" -7 "), Some(-7)),
            (json!(700.0), Some(700)),
            (json!("1e3"), Some(1000)),
            (json!(7.5), None),
            (json!(1e300), None),
            (json!("seven"), None),
            (json!("NaN"), None),
            (json!(""), None),
            (json!(null), None),
            (json!([7]), None),
            (json!(u64::MAX), None),
        ] {
            assert_eq!(whole(&value), expected, "{value}");
        }
        assert_eq!(
            (named(&json!(42)), named(&json!("42")), named(&json!({}))),
            (Some("42".into()), Some("42".into()), None)
        );
    }

    #[test]
    fn a_moment_is_read_however_it_is_written() {
        let expected = Timestamp::from_timestamp(1_796_050_480, 0);
        for value in [
            json!(1_796_050_480),
            json!(1_796_050_480.5),
            json!("1796050480.5"),
            json!("2026-11-30T14:54:40Z"),
            json!("2026-11-30T15:54:40+01:00"),
            json!("2026-11-30T14:54:40"),
            json!("2026-11-30 14:54:40"),
        ] {
            assert_eq!(moment(&value), expected, "{value}");
        }
        let micros = moment(&json!("2026-11-30T14:54:40.678901")).map(|at| at.timestamp_subsec_micros());
        assert_eq!(micros, Some(678_901));
        for value in [
            json!("soon"),
            json!(null),
            json!(true),
            json!([]),
            json!(1e300),
            json!(-0.5),
            json!("9999-01-01T00:00:00Z"),
            json!("NaN"),
            json!(""),
        ] {
            assert_eq!(moment(&value), None, "{value}");
        }
        let object = json!({ "a": "soon", "b": null, "c": 7 });
        assert_eq!(unreadable_moment(&object, &["d", "c", "b", "a"]), Some("a"));
        assert_eq!(unreadable_moment(&object, &["d", "c", "b"]), None);
    }

    #[test]
    fn yes_and_no_are_read_however_they_are_written() {
        for (value, expected) in [
            (json!(true), Some(true)),
            (json!("true"), Some(true)),
            (json!("False"), Some(false)),
            (json!(1), Some(true)),
            (json!("0"), Some(false)),
            (json!(2), None),
            (json!("perhaps"), None),
            (json!(null), None),
        ] {
            assert_eq!(flag(value.clone()).expect("never an error"), expected, "{value}");
        }
    }

    #[test]
    fn a_currency_has_three_letters() {
        for (text, expected) in [(Some("GBP"), Some("gbp")), (Some("a\0b"), None), (Some("euro"), None), (None, None)] {
            assert_eq!(currency(text).as_deref(), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_cut_is_read_and_what_is_whole_stays(
            pieces in prop::collection::vec("[a-z]|\\\\\\\\|\\\\u[dD][89a-fA-F][0-9a-f]{2}|\\\\n|é|\u{1f600}", 0..12),
        ) {
            let body = format!("{{\"a\":\"{}\"}}", pieces.concat());
            let mended = mended(body.as_bytes());
            prop_assert!(serde_json::from_str::<Value>(&mended).is_ok(), "{body} -> {mended}");
            if let Ok(whole) = serde_json::from_str::<Value>(&body) {
                prop_assert_eq!(serde_json::from_str::<Value>(&mended).expect("it is read"), whole);
            }
        }
    }
}
