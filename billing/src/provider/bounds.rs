//! Parts of a body that no reader of JSON takes, replaced by `null`: numbers that no float holds, and what is nested deeper than anything
//! that is read.

use std::borrow::Cow;

/// How deep a body may be nested. What is read lies within ten levels; the reader of JSON refuses the whole body from 128 on.
const DEPTH_MAX: usize = 64;

/// The text with each number out of range, and each value that is nested too deep, as `null`. Looks at each byte once.
pub fn bounded(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let (mut whole, mut kept, mut at, mut depth) = (String::new(), 0, 0, 0_usize);
    while let Some(byte) = bytes.get(at) {
        let (end, is_replaced) = match byte {
            b'"' => (string_end(bytes, at), false),
            b'[' | b'{' if depth == DEPTH_MAX => (value_end(bytes, at), true),
            b'[' | b'{' => {
                depth += 1;
                (at + 1, false)
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                (at + 1, false)
            }
            b'-' | b'0'..=b'9' => {
                let end = number_end(bytes, at);
                (end, text.get(at..end).is_some_and(is_out_of_range))
            }
            _ => (at + 1, false),
        };
        if is_replaced {
            whole.push_str(text.get(kept..at).unwrap_or_default());
            whole.push_str("null");
            kept = end;
        }
        at = end;
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    whole.push_str(text.get(kept..).unwrap_or_default());
    Cow::Owned(whole)
}

fn is_out_of_range(number: &str) -> bool {
    number.parse::<f64>().is_ok_and(f64::is_infinite)
}

/// The end of the number that begins at a place.
fn number_end(bytes: &[u8], at: usize) -> usize {
    let is_part = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    at + bytes.iter().skip(at).take_while(is_part).count()
}

/// The end of the string whose first quote is at a place, or of the text.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while let Some(byte) = bytes.get(end) {
        end += match byte {
            b'"' => return end + 1,
            b'\\' => 2,
            _ => 1,
        };
    }
    bytes.len()
}

/// The end of the list or object that begins at a place, or of the text.
fn value_end(bytes: &[u8], at: usize) -> usize {
    let (mut end, mut open) = (at, 0_usize);
    while let Some(byte) = bytes.get(end) {
        end = match byte {
            b'"' => string_end(bytes, end),
            _ => end + 1,
        };
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' if open <= 1 => return end,
            b']' | b'}' => open -= 1,
            _ => {}
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn read(text: &str) -> Value {
        serde_json::from_str(&bounded(text)).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    fn nested(depth: usize) -> String {
        format!("{}7{}", "[".repeat(depth), "]".repeat(depth))
    }

    #[test]
    fn a_number_out_of_range_is_null_and_nothing_else_changes() {
        for (text, expected) in [
            (r#"{"a":1e400,"b":2}"#, json!({"a": null, "b": 2})),
            (r#"{"a":-1E+400}"#, json!({"a": null})),
            (r#"[1e400,1e308,1e-400,-0.5]"#, json!([null, 1e308, 0.0, -0.5])),
            (r#"{"a":"1e400 \\","b":"\"1e400"}"#, json!({"a": "1e400 \\", "b": "\"1e400"})),
            (r#"{"1e400":1}"#, json!({"1e400": 1})),
            ("1e400", Value::Null),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        assert_eq!(read(&format!("[{}]", "9".repeat(400))), json!([null]));
        for whole in [r#"{"a":[1,2.5e3,"\\"],"b":"é"}"#, "", "\"", "\"\\", "-", "}}]]", "[\"1e400\"]"] {
            assert!(matches!(bounded(whole), Cow::Borrowed(text) if text == whole), "{whole}");
        }
    }

    #[test]
    fn what_is_nested_too_deep_is_null_and_what_stands_beside_it_is_read() {
        for depth in [1, DEPTH_MAX - 1, DEPTH_MAX, 200, 5000, 100_000] {
            let text = format!(r#"{{"deep":{},"text":"]}}","last":7}}"#, nested(depth));
            let read = read(&text);
            assert_eq!((&read["last"], &read["text"]), (&json!(7), &json!("]}")), "{depth}");
        }
        assert_eq!(bounded(&nested(DEPTH_MAX)), nested(DEPTH_MAX));
        assert_eq!(bounded(&nested(DEPTH_MAX + 1)), nested(DEPTH_MAX).replace('7', "null"));
        assert!(serde_json::from_str::<Value>(&bounded(&"[".repeat(100_000))).is_err(), "it never ends");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_taken_and_what_was_readable_stays(
            pieces in prop::collection::vec("[\\[\\]{}\",:é-]|1e400|[0-9]{1,3}|\\\\.|null|1e5", 0..40),
        ) {
            let text = pieces.concat();
            let bounded = bounded(&text);
            if let Ok(whole) = serde_json::from_str::<Value>(&text) {
                prop_assert_eq!(serde_json::from_str::<Value>(&bounded).expect("it is read"), whole);
            }
        }
    }
}
