//! Inviting others, from the link to the days that both get.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Buyer, annual, kept, monthly, provider, setup, shop, text, with_cookie};
use crate::world::wait::DEADLINE;
use crate::world::{Arrangement, World, eventually};

crate::journeys::in_every_arrangement!(a_link_brings_an_account_and_both_get_their_days);

async fn a_link_brings_an_account_and_both_get_their_days(arrangement: Arrangement) {
    let world = shop(arrangement).await;
    let (host, guest) = (Buyer::new(&world), Buyer::new(&world));
    let invitation = host.get("/api/billing/referral").await;
    let (code, link) = (text(&invitation, "code"), text(&invitation, "link"));
    assert_eq!(link, format!("{}/billing/r/{code}", world.url));
    assert_eq!((&invitation["converted"], &invitation["credit_days_left"]), (&json!(0), &json!(0)));
    assert_eq!(host.get("/api/billing/referral").await["code"], code.as_str(), "it stays");

    // The guest follows the link before there is an account, signs up, and looks at the plans.
    let followed = world.browse(&format!("/billing/r/{code}"), None).await;
    assert_eq!((followed.status, followed.header("location")), (303, format!("{}/", world.url).as_str()));
    let cookie = kept(&followed);
    let looked = with_cookie(&world, "/billing/pricing", Some(&guest.token), &cookie).await;
    assert_eq!(looked.status, 200);
    assert!(looked.header("set-cookie").contains("Max-Age=0"), "it is forgotten: {looked:?}");

    guest.buys(&monthly()).await;
    guest.becomes("active").await;
    eventually("the host is rewarded", async || {
        let standing = host.get("/api/billing/referral").await;
        (standing["converted"] == 1).then_some(())
    })
    .await;
    for buyer in [&host, &guest] {
        assert_eq!(buyer.get("/api/billing/referral").await["credit_days_left"], 45);
    }
    world.everywhere("/premium/one", &host.token, 200).await;
    let standing = host.standing().await;
    assert_eq!((&standing["tier"], &standing["status"]), (&json!("paid"), &json!("credit")));
    // The guest's days wait: what is paid for goes first.
    assert_eq!(guest.standing().await["status"], "active");
}

#[tokio::test]
async fn a_trial_moves_no_money_and_brings_nothing_until_it_is_paid_for() {
    let world = shop(Arrangement::AllPostgres).await;
    let (host, guest) = (Buyer::new(&world), Buyer::new(&world));
    invited(&host, &guest).await;
    guest.buys(&annual()).await;
    guest.becomes("trialing").await;
    assert_eq!(host.get("/api/billing/referral").await["converted"], 0);
    assert_eq!(world.get("/premium/one", Some(&host.token)).await.status, 402);
    provider(&world).advance(Duration::from_secs(15 * 86_400)).expect("the trial ends");
    provider(&world).settled(DEADLINE).await.expect("told");
    rewarded(&host, 1).await;
    // And what brought it goes back.
    let invoices = provider(&world).invoices();
    let paid = invoices.iter().find(|invoice| invoice["amount_paid"] == 7000).expect("it was paid");
    provider(&world).refund(&text(paid, "id"), None).expect("refunded");
    rewarded(&host, 0).await;
    world.everywhere("/premium/one", &host.token, 402).await;
    assert_eq!(guest.get("/api/billing/referral").await["credit_days_left"], 0, "on both sides");
}

