//! A segment with `*` inside it, such as `*.pdf` or `@*`: each stands for any letters of the segment, or none.

use percent_encoding::percent_decode_str;

use super::fold::fold;

/// The parts between the stars; there are two or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob(Vec<String>);

impl Glob {
    /// Reads a segment of a pattern; an encoded star is a letter like any other.
    pub(super) fn new(segment: &str) -> Self {
        let decoded = |part| percent_decode_str(part).decode_utf8_lossy().into_owned();
        Self(segment.split('*').map(decoded).collect())
    }

    /// In lower case.
    pub(super) fn folded(&self) -> Self {
        Self(self.0.iter().map(|part| fold(part)).collect())
    }

    /// Whether a decoded segment is one of those that it stands for.
    pub(super) fn matches(&self, segment: &str) -> bool {
        let [first, middle @ .., last] = self.0.as_slice() else { return false };
        let Some(rest) = segment.strip_prefix(first.as_str()) else { return false };
        let Some(mut rest) = rest.strip_suffix(last.as_str()) else { return false };
        // Each part as early as it can be leaves most for those that follow.
        for part in middle {
            let Some(at) = rest.find(part.as_str()) else { return false };
            rest = &rest[at + part.len()..];
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_glob_stands_for_what_this_table_says() {
        for (glob, matching, others) in [
            ("*.pdf", vec!["a.pdf", ".pdf", "a.pdf.pdf"], vec!["a.pdfx", "pdf"]),
            ("@*", vec!["@", "@me"], vec!["me@"]),
            ("*-premium", vec!["a-premium", "-premium"], vec!["a-premium-b"]),
            ("a*b*c", vec!["abc", "axbxc", "abbc"], vec!["ac", "acb", "bac"]),
            ("a*a", vec!["aa", "aba"], vec!["a"]),
        ] {
            let compiled = Glob::new(glob);
            assert!(matching.iter().all(|text| compiled.matches(text)), "{glob}");
            assert!(!others.iter().any(|text| compiled.matches(text)), "{glob}");
        }
    }

    /// The meaning of a glob, as simply as it can be said.
    fn naive(glob: &[char], text: &[char]) -> bool {
        match (glob, text) {
            ([], []) => true,
            (['*', rest @ ..], _) => (0..=text.len()).any(|skipped| naive(rest, &text[skipped..])),
            ([letter, rest @ ..], [first, tail @ ..]) => letter == first && naive(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_glob_matches_as_its_letters_do(glob in "[ab*]{0,4}\\*[ab*]{0,4}", text in "[ab]{0,8}") {
            let letters: (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
            prop_assert_eq!(Glob::new(&glob).matches(&text), naive(&letters.0, &letters.1));
        }
    }
}
