//! How a delivery is answered: at once and by itself, whoever seems to send it, and so that nobody is turned away after it.

use serde_json::json;

use super::calm;
use crate::world::http::client;
use crate::world::polar;
use crate::world::stripe::{Event, SECRETS, Subscription, checkout_completed, signature, unique};
use crate::world::{Arrangement, Setup, World, in_seconds, send, token};

#[tokio::test]
async fn w36_no_redirect_and_no_sign_in_stands_before_a_webhook() {
    // A site that is closed to everybody, webhooks and all, as far as its rules say.
    let routes = "
[[route]]
path = \"/**\"
require = { tier = \"business\" }
";
    for arrangement in [Arrangement::AllPostgres, Arrangement::Separate] {
        let setup = Setup::new(arrangement).routes(routes).environment("POLAR_WEBHOOK_SECRET", polar::SECRETS[0]);
        let world = World::with(setup).await;
        assert_eq!(world.get("/welcome", None).await.status, 401, "the site is closed");
        let broken = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.";
        let valid = token(&unique("visitor"));
        let headers: [&[(&str, &str)]; 7] = [
            &[],
            &[("authorization", "Basic YWRtaW46YWRtaW4=")],
            &[("authorization", "Bearer "), ("cookie", "session=")],
            &[("authorization", broken), ("cookie", "session=\"; path=/; session=x")],
            &[("cookie", broken)],
            // As a browser, which is sent to a page where it would have to pay.
            &[("accept", "text/html"), ("sec-fetch-mode", "navigate"), ("authorization", &valid)],
            &[("origin", "https://evil.test"), ("x-entitlement-tier", "business"), ("referer", "https://evil.test/")],
        ];
        for headers in headers {
            for provider in ["stripe", "polar"] {
                let mut request = client().post(format!("{}/api/{provider}/webhook", world.url));
                for (name, value) in headers {
                    request = request.header(*name, *value);
                }
                let answer = send(signed(provider, request)).await;
                assert_eq!(answer.status, 200, "{provider} with {headers:?}: {answer:?}");
                assert_eq!(answer.header("location"), "", "{answer:?}");
            }
        }
        assert!(world.upstream.received_with("/api/").is_empty(), "nothing of it reached the site");
    }
}

/// A delivery of an event that changes nothing.
fn signed(provider: &str, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
    if provider == "stripe" {
        let body = Event::new("product.updated", json!({ "id": "prod_1", "object": "product" })).body();
        return request.header("stripe-signature", signature(&body, in_seconds(0), &SECRETS[..1])).body(body);
    }
    let body = r#"{"type":"product.updated","timestamp":"2026-01-02T03:04:05Z","data":{}}"#;
    let headers = polar::headers(&unique("msg"), body, 0, &[polar::signing(0)]);
    headers.into_iter().fold(request.body(body), |request, (name, value)| request.header(name, value))
}

#[tokio::test]
async fn w38_who_was_turned_away_reads_at_the_first_request_after_the_webhook() {
    let world = World::start(Arrangement::Separate).await;
    let mut answered_ok = 0;
    for _ in 0..20 {
        let (account, customer) = (unique("buyer"), unique("cus"));
        let buyer = token(&account);
        let subscription = Subscription::of(&customer);
        world.applied(&checkout_completed(Some(&account), &customer, &subscription.id)).await;
        for expected in [200, 402] {
            // Every proxy has just said the contrary, and remembers it.
            for proxy in world.proxies() {
                let before = send(world.request_to(proxy, "GET", "/premium/one", Some(&buyer))).await;
                assert_eq!(before.status, 602 - expected, "{before:?}");
            }
            let event = match expected {
                200 => subscription.event("created"),
                _ => subscription.ended().event("deleted"),
            };
            let answer = world.deliver(&event).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            if answer.json()["status"] != "ok" {
                // A busy machine: it is durable, and nothing is promised yet.
                calm(&world).await;
                world.everywhere("/premium/one", &buyer, expected).await;
                continue;
            }
            answered_ok += 1;
            if expected == 402 {
                // Only a denial is checked below; an end reaches a proxy by the push, a moment later.
                world.everywhere("/premium/one", &buyer, expected).await;
                continue;
            }
            for proxy in world.proxies() {
                let after = send(world.request_to(proxy, "GET", "/premium/one", Some(&buyer))).await;
                assert_eq!(after.status, expected, "the first request on {}: {after:?}", proxy.process.name);
            }
        }
    }
    assert!(answered_ok >= 20, "only {answered_ok} of 40 were answered \"ok\"");
}
