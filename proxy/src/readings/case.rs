//! Letters that a server may take for others: Express, ASP.NET and case-insensitive disks fold the case of a path, and some
//! characters beyond ASCII fold to a letter of ASCII.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What is not encoded in a path that is only compared.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@');

/// What a path is where letters are folded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// Nothing beyond ASCII folds into it.
    Clear,
    /// Another path, by letters that have a right to be in names: the dotless i, the sharp s, ligatures, wide letters.
    Other(String),
    /// It has a character that no name has and that is an ASCII letter once folded: the Kelvin sign, the long s.
    Ambiguous,
}

/// What a canonical path is where characters beyond ASCII are folded to ASCII: by lower case, upper case (Unicode's
/// `SpecialCasing.txt`), or as a wide form.
pub(crate) fn folded(path: &str) -> Case {
    if !path.as_bytes().contains(&b'%') {
        return Case::Clear;
    }
    let text = percent_decode_str(path).decode_utf8_lossy();
    if text.is_ascii() {
        return Case::Clear;
    }
    let mut other = String::with_capacity(text.len());
    let mut is_other = false;
    for character in text.chars() {
        match character {
            '\u{17f}' | '\u{212a}' => return Case::Ambiguous,
            '\u{130}' => {
                other.push('i');
                is_other = true;
            }
            '\u{ff01}'..='\u{ff5e}' => {
                other.extend(char::from_u32(u32::from(character) - 0xfee0));
                is_other = true;
            }
            character if character.is_ascii() => other.push(character),
            character if character.to_uppercase().all(|upper| upper.is_ascii()) => {
                other.extend(character.to_uppercase().map(|upper| upper.to_ascii_lowercase()));
                is_other = true;
            }
            character => other.push(character),
        }
    }
    if is_other { Case::Other(utf8_percent_encode(&other, ENCODED).to_string()) } else { Case::Clear }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_fold_to_ascii_are_known() {
        for (path, expected) in [
            ("/paid", Case::Clear),
            ("/caf%C3%A9/%3F", Case::Clear),
            ("/%E2%84%AA", Case::Ambiguous),
            ("/boo%C5%BFe", Case::Ambiguous),
            ("/pa%C4%B1d/x", Case::Other("/paid/x".into())),
            ("/pa%C4%B0d", Case::Other("/paid".into())),
            ("/stra%C3%9Fe", Case::Other("/strasse".into())),
            ("/%EF%AC%81le", Case::Other("/file".into())),
            ("/%EF%BD%90aid", Case::Other("/paid".into())),
            ("/paid%EF%BC%8Fx", Case::Other("/paid/x".into())),
            ("/%C4%B1%C3%A9", Case::Other("/i%C3%A9".into())),
        ] {
            assert_eq!(folded(path), expected, "{path}");
        }
    }
}
