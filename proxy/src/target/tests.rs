//! Targets as tables, and what must be so of every one.

use percent_encoding::percent_decode_str;
use proptest::prelude::*;

use super::*;

#[test]
fn a_canonical_target_passes_as_it_is() {
    for raw in [
        "/",
        "/a",
        "/a/",
        "/a/b.c/..d/...",
        "/%C3%A9",
        "/a%20b",
        "/50%25",
        "/@u:x/!$&'()*+,=~",
        "/?",
        "/a?x=/../%zz;\\",
    ] {
        let target = canonical(raw.as_bytes()).unwrap_or_else(|refusal| panic!("{raw}: {refusal}"));
        assert_eq!(target.rewritten(), None, "{raw}");
        assert_eq!(target.path(), raw.split('?').next().expect("a path"));
    }
}

#[test]
fn an_odd_spelling_is_rewritten() {
    let cases = [
        ("/%61dmin", "/admin"),
        ("/%41%2d%7E%5f", "/A-~_"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/a%2eb", "/a.b"),
        ("/%61?q=%61", "/a?q=%61"),
        ("/%61?", "/a?"),
    ];
    for (raw, wire) in cases {
        let rewritten = canonical(raw.as_bytes()).expect(raw).rewritten().expect(raw);
        assert_eq!(String::from_utf8(rewritten).expect("text"), wire);
    }
}

#[test]
fn what_two_parsers_could_read_differently_is_refused() {
    use Refusal::*;
    let cases: [(&[u8], Refusal); 44] = [
        (b"", NotOriginForm),
        (b"*", NotOriginForm),
        (b"?x", NotOriginForm),
        (b"admin/x", NotOriginForm),
        (b"foo:/admin", NotOriginForm),
        (b"http://h/admin", NotOriginForm),
        (b"h:80", NotOriginForm),
        (b"\\admin", NotOriginForm),
        (b"//admin", EmptySegment),
        (b"//", EmptySegment),
        (b"/a//b", EmptySegment),
        (b"/a//", EmptySegment),
        (b"/.", DotSegment),
        (b"/./a", DotSegment),
        (b"/a/..", DotSegment),
        (b"/a/../b", DotSegment),
        (b"/%2e/a", DotSegment),
        (b"/a/%2E%2e", DotSegment),
        (b"/a/.%2e/b", DotSegment),
        (b"/a%2fb", EncodedSeparator),
        (b"/..%2Fb", EncodedSeparator),
        (b"/a%5cb", EncodedSeparator),
        (b"/a\\b", Backslash),
        (b"/a;x=1/b", Semicolon),
        (b"/a%3bx", Semicolon),
        (b"/..;/b", Semicolon),
        (b"/a#b", Fragment),
        (b"/a?b#c", Fragment),
        (b"/a\tb", Control),
        (b"/a\x7f", Control),
        (b"/a%00", Control),
        (b"/a%0d%0aX:y", Control),
        (b"/a%7F", Control),
        (b"/a%C2%85", Control),
        (b"/a?b\0", Control),
        (b"/a%", BadEscape),
        (b"/a%4", BadEscape),
        (b"/a%zz", BadEscape),
        (b"/a%2541", DoubleEncoding),
        (b"/a%25%34%31", DoubleEncoding),
        (b"/a%c0%ae", NotUtf8),
        (b"/a%ff", NotUtf8),
        ("/café".as_bytes(), NotEncoded),
        (b"/a b", NotEncoded),
    ];
    for (raw, refusal) in cases {
        assert_eq!(canonical(raw), Err(refusal), "{}", String::from_utf8_lossy(raw));
    }
}

#[test]
fn a_path_that_is_read_again_may_end_earlier() {
    let cases = [
        ("/premium", None),
        ("/caf%C3%A9/50%25", None),
        ("/premium%3Fx", Some("/premium")),
        ("/premium/%23/a", Some("/premium/")),
        ("/%C3%A9%23%3F", Some("/%C3%A9")),
        ("/premium%20", Some("/premium")),
        ("/premium%20%20%3Fx", Some("/premium")),
        ("/premium%20plans", None),
        ("/a%2", None),
    ];
    for (path, left) in cases {
        assert_eq!(reread(path), left, "{path}");
    }
}

/// Paths that are odd often, and refused not always.
fn odd_path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-zA-Z0-9._~-]{1,3}",
        3 => "%[0-9a-fA-F]{2}",
        1 => "%25[0-9a-f%]{1,2}",
        2 => Just("/".to_owned()),
        1 => "[ -~]",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #[test]
    fn canonicalising_twice_changes_nothing(raw in odd_path()) {
        if let Ok(target) = canonical(raw.as_bytes()) {
            let wire = target.rewritten().unwrap_or_else(|| raw.clone().into_bytes());
            let again = canonical(&wire).expect("what is on the wire is canonical");
            prop_assert_eq!(again.rewritten(), None);
            prop_assert_eq!(again.path(), target.path());
        }
    }

    #[test]
    fn a_canonical_path_has_nothing_of_what_is_refused(raw in odd_path()) {
        if let Ok(target) = canonical(raw.as_bytes()) {
            let path = target.path();
            prop_assert!(path.starts_with('/') && !path.contains("//") && path.is_ascii());
            let meaning = percent_decode_str(path).decode_utf8().expect("text");
            prop_assert!(!meaning.chars().any(|c| matches!(c, '\\' | ';') || c.is_control()));
            prop_assert_eq!(meaning.matches('/').count(), path.matches('/').count(), "no hidden separator");
            for segment in meaning.split('/') {
                prop_assert!(segment != "." && segment != "..");
            }
            prop_assert_eq!(&percent_decode_str(&meaning).decode_utf8_lossy(), &meaning, "nothing left to decode");
        }
    }

    #[test]
    fn no_bytes_make_it_panic(raw in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = canonical(&raw);
        let _ = canonical(&[b"/", &raw[..]].concat());
    }
}
