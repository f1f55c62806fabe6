//! What is taken, what is refused, and with which status: the provider acts on nothing else.

use serde_json::json;

use crate::world::http::raw_head;
use crate::world::stripe::{Event, SECRETS, Subscription, checkout_completed, signature, unique};
use crate::world::{Arrangement, Setup, World, in_seconds, token};

/// A signed event that changes nothing.
fn harmless() -> Event {
    Event::new("product.updated", json!({ "id": "prod_1", "object": "product" }))
}

#[tokio::test]
async fn only_what_the_provider_signed_lately_is_taken() {
    let world = World::start(Arrangement::AllPostgres).await;
    let body = harmless().body();
    let now = in_seconds(0);
    let good = signature(&body, now, &SECRETS[..1]);
    let other_body = signature(&harmless().body(), now, &SECRETS[..1]);
    let cases = [
        ("no signature", None, 400),
        ("another secret", Some(signature(&body, now, &["whsec_of_somebody_else"])), 401),
        ("another body", Some(other_body), 401),
        ("ten minutes old", Some(signature(&body, in_seconds(-600), &SECRETS[..1])), 401),
        ("no timestamp", Some(good.split_once(',').expect("two parts").1.to_owned()), 401),
        ("another timestamp", Some(good.replacen(&now.to_string(), &in_seconds(-1).to_string(), 1)), 401),
        ("half a signature", Some(good[..good.len() - 2].to_owned()), 401),
        ("only a test signature", Some(good.replacen(",v1=", ",v0=", 1)), 401),
        ("nonsense", Some("nonsense".to_owned()), 401),
        ("the second secret", Some(signature(&body, now, &SECRETS[1..])), 200),
        ("both secrets", Some(signature(&body, now, &SECRETS)), 200),
        ("one good among bad", Some(signature(&body, now, &["whsec_old", SECRETS[0]])), 200),
    ];
    for (what, signature, status) in cases {
        let answer = world.deliver_raw(&body, signature.as_deref()).await;
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        if status != 200 {
            assert!(!answer.code().is_empty(), "{what}");
        }
    }
}

#[tokio::test]
async fn a_signed_body_that_is_no_event_is_refused() {
    let world = World::start(Arrangement::AllPostgres).await;
    let deliver =
        async |body: &str| world.deliver_raw(body, Some(&signature(body, in_seconds(0), &SECRETS[..1]))).await;
    let without_id = json!({ "object": "event", "type": "product.updated", "created": 1, "data": { "object": {} } });
    for (what, body) in [
        ("empty", String::new()),
        ("not JSON", "tier=paid".to_owned()),
        ("half a document", harmless().body()[..40].to_owned()),
        ("a list", "[]".to_owned()),
        ("no id", without_id.to_string()),
    ] {
        let answer = deliver(&body).await;
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        assert!(!answer.code().is_empty(), "{what}");
    }
}

#[tokio::test]
async fn a_body_that_never_ends_is_refused_before_it_is_read_whole() {
    let world = World::start(Arrangement::AllPostgres).await;
    let mut request = String::from(
        "POST /api/stripe/webhook HTTP/1.1\r\nHost: site.test\r\nStripe-Signature: t=1,v1=00\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
    );
    // 2 MiB, and no last chunk: only a server that counts while it reads can answer.
    for _ in 0..32 {
        request.push_str(&format!("10000\r\n{}\r\n", "x".repeat(0x10000)));
    }
    let answer = raw_head(world.proxy().listen.public, request).await;
    assert_eq!(answer.status, 413, "{answer:?}");
}

#[tokio::test]
async fn without_a_secret_nothing_is_taken() {
    let setup = Setup::new(Arrangement::AllPostgres).environment("STRIPE_WEBHOOK_SECRET", "");
    let answer = World::with(setup).await.deliver(&harmless()).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(!answer.code().is_empty());
}

#[tokio::test]
async fn an_event_is_taken_once_and_what_changes_nothing_is_ignored() {
    let world = World::start(Arrangement::AllPostgres).await;
    let event = harmless();
    let first = world.deliver(&event).await;
    let word = first.json()["status"].clone();
    assert!(first.status == 200 && (word == "ignored" || word == "accepted"), "{first:?}");
    world.ignored(&event).await;
    let second = world.deliver(&event).await;
    assert_eq!((second.status, &second.json()["status"]), (200, &"duplicate".into()), "{second:?}");
    let counted = world.billing().metric("tollgate_webhooks_total", &["outcome=\"duplicate\""]).await;
    assert!(counted >= 1.0, "an operator sees it");

    let (account, customer) = (unique("buyer"), unique("cus"));
    let subscription = Subscription::of(&customer);
    world.accepted(&checkout_completed(Some(&account), &customer, &subscription.id)).await;
    let created = subscription.event("created");
    world.applied(&created).await;
    world.everywhere("/premium/one", &token(&account), 200).await;
    let again = world.deliver(&created).await;
    assert_eq!((again.status, &again.json()["status"]), (200, &"duplicate".into()), "{again:?}");
}
