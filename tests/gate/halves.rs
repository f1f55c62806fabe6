//! Credentials with a text that was cut in the middle of a character: one that nobody reads is no reason to refuse, and an account is named
//! by a whole one alone.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::table::{Row, cookie, hold, in_json, row, ways};
use super::with_ways;
use crate::world::keys::{KeyHost, P256, RSA};
use crate::world::session_site::{SessionSite, Word};
use crate::world::stripe::unique;
use crate::world::token::signed_text;
use crate::world::{World, in_seconds};

/// The reasons for which a way refuses, if any.
type Counted<'a> = &'a [(&'static str, &'static str)];

#[tokio::test]
async fn half_a_character_harms_nothing_but_what_it_stands_in() {
    let (host, site) = (KeyHost::start(&[RSA, P256]).await, SessionSite::start().await);
    let world = World::with(with_ways(&ways(&host, &site))).await;
    let refused = |reason: &'static str| ("invalid_token", vec![("secret", reason)]);
    let mut rows: Vec<Row> = Vec::new();
    for (what, claims, (gated, counted)) in [
        ("beside all", r#""sub":"u","name":"half \ud83d","\ude00":["\udfff"]"#, ("secret:u", vec![])),
        ("in the account", r#""sub":"u\ud83d""#, refused("no_account")),
        ("before the account", r#""sub":"\ude00u""#, refused("no_account")),
    ] {
        let (issuer, end) = (r#""iss":"https://secret.example","aud":"secret""#, in_seconds(600));
        let token = signed_text(&format!(r#"{{{issuer},"exp":{end},{claims}}}"#));
        rows.push(row(&format!("secret: {what}"), &[cookie(format!("secret={token}"))], gated, &counted));
    }
    let issuer = r#"{"iss":"https://secret.example\ud83d","aud":"secret","sub":"u","exp":"#;
    let token = signed_text(&format!("{issuer}{}}}", in_seconds(600)));
    let in_issuer = cookie(format!("secret={token}"));
    rows.push(row("secret: in the issuer", &[in_issuer], "invalid_token", &[("secret", "wrong_issuer")]));
    let claims = json!({ "iss": "https://json.example", "aud": "json", "sub": "u", "exp": in_seconds(600) });
    let token = P256.sign(&claims);
    let encoded = |text: &str| format!("json=base64-{}", URL_SAFE_NO_PAD.encode(text));
    let beside = format!(r#"{{"session":{{"token":"{token}","user":{{"name":"half\ud83d"}}}},"\ude00":1}}"#);
    let within = format!(r#"{{"session":{{"token":"{token}\ud83d"}}}}"#);
    let malformed: Counted<'_> = &[("json", "malformed")];
    let (head, tail) = beside.split_at(40);
    let pieces = |text: &str| {
        let (first, second) = text.split_at(60);
        format!("json.1={second}; json.0={first}")
    };
    for (what, text, gated, counted) in [
        ("whole", format!("json={}", in_json(&token)), "json:u", &[][..]),
        ("beside the token", encoded(&beside), "json:u", &[]),
        ("beside the token, as it is", format!("json={beside}"), "json:u", &[]),
        ("beside the token, in pieces", format!("json.0={head}; json.1={tail}"), "json:u", &[]),
        ("beside the token, encoded in pieces", pieces(&encoded(&beside)["json=".len()..]), "json:u", &[]),
        ("in the token", encoded(&within), "invalid_token", malformed),
    ] {
        rows.push(row(&format!("json: {what}"), &[cookie(text)], gated, counted));
    }
    hold(&world, &rows).await;
    for (what, body, gated) in [
        ("beside the account", r#"{"account":"u","\ude00":1,"name":"half \ud83d"}"#, "asked:u"),
        ("in the account", r#"{"account":"u\ud83d"}"#, "sign_in"),
        ("in the user", r#"{"account":"u","user":"v\ud83d"}"#, "sign_in"),
    ] {
        site.says(Word::Raw(200, vec![], body.to_owned()));
        let session = cookie(format!("asked={}", unique("session")));
        hold(&world, &[row(&format!("asked: {what}"), &[session], gated, &[])]).await;
    }
}
