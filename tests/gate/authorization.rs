//! `Authorization` beside a session and by itself: one header has one token, and what the site could read otherwise is nobody's.

use serde_json::json;

use super::table::{cookie, hold, row, ways};
use super::with_ways;
use crate::world::keys::{KeyHost, P256, RSA};
use crate::world::session_site::{SessionSite, Word};
use crate::world::stripe::unique;
use crate::world::token::{SECRET, signed};
use crate::world::{World, in_seconds};

#[tokio::test]
async fn of_two_tokens_the_site_could_take_the_other_one() {
    let (host, site) = (KeyHost::start(&[RSA, P256]).await, SessionSite::start().await);
    let world = World::with(with_ways(&ways(&host, &site))).await;
    site.says(Word::Raw(200, vec![], r#"{"account":"u"}"#.to_owned()));
    let secret = |account: &str| {
        let claims =
            json!({ "iss": "https://secret.example", "aud": "secret", "sub": account, "exp": in_seconds(600) });
        signed(&claims, SECRET)
    };
    let bearer = |token: &str| ("authorization", format!("Bearer {token}"));
    let session = cookie(format!("asked={}", unique("session")));
    let every_reader = |reason: &'static str| ["secret", "keys", "json"].map(|way| (way, reason));
    let rows = [
        row("bearer: good", &[bearer(&secret("u"))], "secret:u", &[]),
        row("bearer: twice", &[bearer(&secret("u")), bearer(&secret("u"))], "invalid_token", &every_reader("doubled")),
        // The site gets both, and may go by another one.
        row(
            "bearer: twice beside a good session",
            &[bearer(&secret("v")), bearer(&secret("v")), session.clone()],
            "ambiguous_identity",
            &every_reader("doubled"),
        ),
        row(
            "bearer: two beside a good session",
            &[bearer(&secret("u")), bearer(&secret("v")), session.clone()],
            "ambiguous_identity",
            &every_reader("doubled"),
        ),
        row(
            "bearer: two made one beside a good session",
            &[("authorization", format!("Bearer {0}, Bearer {0}", secret("v"))), session.clone()],
            "ambiguous_identity",
            &every_reader("doubled"),
        ),
        row("bearer: behind a tab", &[("authorization", format!("Bearer\t{}", secret("u")))], "secret:u", &[]),
        row(
            "bearer: another's behind another scheme, beside a good session",
            &[("authorization", format!("JWT {}", secret("v"))), session.clone()],
            "ambiguous_identity",
            &[],
        ),
        row("bearer: behind another scheme", &[("authorization", format!("JWT {}", secret("u")))], "sign_in", &[]),
        row(
            "bearer: rubbish beside a good session",
            &[bearer("rubbish"), session.clone()],
            "asked:u",
            &every_reader("malformed"),
        ),
        row("bearer: another scheme", &[("authorization", "Basic eDp5".to_owned())], "sign_in", &[]),
    ];
    hold(&world, &rows).await;
}
