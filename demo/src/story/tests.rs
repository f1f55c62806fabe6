//! The story must be able to fail: where no gate stands, and where nobody answers. That it goes well is shown with the
//! whole of Tollgate, outside this crate.

use super::{Settings, play};
use crate::site::{self, Site};

#[tokio::test]
async fn without_a_gate_the_story_fails_at_the_first_paid_page() {
    let site = Site::start(site::Settings::new("http://127.0.0.1:8080", "a secret of at least 32 bytes, yes"));
    let site = site.await.expect("a site");
    let mut out = Vec::new();
    let played = play(&Settings::new(site.url(), "http://127.0.0.1:9"), &mut out).await;
    let told = String::from_utf8(out).expect("text");
    assert!(played.is_err(), "{told}");
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("ok    1  the front page"), "{told}");
    assert!(lines[1].starts_with("FAIL  2  a paid page, not signed in"), "{told}");
    assert!(lines[2].ends_with("303 → /login") && lines[3].ends_with("200"), "{told}");
}

#[tokio::test]
async fn where_nobody_answers_the_story_says_so() {
    let mut out = Vec::new();
    let played = play(&Settings::new("http://127.0.0.1:9", "http://127.0.0.1:9"), &mut out).await;
    assert!(played.is_err());
    assert!(String::from_utf8(out).expect("text").starts_with("FAIL  1  no answer for /"));
}
