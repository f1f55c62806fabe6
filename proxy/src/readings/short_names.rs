//! Short names (`PREMIU~1`): how a disk of Windows names a long one, too.

/// The long name that a segment is surely short for; the segment itself when it is no short name.
///
/// # Errors
/// When it may stand for several: a name is cut to what its number leaves of eight letters, an extension to three.
pub(super) fn long_name(segment: &str) -> Result<&str, Cut> {
    let Some((name, rest)) = segment.split_once('~') else { return Ok(segment) };
    let number = rest.split('.').next().unwrap_or(rest);
    if name.is_empty() || number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(segment);
    }
    let extension = rest.rsplit_once('.').map_or("", |(_, extension)| extension);
    let is_cut = name.len() + "~".len() + number.len() >= NAME_LETTERS || extension.len() >= EXTENSION_LETTERS;
    if is_cut { Err(Cut) } else { Ok(name) }
}

/// How many letters a short name has at most, its number included.
const NAME_LETTERS: usize = 8;

/// How many letters of an extension are kept.
const EXTENSION_LETTERS: usize = 3;

/// A name that was cut: nobody here knows the whole of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cut;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_what_ends_with_a_number() {
        for (segment, expected) in [
            ("paid", Ok("paid")),
            ("paid~1", Ok("paid")),
            ("paid~12", Ok("paid")),
            ("paid~1.js", Ok("paid")),
            ("paid~12.pdf", Err(Cut)),
            ("premi~1", Ok("premi")),
            ("premi~10", Err(Cut)),
            ("prem~100", Err(Cut)),
            ("pre~100", Ok("pre")),
            ("~user", Ok("~user")),
            ("a~b", Ok("a~b")),
            ("premiu~1", Err(Cut)),
        ] {
            assert_eq!(long_name(segment), expected, "{segment}");
        }
    }
}