#[tokio::test]
async fn two_guests_who_pay_at_once_credit_their_host_twice() {
    let world = shop(Arrangement::Separate).await;
    let host = Buyer::new(&world);
    let guests = [Buyer::new(&world), Buyer::new(&world)];
    provider(&world).hold();
    for guest in &guests {
        invited(&host, guest).await;
        let session = guest.opens(&monthly()).await;
        provider(&world).complete_checkout(&session).expect("paid");
    }
    // Both come back at the same moment, and then everything is told at once.
    let back = |guest: &Buyer<'_>| {
        let token = guest.token.clone();
        let world = &world;
        async move { world.browse("/billing/return", Some(&token)).await }
    };
    let (one, other) = tokio::join!(back(&guests[0]), back(&guests[1]));
    assert_eq!((one.status, other.status), (303, 303), "{one:?} {other:?}");
    provider(&world).release();
    provider(&world).settled(DEADLINE).await.expect("told");
    rewarded(&host, 2).await;
    assert_eq!(host.get("/api/billing/referral").await["credit_days_left"], 90);
}

#[tokio::test]
async fn an_invitation_that_cannot_be_says_why() {
    let terms = setup(Arrangement::AllPostgres).key("referral.credit_days", "10").key("referral.rewards_max", "1");
    let world = World::with(terms.key("referral.landing_url", "\"/welcome\"")).await;
    let (host, guest) = (Buyer::new(&world), Buyer::new(&world));
    let code = text(&host.get("/api/billing/referral").await, "code");
    let bind = async |buyer: &Buyer<'_>, body: Value| {
        let answer = world.post("/api/billing/referral", &buyer.token, &body).await;
        if answer.status == 200 { "bound".to_owned() } else { answer.code() }
    };
    assert_eq!(bind(&guest, json!({})).await, "no_code");
    assert_eq!(bind(&guest, json!({ "code": "nobodyhasit" })).await, "unknown_code");
    assert_eq!(bind(&host, json!({ "code": code })).await, "self_referral");
    for _ in 0..2 {
        assert_eq!(bind(&guest, json!({ "code": code.to_uppercase() })).await, "bound");
    }
    let of_guest = text(&guest.get("/api/billing/referral").await, "code");
    assert_eq!(bind(&host, json!({ "code": of_guest })).await, "self_referral", "not by one's own guest");
    let other = Buyer::new(&world);
    let of_other = text(&other.get("/api/billing/referral").await, "code");
    assert_eq!(bind(&guest, json!({ "code": of_other })).await, "already_referred");
    other.buys(&monthly()).await;
    other.becomes("active").await;
    assert_eq!(bind(&other, json!({ "code": code })).await, "not_new");

    let unknown = world.browse("/billing/r/nobodyhasit", None).await;
    assert_eq!((unknown.status, unknown.header("set-cookie")), (303, ""), "nothing to remember");
    assert_eq!(unknown.header("location"), format!("{}/welcome", world.url));
    let (stranger, forged) = (Buyer::new(&world), format!("tollgate_referral={code}"));
    let asked = with_cookie(&world, "/api/billing/referral", Some(&stranger.token), &forged).await;
    assert_eq!((asked.status, asked.header("set-cookie")), (200, ""), "it was not ours");

    // Only the first is rewarded; both guests are.
    let second = Buyer::new(&world);
    assert_eq!(bind(&second, json!({ "code": code })).await, "bound");
    for guest in [&guest, &second] {
        guest.buys(&monthly()).await;
        guest.becomes("active").await;
        eventually("the guest is rewarded", async || {
            (guest.get("/api/billing/referral").await["credit_days_left"] == 10).then_some(())
        })
        .await;
    }
    let standing = host.get("/api/billing/referral").await;
    assert_eq!((&standing["converted"], &standing["credit_days_left"]), (&json!(2), &json!(10)));
}

async fn invited(host: &Buyer<'_>, guest: &Buyer<'_>) {
    let code = text(&host.get("/api/billing/referral").await, "code");
    let bound = host.world.post("/api/billing/referral", &guest.token, &json!({ "code": code })).await;
    assert_eq!((bound.status, bound.json()), (200, json!({ "status": "bound" })));
}

/// Waits until the host has brought so many.
async fn rewarded(host: &Buyer<'_>, count: u64) {
    eventually(&format!("{count} are brought"), async || {
        (host.get("/api/billing/referral").await["converted"] == count).then_some(())
    })
    .await;
}
