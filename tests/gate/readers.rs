//! The right answer to every kind of client: only a browser that navigates is sent elsewhere.

use super::paying;
use crate::world::http::Answer;
use crate::world::stripe::unique;
use crate::world::{Arrangement, World, send, token};

const HTML: &str = "text/html, application/xhtml+xml, */*;q=0.01";

/// Headers of a request.
type Lines<'a> = &'a [(&'a str, &'a str)];

/// A request of an account that has to pay, or of nobody.
async fn asks(world: &World, method: &str, token: Option<&str>, lines: Lines<'_>) -> Answer {
    let mut request = world.request(method, "/premium/part?page=2", None);
    if let Some(token) = token {
        request = request.header("cookie", format!("session={token}"));
    }
    send(lines.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

#[tokio::test]
async fn only_a_navigation_is_redirected_and_a_script_gets_a_problem_document() {
    let world = World::start(Arrangement::AllPostgres).await;
    let free = token(&unique("free"));
    let scripts: [Lines<'_>; 12] = [
        &[("accept", HTML), ("x-requested-with", "XMLHttpRequest")],
        &[("accept", HTML), ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")],
        &[("accept", HTML), ("sec-fetch-mode", "same-origin"), ("sec-fetch-dest", "empty")],
        &[("accept", HTML), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
        &[("accept", HTML), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
        &[("accept", HTML), ("sec-purpose", "prefetch")],
        &[
            ("accept", HTML),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
            ("sec-purpose", "prefetch;prerender"),
        ],
        &[("accept", HTML), ("purpose", "prefetch")],
        &[("accept", HTML), ("x-moz", "prefetch")],
        &[("accept", HTML), ("turbo-frame", "comments")],
        &[("accept", HTML), ("x-pjax", "true")],
        &[("accept", "*/*")],
    ];
    for lines in scripts {
        for (token, status, code) in [(Some(free.as_str()), 402, "payment_required"), (None, 401, "sign_in")] {
            let answer = asks(&world, "GET", token, lines).await;
            assert_eq!((answer.status, answer.code().as_str()), (status, code), "{lines:?}: {answer:?}");
            assert_eq!(answer.header("content-type"), "application/problem+json", "{lines:?}");
            assert!(!answer.headers.contains_key("location"), "{lines:?}: {answer:?}");
        }
    }
    let browsers: [Lines<'_>; 6] = [
        &[("accept", HTML)],
        &[("accept", HTML), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")],
        &[("accept", HTML), ("sec-fetch-mode", "navigate")],
        &[("accept", HTML), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "empty")],
        &[("accept", HTML), ("x-requested-with", "com.example.reader")],
        &[("accept", HTML), ("x-turbo-request-id", "7"), ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")],
    ];
    for lines in browsers {
        let pays = asks(&world, "GET", Some(&free), lines).await;
        let to = "/billing/pricing?next=%2Fpremium%2Fpart%3Fpage%3D2";
        assert_eq!((pays.status, pays.header("location")), (303, to), "{lines:?}: {pays:?}");
        let signs_in = asks(&world, "GET", None, lines).await;
        let to = "/login?next=%2Fpremium%2Fpart%3Fpage%3D2";
        assert_eq!((signs_in.status, signs_in.header("location")), (303, to), "{lines:?}: {signs_in:?}");
    }
}

#[tokio::test]
async fn htmx_and_inertia_are_told_where_to_go_in_their_own_words() {
    let world = World::start(Arrangement::AllPostgres).await;
    let free = token(&unique("free"));
    let here = format!("{}/list?page=2", world.url);
    let to = |next: &str| format!("/billing/pricing?next={next}");
    let htmx = ("hx-request", "true");
    let cases: [(&str, Lines<'_>, String); 4] = [
        ("GET", &[("accept", "*/*"), htmx], to("%2Fpremium%2Fpart%3Fpage%3D2")),
        ("GET", &[("accept", "*/*"), htmx, ("hx-current-url", &here)], to("%2Flist%3Fpage%3D2")),
        ("POST", &[("accept", HTML), htmx, ("hx-current-url", &here)], to("%2Flist%3Fpage%3D2")),
        ("GET", &[htmx, ("hx-current-url", "https://evil.test/list")], to("%2Fpremium%2Fpart%3Fpage%3D2")),
    ];
    for (method, lines, to) in cases {
        let answer = asks(&world, method, Some(&free), lines).await;
        let told = (answer.status, answer.code(), answer.header("hx-redirect").to_owned());
        assert_eq!(told, (402, "payment_required".to_owned(), to), "{lines:?}: {answer:?}");
    }
    let anonymous = asks(&world, "GET", None, &[htmx]).await;
    assert_eq!((anonymous.status, anonymous.header("hx-redirect")), (401, "/login?next=%2Fpremium%2Fpart%3Fpage%3D2"));
    let inertia =
        [("accept", HTML), ("x-requested-with", "XMLHttpRequest"), ("x-inertia", "true"), ("x-inertia-version", "1")];
    let answer = asks(&world, "GET", Some(&free), &inertia).await;
    let told = (answer.status, answer.code(), answer.header("x-inertia-location").to_owned());
    assert_eq!(told, (409, "payment_required".to_owned(), to("%2Fpremium%2Fpart%3Fpage%3D2")), "{answer:?}");
    assert_eq!(answer.json()["status"], 409);
    let put = asks(&world, "PUT", None, &inertia).await;
    assert_eq!((put.status, put.header("x-inertia-location")), (409, "/login?next=%2F"), "{put:?}");
    let paid = paying(&world).await;
    assert_eq!(asks(&world, "GET", Some(&paid), &inertia).await.status, 200);
}
