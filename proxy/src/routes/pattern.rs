//! A path pattern of the configuration: literal segments, `*` for one segment or a part of one, `**` for any number of them.

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::glob::Glob;
use crate::target::{self, Refusal};

/// A pattern that is canonical itself, so that a literal in it can match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    segments: Vec<Segment>,
}

/// One segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// The decoded text, so that `/%40me` and `/@me` are one path.
    Literal(String),
    /// `*.pdf`
    Glob(Glob),
    /// `*`
    One,
    /// `**`
    Deep,
}

/// Why a text is not a pattern. Every message says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("`{0}` must begin with a slash: write `/{0}`")]
    NotRooted(String),
    #[error("`{0}` is a URL: write its path alone, and its host in `hosts` where the rule is for that one")]
    Url(String),
    #[error("`{0}` has a query: a pattern is a path alone, so leave out the `?` and what follows")]
    Query(String),
    #[error(
        "`{0}` has a `**` inside a segment: `*` stands for one segment or a part of it, `**` for any number of segments"
    )]
    PartialDeep(String),
    #[error("`{0}` has more than one `**`: keep one, or write one route for each depth")]
    TwoDeep(String),
    #[error("`{pattern}` is not how the path arrives here: write `{instead}`")]
    NotCanonical { pattern: String, instead: String },
    #[error("no request can have the path `{pattern}`: {refusal}")]
    Refused { pattern: String, refusal: Refusal },
}

impl Pattern {
    /// Reads a pattern. A trailing slash makes no difference.
    ///
    /// # Errors
    /// When it is not a canonical path, or uses wildcards in a way that has no meaning.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let owned = || text.to_owned();
        if !text.starts_with('/') {
            return Err(if text.contains("://") {
                PatternError::Url(owned())
            } else {
                PatternError::NotRooted(owned())
            });
        }
        if text.contains('?') {
            return Err(PatternError::Query(owned()));
        }
        check_canonical(text)?;
        let path = text.strip_suffix('/').unwrap_or(text);
        let mut segments = Vec::new();
        for segment in path.split('/').skip(1) {
            segments.push(match segment {
                "*" => Segment::One,
                "**" if segments.contains(&Segment::Deep) => return Err(PatternError::TwoDeep(owned())),
                "**" => Segment::Deep,
                part if part.contains("**") => return Err(PatternError::PartialDeep(owned())),
                part => {
                    if part.contains('*') {
                        Segment::Glob(Glob::new(part))
                    } else {
                        Segment::Literal(percent_decode_str(part).decode_utf8_lossy().into_owned())
                    }
                }
            });
        }
        Ok(Self { text: owned(), segments })
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches `base`, a canonical path without wildcards, or anything below it.
    #[must_use]
    pub fn reaches_below(&self, base: &str) -> bool {
        let mut own = self.segments.iter();
        for wanted in base.split('/').skip(1) {
            let wanted = percent_decode_str(wanted).decode_utf8_lossy();
            match own.next() {
                Some(Segment::Deep) => return true,
                Some(Segment::One) => {}
                Some(Segment::Literal(text)) if *text == wanted => {}
                Some(Segment::Glob(glob)) if glob.matches(&wanted) => {}
                Some(Segment::Literal(_) | Segment::Glob(_)) | None => return false,
            }
        }
        true
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

/// What a person types into a pattern although it travels encoded; the library adds what is not ASCII.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ');

fn check_canonical(text: &str) -> Result<(), PatternError> {
    let pattern = || text.to_owned();
    match target::canonical(text.as_bytes()) {
        Ok(target) if target.path() == text => Ok(()),
        Ok(target) => Err(PatternError::NotCanonical { pattern: pattern(), instead: target.path().to_owned() }),
        Err(Refusal::NotEncoded) => {
            let instead = utf8_percent_encode(text, ENCODED).to_string();
            Err(PatternError::NotCanonical { pattern: pattern(), instead })
        }
        Err(refusal) => Err(PatternError::Refused { pattern: pattern(), refusal }),
    }
}

impl std::str::FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_says_what_to_write_instead() {
        let cases = [
            ("premium", "write `/premium`"),
            ("/a?b", "leave out the `?`"),
            ("https://a.example/b", "write its path alone"),
            ("/a**", "one segment or a part of it"),
            ("/a/***", "one segment or a part of it"),
            ("/**/a/**", "more than one `**`"),
            ("/%61", "write `/a`"),
            ("/caf%c3%a9", "write `/caf%C3%A9`"),
            ("/café au lait", "write `/caf%C3%A9%20au%20lait`"),
            ("/a//b", "empty segment"),
            ("/a/../b", "dot segment"),
            ("/a;b", "semicolon"),
            ("/a#b", "fragment"),
            ("/a\\b", "backslash"),
            ("", "write `/`"),
        ];
        for (text, expected) in cases {
            let error = Pattern::parse(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{error:?} should contain {expected:?}");
        }
    }
}
