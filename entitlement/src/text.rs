//! Text in JSON that was cut in the middle of a character, made readable: JavaScript writes half of a pair of escapes (a lone surrogate), which
//! readers refuse together with all that stands beside it.

use std::borrow::Cow;

/// The escape of the replacement character.
const REPLACEMENT: &str = "\\ufffd";

/// Bytes of one escape of a UTF-16 unit, such as `\ud83d`.
const ESCAPE_BYTES: usize = 6;

/// The text with no half of a pair of escapes: each becomes the replacement character.
#[must_use]
pub fn paired(text: &str) -> Cow<'_, str> {
    let (mut whole, mut kept, mut at) = (String::new(), 0, 0);
    while let Some(found) = text.get(at..).and_then(|rest| rest.find('\\')) {
        let here = at + found;
        match (unit(text, here), unit(text, here + ESCAPE_BYTES)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => at = here + 2 * ESCAPE_BYTES,
            (Some(0xd800..=0xdfff), _) => {
                whole.push_str(text.get(kept..here).unwrap_or_default());
                whole.push_str(REPLACEMENT);
                at = here + ESCAPE_BYTES;
                kept = at;
            }
            // An escaped character is no beginning of another escape.
            _ => at = here + 1 + text.get(here + 1..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8),
        }
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    whole.push_str(text.get(kept..).unwrap_or_default());
    Cow::Owned(whole)
}

/// The UTF-16 unit that is escaped at a place.
fn unit(text: &str, at: usize) -> Option<u32> {
    let digits = text.get(at..at + ESCAPE_BYTES)?.strip_prefix("\\u")?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_pair_is_replaced_and_a_whole_one_is_not_copied() {
        assert_eq!(
            paired(r#"{"a":"x\ud83d","b":"\\ud83d\ud83d\ude00"}"#),
            r#"{"a":"x\ufffd","b":"\\ud83d\ud83d\ude00"}"#
        );
        assert!(matches!(paired(r#"{"a":"\ud83d\ude00 \\ \""}"#), Cow::Borrowed(_)));
    }
}
