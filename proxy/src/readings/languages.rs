//! Segments of a path that are a language, such as `en`, `pt-BR` and `zh-Hans-CN` (BCP 47).

use std::sync::Arc;

/// The languages of a site: those that are named, and what is surely one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Languages(Arc<[String]>);

impl Languages {
    /// Languages by names that do not look like one, such as `default` and `fil`.
    #[must_use]
    pub fn new(named: Vec<String>) -> Self {
        Self(named.into())
    }

    /// Whether a segment is a language: one of the named ones in any letter case, or two letters with or without more parts.
    pub(super) fn include(&self, segment: &str) -> bool {
        if self.0.iter().any(|named| named.eq_ignore_ascii_case(segment)) {
            return true;
        }
        let mut parts = segment.split('-');
        let is_language =
            parts.next().is_some_and(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_alphabetic()));
        is_language
            && parts.all(|part| (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_named_or_looks_like_one() {
        let languages = Languages::new(vec!["fil".into(), "default".into()]);
        for segment in ["en", "EN", "pt-BR", "zh-Hans-CN", "es-419", "fil", "Default"] {
            assert!(languages.include(segment), "{segment}");
        }
        for segment in ["", "api", "paid", "e", "en-", "12", "en_US", "en-toolongtobeone"] {
            assert!(!languages.include(segment), "{segment}");
        }
    }
}
