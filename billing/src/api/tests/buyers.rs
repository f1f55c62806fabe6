//! Organisations: some users buy for their account, the others look on.

use super::*;
use crate::store::accounts::{self, Change};

const CHANGES: [&str; 6] = [
    "/api/billing/checkout",
    "/api/stripe/checkout",
    "/api/billing/portal",
    "/api/stripe/portal",
    "/api/billing/cancel",
    "/api/billing/reactivate",
];

impl Shop {
    /// The same, for a user who acts for the buyer.
    fn acting(self, user: &'static str, is_buyer: bool) -> Self {
        Self { acting: Some((user, is_buyer)), ..self }
    }

    /// The answer to a form of our own pages.
    async fn press(&self, path: &str, form: &'static str) -> (u16, String) {
        let request = Request::post(path)
            .header("x-entitlement-assertion", self.assertion(ASSERTION_AUDIENCE))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin");
        let response = self.send(request.body(Body::from(form)).expect("a request")).await;
        (response.status().as_u16(), text(response).await)
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_user_who_may_not_buy_changes_nothing(pool: PgPoolOptions, database: PgConnectOptions) {
    let shop = Shop::open(pool, database, Twist::None).await;
    shop.subscribed().await;
    let shop = shop.acting("bob", false);
    for path in CHANGES {
        assert_eq!(shop.refusal(path, MONTHLY()).await, (403, "not_a_buyer".to_owned()), "{path}");
    }
    for (path, form) in [
        ("/billing/checkout", "tier=paid&cadence=monthly&consent=monthly-waiver-1"),
        ("/billing/portal", ""),
        ("/billing/cancel", ""),
        ("/billing/reactivate", ""),
    ] {
        let (status, html) = shop.press(path, form).await;
        assert_eq!(status, 403, "{path}: {html}");
        assert!(html.contains("Only those who manage billing for your account can do this."), "{path}: {html}");
        assert!(!html.contains("<form"), "{path}: {html}");
    }
    let known = shop.provider.subscriptions();
    assert!(known.iter().all(|known| known["cancel_at_period_end"] == false), "the provider was not asked: {known:?}");
    let (status, shown) = answer(shop.get("/api/billing/subscription").await).await;
    assert_eq!((status, &shown["account"], &shown["user"]), (StatusCode::OK, &json!("user-1"), &json!("bob")));
    assert_eq!((&shown["buyer"], &shown["tier"]), (&json!(false), &json!("paid")), "it is their plan, too");
    let html = text(shop.get("/billing").await).await;
    assert!(html.contains("Signed in as bob, for user-1") && !html.contains("<form"), "{html}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_buyer_of_an_organisation_is_named_in_what_is_kept(pool: PgPoolOptions, database: PgConnectOptions) {
    let shop = Shop::open(pool, database, Twist::None).await.acting("ada", true);
    let (status, opened) = shop.post("/api/billing/checkout", MONTHLY()).await;
    assert_eq!(status, StatusCode::OK, "{opened}");
    // The same checkout, for another user: each of them agrees for himself.
    let shop = shop.acting("bob", true);
    for _ in 0..2 {
        assert_eq!(shop.post("/api/billing/checkout", MONTHLY()).await, (status, opened.clone()));
    }
    let agreed = shop.billing.consents(Some(&shop.buyer), (None, None), 10).await.expect("consents");
    let users: Vec<Option<&str>> = agreed.iter().map(|consent| consent.user.as_deref()).collect();
    assert_eq!(users, [Some("bob"), Some("ada")], "{agreed:?}");
    shop.subscribed().await;
    let (status, ended) = shop.post("/api/billing/cancel", json!({})).await;
    assert_eq!((status, &ended["status"]), (StatusCode::OK, &json!("scheduled")));
    let changes = shop.billing.changes(&shop.buyer, None, 10).await.expect("the audit log");
    let last = changes.first().expect("a change");
    assert_eq!((last.cause.as_str(), last.user.as_deref()), ("checkout", Some("bob")), "{changes:?}");
    let mut conn = shop.billing.pool().acquire().await.expect("a connection");
    let change = Change { cause: "operator", detail: "by nobody's request" };
    accounts::changed(&mut conn, &shop.buyer, change, clock::now()).await.expect("a version");
    drop(conn);
    let newest = shop.billing.changes(&shop.buyer, None, 1).await.expect("the audit log");
    assert_eq!((newest[0].cause.as_str(), newest[0].user.as_deref()), ("operator", None));
    let (_, shown) = answer(shop.get("/api/billing/subscription").await).await;
    assert_eq!((&shown["user"], &shown["buyer"]), (&json!("bob"), &json!(true)));
}
