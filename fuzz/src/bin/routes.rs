//! Route patterns, and the tree that finds the first that matches. Input: the target of a request, then a pattern on
//! each line.

#![no_main]

use entitlement::authorize::Policy;
use fuzz::parts;
use http::Method;
use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode_str;
use proxy::routes::{Destination, Pattern, PatternError, Route, Table};
use proxy::target::canonical;

/// How often a person may have to follow what a refused pattern says.
const ADVICES_MAX: usize = 2;
const PATTERNS_MAX: usize = 32;

fuzz_target!(|input: &[u8]| {
    let Some(([raw], rest)) = parts(input) else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let patterns: Vec<Pattern> = text.lines().take(PATTERNS_MAX).filter_map(read).collect();
    let Ok(target) = canonical(raw) else { return };
    let path = target.path();

    let routes = patterns.iter().map(|pattern| Route::new(pattern.clone(), Policy::public()));
    let table = Table::new(routes.collect(), Policy::public());
    let found = table.find(&Method::GET, None, path);
    if found.destination != Destination::Site {
        return;
    }
    let first = patterns.iter().position(|pattern| matches(&segments(pattern.as_str()), &segments(path)));
    let reserved = table.rules().len() - 1 - patterns.len();
    assert_eq!(found.index - reserved, first.unwrap_or(patterns.len()), "{path} finds {}", found.label);
});

/// A pattern; one that is refused with what to write instead must become one by writing that.
fn read(text: &str) -> Option<Pattern> {
    let mut text = text.to_owned();
    for _ in 0..=ADVICES_MAX {
        match Pattern::parse(&text) {
            Ok(pattern) => {
                let again = canonical(pattern.as_str().as_bytes()).expect("a pattern is canonical");
                assert_eq!(again.path(), pattern.as_str());
                return Some(pattern);
            }
            Err(PatternError::NotCanonical { instead, .. }) => text = instead,
            Err(refused) => {
                assert!(!refused.to_string().is_empty());
                return None;
            }
        }
    }
    panic!("advice without end: {text}");
}

/// The segments of a path; a slash at the end makes no difference.
fn segments(path: &str) -> Vec<&str> {
    path.strip_suffix('/').unwrap_or(path).split('/').skip(1).collect()
}

/// The meaning of patterns, as simply as it can be said. Only a star that is written as one is a wildcard.
fn matches(pattern: &[&str], path: &[&str]) -> bool {
    let decoded = |segment| percent_decode_str(segment).decode_utf8_lossy().into_owned();
    match (pattern, path) {
        ([], []) => true,
        (["**", rest @ ..], _) => (0..=path.len()).any(|skipped| matches(rest, &path[skipped..])),
        (["*", rest @ ..], [_, tail @ ..]) => matches(rest, tail),
        ([part, rest @ ..], [first, tail @ ..]) => {
            let parts: Vec<Vec<char>> = part.split('*').map(|part| decoded(part).chars().collect()).collect();
            let letters: Vec<char> = decoded(first).chars().collect();
            is_glob(&parts, &letters) && matches(rest, tail)
        }
        _ => false,
    }
}

/// Whether a segment is these parts with anything between them.
fn is_glob(parts: &[Vec<char>], text: &[char]) -> bool {
    let [first, rest @ ..] = parts else { return text.is_empty() };
    let Some(left) = text.strip_prefix(first.as_slice()) else { return false };
    if rest.is_empty() { left.is_empty() } else { (0..=left.len()).any(|skipped| is_glob(rest, &left[skipped..])) }
}
