//! What is sent compressed, and what never is.

use super::{Buyer, monthly, shop};
use crate::world::{Answer, Arrangement, World};

async fn get(world: &World, path: &str, token: Option<&str>, coding: &str) -> Answer {
    let request = world.request("GET", path, token).header("accept-encoding", coding).header("accept", "text/html");
    crate::world::send(request).await
}

#[tokio::test]
async fn b12_what_the_pages_load_is_compressed_and_what_is_of_somebody_never() {
    let world = shop(Arrangement::AllPostgres).await;
    let buyer = Buyer::new(&world);
    buyer.buys(&monthly()).await;
    buyer.becomes("active").await;
    let pricing = world.browse("/billing/pricing", None).await;
    let mut files = pricing.body.split('"').filter(|text| text.starts_with("/billing/assets/"));
    let style = files.find(|file| file.ends_with(".css")).expect("a stylesheet").to_owned();
    for (path, coding, expected) in [
        (style.as_str(), "gzip, deflate, br", "br"),
        (&style, "gzip", "gzip"),
        (&style, "identity", ""),
        ("/billing/pricing", "gzip, deflate, br", "gzip"),
        ("/billing/pricing", "identity", ""),
    ] {
        let answer = get(&world, path, None, coding).await;
        assert_eq!(
            (answer.status, answer.header("content-encoding")),
            (200, expected),
            "{path} {coding}: {:?}",
            answer.headers
        );
        let varies =
            answer.headers.get_all("vary").iter().any(|vary| vary.as_bytes().eq_ignore_ascii_case(b"accept-encoding"));
        assert!(varies, "{path} {coding}: {:?}", answer.headers);
    }
    for path in [
        "/billing",
        "/billing/pricing?next=%2Fpremium%2Fone",
        "/billing/return",
        "/api/billing/invoices",
        "/api/billing/referral",
    ] {
        let answer = get(&world, path, Some(&buyer.token), "gzip, br").await;
        assert_eq!(answer.header("content-encoding"), "", "{path}: {:?}", answer.headers);
    }
}
