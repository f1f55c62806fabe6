//! Every way to know who asks, with everything that a credential can be: who it is behind the gate and before it, and why it is refused.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header};
use serde_json::{Value, json};

use super::with_ways;
use crate::world::keys::{ED25519, Key, KeyHost, P256, RSA};
use crate::world::session_site::{SessionSite, Word};
use crate::world::stripe::unique;
use crate::world::token::{SECRET, signed, unsigned};
use crate::world::{World, in_seconds, send};

/// The lines of a request, and what becomes of it.
pub(super) struct Row {
    what: String,
    lines: Vec<(&'static str, String)>,
    /// Behind the gate: the account, or the code of the refusal. Before it the account, or nobody.
    gated: String,
    /// The ways that count a refusal, each with its reason.
    counted: Vec<(&'static str, &'static str)>,
}

pub(super) fn row(
    what: &str,
    lines: &[(&'static str, String)],
    gated: &str,
    counted: &[(&'static str, &'static str)],
) -> Row {
    Row { what: what.to_owned(), lines: lines.to_vec(), gated: gated.to_owned(), counted: counted.to_vec() }
}

pub(super) fn cookie(text: impl Into<String>) -> (&'static str, String) {
    ("cookie", text.into())
}

/// How often each way has refused for each reason.
async fn refusals(world: &World) -> BTreeMap<String, u64> {
    let text = world.proxy().admin("/metrics").await.body;
    let series = text.lines().filter_map(|line| line.strip_prefix("tollgate_identity_total{")?.split_once("} "));
    series.map(|(labels, count)| (labels.to_owned(), count.parse().expect("a number"))).collect()
}

/// The account that the site is told; nothing of nobody.
fn told(world: &World, path: &str) -> String {
    let received = world.upstream.only(path);
    let account = received.header("x-entitlement-account").unwrap_or_default().to_owned();
    let mut identity = received.identity();
    identity.retain(|(name, _)| name != "x-entitlement-degraded");
    assert_eq!(account.is_empty(), identity.is_empty(), "{received:?}");
    account
}

/// Faults of a row.
async fn faults(world: &World, row: &Row) -> Vec<String> {
    let Row { what, lines, gated, counted } = row;
    let mut faults = Vec::new();
    let before = refusals(world).await;
    for place in ["signed-in", "welcome"] {
        let path = format!("/{place}/{}", unique("page"));
        let request = world.request("GET", &path, None);
        let answer = send(lines.iter().fold(request, |request, (name, value)| request.header(*name, value))).await;
        let found = if answer.status == 200 { told(world, &path) } else { answer.code() };
        let is_account = gated.contains(':');
        let expected = if is_account || place == "signed-in" { gated.as_str() } else { "" };
        if found != expected {
            faults.push(format!("{what}, {place}: {found:?} instead of {expected:?}"));
        }
    }
    let after = refusals(world).await;
    let grown = after.iter().filter(|(labels, count)| before.get(*labels).is_none_or(|before| before < count));
    let grown: Vec<String> = grown.map(|(labels, _)| labels.clone()).collect();
    let mut expected: Vec<String> =
        counted.iter().map(|(source, outcome)| format!("outcome=\"{outcome}\",source=\"{source}\"")).collect();
    expected.sort();
    if grown != expected {
        faults.push(format!("{what}: {grown:?} is counted instead of {expected:?}"));
    }
    faults
}

/// Every row is so.
pub(super) async fn hold(world: &World, rows: &[Row]) {
    let mut all = Vec::new();
    for row in rows {
        all.extend(faults(world, row).await);
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

/// A way with tokens: its cookie, its prefix, what its tokens say, and how they are signed.
struct Tokens {
    way: &'static str,
    sign: Box<dyn Fn(&Value) -> String>,
    /// The same claims under a signature that is another's.
    forge: Box<dyn Fn(&Value) -> String>,
    /// A cookie's value that holds a token.
    holding: fn(&str) -> String,
}

impl Tokens {
    fn claims(&self, account: &str) -> Value {
        let issuer = format!("https://{}.example", self.way);
        json!({ "iss": issuer, "aud": self.way, "sub": account, "iat": in_seconds(0), "exp": in_seconds(600) })
    }

    fn value(&self, claims: &Value) -> String {
        (self.holding)(&(self.sign)(claims))
    }

    /// With some claims otherwise; null takes one away.
    fn with(&self, claims: &Value) -> String {
        let mut all = self.claims("u");
        for (name, value) in claims.as_object().expect("an object") {
            all[name] = value.clone();
        }
        let all: serde_json::Map<String, Value> =
            all.as_object().expect("an object").clone().into_iter().filter(|(_, value)| !value.is_null()).collect();
        self.value(&all.into())
    }

    fn rows(&self) -> Vec<Row> {
        let way = self.way;
        let ours = format!("{way}:u");
        let (good, other) = (self.value(&self.claims("u")), self.value(&self.claims("v")));
        let expired = self.with(&json!({ "exp": in_seconds(-60) }));
        let tampered = {
            let token = (self.sign)(&self.claims("u"));
            let (head, signature) = token.rsplit_once('.').expect("three parts");
            let claims = URL_SAFE_NO_PAD.encode(self.claims("admin").to_string());
            let head = head.split('.').next().expect("a header");
            (self.holding)(&format!("{head}.{claims}.{signature}"))
        };
        let one = |what: &str, value: &str, gated: &str, counted: &[&'static str]| {
            let counted: Vec<_> = counted.iter().map(|reason| (way, *reason)).collect();
            row(&format!("{way}: {what}"), &[cookie(format!("{way}={value}"))], gated, &counted)
        };
        let bad = |what: &str, value: &str, reason: &'static str| one(what, value, "invalid_token", &[reason]);
        let lines = |what: &str, text: String, gated: &str, counted: &[&'static str]| {
            let counted: Vec<_> = counted.iter().map(|reason| (way, *reason)).collect();
            row(&format!("{way}: {what}"), &[cookie(text)], gated, &counted)
        };
        // Within the header of a token, or what stands for it.
        let (begin, end) = good.split_at(20);
        let pieces = (0..70).map(|number| format!("{way}.{number}=x")).collect::<Vec<_>>().join("; ");
        vec![
            one("absent", "", "sign_in", &[]),
            one("good", &good, &ours, &[]),
            one("in quotes", &format!("\"{good}\""), &ours, &[]),
            bad("expired", &expired, "expired"),
            bad("without an end", &self.with(&json!({ "exp": null })), "no_expiry"),
            bad("too early", &self.with(&json!({ "nbf": in_seconds(600) })), "not_yet_valid"),
            bad("of another audience", &self.with(&json!({ "aud": "another" })), "wrong_audience"),
            bad("of no audience", &self.with(&json!({ "aud": null })), "wrong_audience"),
            bad("of another issuer", &self.with(&json!({ "iss": "https://evil.example" })), "wrong_issuer"),
            bad("of no issuer", &self.with(&json!({ "iss": null })), "wrong_issuer"),
            bad("forged", &(self.holding)(&(self.forge)(&self.claims("u"))), "bad_signature"),
            bad("tampered with", &tampered, "bad_signature"),
            bad("unsigned", &(self.holding)(&unsigned(&self.claims("u"))), "malformed"),
            bad("of no account", &self.with(&json!({ "sub": null })), "no_account"),
            bad("of an account that is none", &self.with(&json!({ "sub": ["u"] })), "no_account"),
            bad("of an account without a name", &self.with(&json!({ "sub": "" })), "no_account"),
            bad("rubbish", "rubbish", "malformed"),
            lines("twice", format!("{way}={good}; {way}={good}"), &ours, &[]),
            lines("beside an expired one", format!("{way}={expired}; {way}={good}"), &ours, &["expired"]),
            lines("before rubbish", format!("{way}={good}; {way}=rubbish"), &ours, &["malformed"]),
            lines("two accounts", format!("{way}={good}; {way}={other}"), "ambiguous_identity", &[]),
            lines("in pieces", format!("{way}.0={begin}; {way}.1={end}"), &ours, &[]),
            lines("in pieces, out of order", format!("{way}.1={end}; {way}.0={begin}"), &ours, &[]),
            lines("in pieces, the last again behind a gap", format!("{way}.0={good}; {way}.2={end}"), &ours, &[]),
            lines("in pieces, the first is missing", format!("{way}.1={end}"), "sign_in", &[]),
            lines(
                "in pieces, one is missing",
                format!("{way}.0={begin}; {way}.2={end}"),
                "invalid_token",
                &["malformed"],
            ),
            lines("in pieces, one twice", format!("{way}.0={good}; {way}.0={good}"), "invalid_token", &["doubled"]),
            lines("in pieces without end", pieces, "invalid_token", &["malformed"]),
            lines("whole beside a doubled piece", format!("{way}={good}; {way}.0=a; {way}.0=b"), &ours, &["doubled"]),
            lines(
                "whole and in pieces of another",
                format!("{way}={good}; {way}.0={other}"),
                "ambiguous_identity",
                &[],
            ),
        ]
    }
}

/// The ways: a secret of one's own, key sets for a token and for one in JSON, the site that is asked, and a proxy in front.
pub(super) fn ways(host: &KeyHost, site: &SessionSite) -> String {
    let (keys, ask) = (host.url(), site.ask());
    format!(
        "[identity.secret]\ncookie = \"secret\"\nalgorithm = \"HS256\"\nissuer = \"https://secret.example\"\naudience = \"secret\"\n\
         prefix = \"secret:\"\n\
         [identity.keys]\ncookie = \"keys\"\njwks_url = \"{keys}\"\nissuer = [\"https://keys.example\"]\naudience = [\"keys\", \"app\"]\n\
         authorized_parties = [\"https://read.example\"]\naccount = [\"/org/id\", \"sub\"]\nprefix = \"keys:\"\n\
         [identity.json]\ncookie = \"json\"\ntoken_at = \"/session/token\"\njwks_url = \"{keys}\"\nissuer = \"https://json.example\"\n\
         audience = \"json\"\nprefix = \"json:\"\n\
         [identity.asked]\ncookie = \"asked\"\nask = \"{ask}\"\naccount = \"/account\"\nuser = \"/user\"\nkeep = \"1s\"\nprefix = \"asked:\"\n\
         [identity.front]\nheader = \"X-Auth-Request-User\"\nfrom = [\"127.0.0.1\"]\nprefix = \"front:\"\n"
    )
}

/// A key of the set signs.
fn of_key(way: &'static str, key: Key, holding: fn(&str) -> String) -> Tokens {
    let forge = move |claims: &Value| {
        let token = key.sign(claims);
        let other = key.sign(&json!({ "iss": "another" }));
        let (head, _) = token.rsplit_once('.').expect("three parts");
        format!("{head}.{}", other.rsplit('.').next().expect("a signature"))
    };
    Tokens { way, sign: Box::new(move |claims| key.sign(claims)), forge: Box::new(forge), holding }
}

pub(super) fn in_json(token: &str) -> String {
    let json = json!({ "session": { "token": token, "user": { "id": "x" } } });
    format!("base64-{}", URL_SAFE_NO_PAD.encode(json.to_string()))
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn every_token_is_whose_it_is_in_each_way() {
    let (host, site) = (KeyHost::start(&[RSA, P256]).await, SessionSite::start().await);
    let world = World::with(with_ways(&ways(&host, &site))).await;
    let secret = Tokens {
        way: "secret",
        sign: Box::new(|claims| signed(claims, SECRET)),
        forge: Box::new(|claims| signed(claims, "a secret that is not the site's own secret")),
        holding: str::to_owned,
    };
    let (keys, json) = (of_key("keys", RSA, str::to_owned), of_key("json", P256, in_json));
    let mut rows: Vec<Row> = [&secret, &keys, &json].into_iter().flat_map(Tokens::rows).collect();
    let unknown = ED25519.sign(&keys.claims("u"));
    let confused = {
        // The public key as if it were a secret.
        let header = Header { kid: Some(RSA.id.to_owned()), ..Header::new(Algorithm::HS256) };
        let key = jsonwebtoken::EncodingKey::from_secret(RSA.pem.as_bytes());
        jsonwebtoken::encode(&header, &keys.claims("u"), &key).expect("it signs")
    };
    let as_json = |text: &str| format!("json=base64-{}", URL_SAFE_NO_PAD.encode(text));
    let token = (json.sign)(&json.claims("u"));
    let of_json = |what: &str, text: String, gated: &str, counted: &[(&'static str, &'static str)]| {
        row(&format!("json: {what}"), &[cookie(text)], gated, counted)
    };
    let padding = "x".repeat(30_000);
    rows.extend([
        row(
            "keys: of an unknown key",
            &[cookie(format!("keys={unknown}"))],
            "invalid_token",
            &[("keys", "unknown_key")],
        ),
        row(
            "keys: another algorithm",
            &[cookie(format!("keys={confused}"))],
            "invalid_token",
            &[("keys", "wrong_algorithm")],
        ),
        row(
            "keys: another party",
            &[cookie(format!("keys={}", keys.with(&json!({ "azp": "https://evil.example" }))))],
            "invalid_token",
            &[("keys", "wrong_party")],
        ),
        row(
            "keys: of an organisation",
            &[cookie(format!("keys={}", keys.with(&json!({ "org": { "id": 7 } }))))],
            "keys:7",
            &[],
        ),
        row(
            "keys: one of its audiences",
            &[cookie(format!("keys={}", keys.with(&json!({ "aud": ["x", "app"] }))))],
            "keys:u",
            &[],
        ),
        of_json("as it is", format!("json={{\"session\":{{\"token\":\"{token}\"}}}}"), "json:u", &[]),
        of_json("percent-encoded", format!("json=%7B%22session%22:%7B%22token%22:%22{token}%22%7D%7D"), "json:u", &[]),
        of_json("the token itself", format!("json={token}"), "json:u", &[]),
        of_json("huge", as_json(&json!({ "session": { "token": token }, "x": padding }).to_string()), "json:u", &[]),
        of_json(
            "deep",
            as_json(&format!("{{\"session\":{}", "[".repeat(9_000))),
            "invalid_token",
            &[("json", "malformed")],
        ),
        of_json(
            "two tokens",
            as_json(&format!("{{\"session\":{{\"token\":\"{token}\",\"token\":\"{token}\"}}}}")),
            "invalid_token",
            &[("json", "malformed")],
        ),
        of_json("elsewhere", as_json(&format!("{{\"token\":\"{token}\"}}")), "invalid_token", &[("json", "malformed")]),
        of_json("no text", as_json("{\"session\":{\"token\":{}}}"), "invalid_token", &[("json", "malformed")]),
        of_json("no JSON", as_json("{"), "invalid_token", &[("json", "malformed")]),
        of_json("no base64", "json=base64-%".into(), "invalid_token", &[("json", "malformed")]),
    ]);
    hold(&world, &rows).await;
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn every_session_and_header_is_whose_it_is_and_ways_that_disagree_are_nobodys() {
    let (host, site) = (KeyHost::start(&[RSA, P256]).await, SessionSite::start().await);
    let world = World::with(with_ways(&ways(&host, &site))).await;
    let raw = |status: u16, body: &str| Word::Raw(status, vec![], body.to_owned());
    let huge = json!({ "account": "u", "x": "x".repeat(70_000) }).to_string();
    for (what, word, gated) in [
        ("good", raw(200, r#"{"account":"u"}"#), "asked:u"),
        ("a number", raw(200, r#"{"account":7}"#), "asked:7"),
        ("of nobody", raw(401, ""), "sign_in"),
        ("forbidden", raw(403, ""), "sign_in"),
        ("not there", raw(404, ""), "sign_in"),
        ("without an account", raw(200, r#"{"account":null}"#), "sign_in"),
        ("an account without a name", raw(200, r#"{"account":""}"#), "sign_in"),
        ("a list of accounts", raw(200, r#"{"account":["u","v"]}"#), "sign_in"),
        ("two accounts", raw(200, r#"{"account":"u","account":"v"}"#), "entitlement_unknown"),
        ("a user who is none", raw(200, r#"{"account":"u","user":[]}"#), "sign_in"),
        ("deep", raw(200, &"[".repeat(9_000)), "entitlement_unknown"),
        ("huge", raw(200, &huge), "entitlement_unknown"),
        ("a page", raw(200, "<!doctype html>"), "entitlement_unknown"),
        ("a redirect", Word::Raw(303, vec![("location", "/login".to_owned())], String::new()), "entitlement_unknown"),
        ("an error", raw(500, ""), "entitlement_unknown"),
    ] {
        site.says(word);
        let session = unique("session");
        for (form, text) in
            [("whole", format!("asked={session}")), ("in pieces", format!("asked.1=b; asked.0={session}"))]
        {
            let row = row(&format!("asked: {what}, {form}"), &[cookie(text)], gated, &[]);
            hold(&world, &[row]).await;
        }
    }
    site.says(raw(200, r#"{"account":"u"}"#));
    let secret = |account: &str| {
        let claims =
            json!({ "iss": "https://secret.example", "aud": "secret", "sub": account, "exp": in_seconds(600) });
        signed(&claims, SECRET)
    };
    let user = |value: &str| ("x-auth-request-user", value.to_owned());
    let bearer = |token: &str| ("authorization", format!("Bearer {token}"));
    let session = cookie(format!("asked={}", unique("session")));
    let rows = [
        row("asked: a piece twice", &[cookie("asked.0=a; asked.0=a")], "invalid_token", &[("asked", "doubled")]),
        row("asked: its first piece is missing", &[cookie("asked.1=b")], "sign_in", &[]),
        row("asked: twice", &[cookie(format!("{}; {}", session.1, session.1))], "asked:u", &[]),
        row(
            "asked: beside a doubled piece",
            &[cookie(format!("{}; asked.0=a; asked.0=a", session.1))],
            "asked:u",
            &[("asked", "doubled")],
        ),
        row(
            "asked: beside rubbish of another way",
            &[cookie(format!("{}; secret=rubbish", session.1))],
            "asked:u",
            &[("secret", "malformed")],
        ),
        row(
            "asked: another way disagrees",
            &[cookie(format!("{}; secret={}", session.1, secret("u")))],
            "ambiguous_identity",
            &[],
        ),
        row("asked: a token disagrees", &[session.clone(), bearer(&secret("u"))], "ambiguous_identity", &[]),
        row("front: good", &[user("u")], "front:u", &[]),
        row("front: empty", &[user("")], "sign_in", &[]),
        row("front: twice", &[user("u"), user("u")], "invalid_token", &[("front", "doubled")]),
        row("front: a list", &[user("u, v")], "invalid_token", &[("front", "doubled")]),
        row("front: too long", &[user(&"x".repeat(300))], "invalid_token", &[("front", "no_account")]),
        row("front: another way disagrees", &[user("u"), session.clone()], "ambiguous_identity", &[]),
        row(
            "front: twice beside a good session",
            &[user("u"), user("v"), session.clone()],
            "asked:u",
            &[("front", "doubled")],
        ),
    ];
    hold(&world, &rows).await;
}
