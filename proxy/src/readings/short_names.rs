//! Short names (`PREMIU~1`): how a disk of Windows names a long one, too.

/// The long name that a segment is surely short for; the segment itself when it is no short name.
///
/// # Errors
/// When it may stand for several: a name of more than six letters is cut.
pub(super) fn long_name(segment: &str) -> Result<&str, Cut> {
    let Some((name, rest)) = segment.split_once('~') else { return Ok(segment) };
    let number = rest.split('.').next().unwrap_or(rest);
    if name.is_empty() || number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(segment);
    }
    if name.len() >= CUT_AT { Err(Cut) } else { Ok(name) }
}

/// How many letters a short name keeps.
const CUT_AT: usize = 6;

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
            ("paid~12.pdf", Ok("paid")),
            ("~user", Ok("~user")),
            ("a~b", Ok("a~b")),
            ("premiu~1", Err(Cut)),
        ] {
            assert_eq!(long_name(segment), expected, "{segment}");
        }
    }
}
