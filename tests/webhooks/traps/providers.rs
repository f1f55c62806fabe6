//! Several subscriptions, several providers, several products: what ends is one of them, and what is not sold gives
//! nothing.

use demo::polar::{KeyForm, StandardSecret};
use serde_json::json;

use super::{Buyer, calm, number};
use crate::world::polar::{Asking, PAID, SECRETS, WithPolar, headers};
use crate::world::stripe::{Event, Subscription, checkout_completed, unique};
use crate::world::{Arrangement, Setup, World};

#[tokio::test]
async fn w07_the_end_of_one_subscription_leaves_what_another_grants() {
    let world = World::start(Arrangement::AllPostgresRedis).await;
    let buyer = Buyer::linked(&world).await;
    let (old, new) = (Subscription::of(&buyer.customer), Subscription::of(&buyer.customer));
    world.applied(&old.event("created")).await;
    world.applied(&new.event("created")).await;
    world.applied(&old.ended().event("deleted")).await;
    buyer.reads(&world, 200, "the old one ended").await;
    // One that ended long ago is told again, and one that never was paid for expires.
    world.ignored(&old.ended().event("updated")).await;
    let superseded = Subscription { status: "incomplete", ..Subscription::of(&buyer.customer) };
    world.applied(&superseded.event("created")).await;
    world.applied(&Subscription { status: "incomplete_expired", ..superseded }.event("updated")).await;
    buyer.reads(&world, 200, "one that never began ended").await;
    world.applied(&new.ended().event("deleted")).await;
    buyer.reads(&world, 402, "the new one ended").await;
}

/// Waits until Polar has told everything, then as [`Buyer::reads`].
async fn reads(buyer: &Buyer, scene: &WithPolar, status: u16, what: &str) {
    scene.settled().await;
    buyer.reads(&scene.world, status, what).await;
}

#[tokio::test]
async fn w08_the_end_at_one_provider_leaves_what_the_other_and_a_gift_grant() {
    let scene = WithPolar::start(Setup::new(Arrangement::AllPostgres), Asking::No).await;
    let (world, polar) = (&scene.world, &scene.polar);
    for stripe_first in [true, false] {
        let buyer = Buyer::linked(world).await;
        let stripe = Subscription::of(&buyer.customer);
        world.applied(&stripe.event("created")).await;
        let of_polar = scene.subscribe(&buyer.account, PAID).subscription;
        reads(&buyer, &scene, 200, "both").await;
        let running = "select count(*) from subscriptions where account = $1 and state = 'active'";
        assert_eq!(number(world, running, &buyer.account).await, 2, "one at each");
        if stripe_first {
            world.applied(&stripe.ended().event("deleted")).await;
            reads(&buyer, &scene, 200, "Polar's goes on").await;
            polar.revoke(&of_polar).expect("revoked");
        } else {
            polar.revoke(&of_polar).expect("revoked");
            reads(&buyer, &scene, 200, "Stripe's goes on").await;
            world.applied(&stripe.ended().event("deleted")).await;
        }
        reads(&buyer, &scene, 402, "neither").await;
    }
    let buyer = Buyer::linked(world).await;
    let stripe = Subscription::of(&buyer.customer);
    world.applied(&stripe.event("created")).await;
    let of_polar = scene.subscribe(&buyer.account, PAID).subscription;
    world.tollgate(&["grant", &buyer.account, "paid", "--reason", "a gift"]).await.success();
    world.applied(&stripe.ended().event("deleted")).await;
    polar.revoke(&of_polar).expect("revoked");
    reads(&buyer, &scene, 200, "what was given goes on").await;
}

#[tokio::test]
async fn w09_what_is_not_sold_here_gives_nothing_and_somebody_is_told() {
    let world = World::start(Arrangement::AllPostgres).await;
    let buyer = Buyer::linked(&world).await;
    let unknown = Subscription { price: "price_of_another_shop".to_owned(), ..Subscription::of(&buyer.customer) };
    let event = unknown.event("created");
    world.applied(&event).await;
    assert_eq!(world.billing().metric("tollgate_unknown_prices_total", &[]).await, 1.0, "an operator is told");
    let (_, reason) = super::rests(&world, &event.id).await;
    assert!(reason.contains("price_of_another_shop"), "by name: {reason}");
    buyer.reads(&world, 402, "a price that no catalog names").await;
    // A checkout is no subscription, whatever it was for.
    for (mode, payment_status) in [("payment", "paid"), ("setup", "no_payment_required"), ("subscription", "paid")] {
        let buyer = Buyer::linked(&world).await;
        let session = json!({
            "id": unique("cs"), "object": "checkout.session", "mode": mode, "status": "complete",
            "payment_status": payment_status, "customer": buyer.customer, "client_reference_id": buyer.account,
            "subscription": (mode == "subscription").then(|| unique("sub")), "metadata": { "tier": "paid" },
        });
        world.settled(&Event::new("checkout.session.completed", session)).await;
        buyer.reads(&world, 402, mode).await;
    }
    let stranger = unique("buyer");
    world.applied(&checkout_completed(Some(&stranger), &unique("cus"), &unique("sub"))).await;
    calm(&world).await;
    assert_eq!(world.get("/premium/one", Some(&crate::world::token(&stranger))).await.status, 402);
}

#[tokio::test]
async fn w23_polar_is_believed_under_both_keys_of_a_secret() {
    let scene = WithPolar::start(Setup::new(Arrangement::AllPostgres), Asking::No).await;
    let world = &scene.world;
    let secret = |secret: &str, form| StandardSecret { secret: secret.to_owned(), form };
    let [first, second] = SECRETS;
    for secrets in [
        vec![secret(first, KeyForm::Whole)],
        vec![secret(first, KeyForm::Decoded)],
        vec![secret(second, KeyForm::Whole)],
        vec![secret("whsec_c29tZWJvZHkgZWxzZSdz", KeyForm::Decoded), secret(first, KeyForm::Whole)],
    ] {
        scene.polar.set_webhook_secrets(secrets);
        let account = unique("buyer");
        let customer = scene.subscribe(&account, PAID).customer;
        let buyer = Buyer { token: crate::world::token(&account), account, customer };
        reads(&buyer, &scene, 200, "signed").await;
    }
    let body = r#"{"type":"product.created","timestamp":"2026-01-02T03:04:05Z","data":{}}"#;
    for (what, form, text, status) in [
        ("another's secret", KeyForm::Whole, "whsec_c29tZWJvZHkgZWxzZSdz", 401),
        ("what another's encodes", KeyForm::Decoded, "whsec_c29tZWJvZHkgZWxzZSdz", 401),
        ("only the prefix", KeyForm::Whole, "whsec_", 401),
        ("the secret without its prefix", KeyForm::Whole, &first["whsec_".len()..], 401),
        ("ours", KeyForm::Whole, first, 200),
    ] {
        let headers = headers(&unique("msg"), body, 0, &[secret(text, form)]);
        let answer = world.deliver_to_polar(body, &headers).await;
        assert_eq!(answer.status, status, "{what}: {answer:?}");
    }
}
