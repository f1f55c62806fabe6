//! The site from outside.

use reqwest::{Client, redirect::Policy};
use serde_json::{Value, json};

use super::{Settings, Site, paid_paths};

async fn started() -> (Site, Client) {
    let settings = Settings::new("http://127.0.0.1:8080", "a secret of at least 32 bytes, yes");
    let client = Client::builder().redirect(Policy::none()).no_proxy().build().expect("a client");
    (Site::start(settings).await.expect("a site"), client)
}

#[tokio::test]
async fn every_page_shows_the_headers_that_came() {
    let (site, http) = started().await;
    let paid = paid_paths().next().expect("an article");
    for path in ["/", "/articles/night-ferry", &paid, "/login", "/settings"] {
        let request = http.get(format!("{}{path}", site.url()));
        let request = request.header("x-entitlement-account", "alice").header("x-entitlement-tier", "<b>");
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let page = response.text().await.expect("a page");
        assert!(page.contains("Signed in as alice") && page.contains("X-Entitlement-Tier"), "{path}: {page}");
        assert!(!page.contains("<b>"), "{path}: values are text");
    }
}

#[tokio::test]
async fn whoami_says_what_came_and_nothing_else() {
    let (site, http) = started().await;
    let request = http.get(format!("{}/whoami", site.url())).header("x-entitlement-tier", "paid");
    let told: Value =
        request.header("cookie", "session=secret").send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(told, json!({ "X-Entitlement-Tier": "paid" }));
}

#[tokio::test]
async fn signing_in_leads_back_and_signing_out_ends_the_session() {
    let (site, http) = started().await;
    let login = format!("{}/login", site.url());
    let page = http.get(format!("{login}?next=%2Fpremium%2Fa")).send().await.expect("an answer").text().await;
    assert!(page.expect("a page").contains(r#"name="next" value="/premium/a""#));

    for (next, leads_to) in [("/premium/a", "/premium/a"), ("//evil.example", "/"), ("https://evil.example", "/")] {
        let response = http.post(&login).form(&[("user", "alice"), ("next", next)]).send().await.expect("an answer");
        assert_eq!(
            (response.status().as_u16(), &response.headers()["location"]),
            (303, &leads_to.parse().expect("a value"))
        );
        assert!(response.headers()["set-cookie"].to_str().expect("text").starts_with("session=ey"));
    }
    let stranger = http.post(&login).form(&[("user", "mallory")]).send().await.expect("an answer");
    assert!(stranger.status() == 404 && !stranger.headers().contains_key("set-cookie"));

    let out = http.post(format!("{}/logout", site.url())).send().await.expect("an answer");
    assert!(out.headers()["set-cookie"].to_str().expect("text").starts_with("session=; Path=/; Max-Age=0"));
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let (site, http) = started().await;
    for path in ["/premium/none", "/articles/lighthouses", "/none"] {
        assert_eq!(http.get(format!("{}{path}", site.url())).send().await.expect("an answer").status(), 404, "{path}");
    }
    site.shutdown().await;
}
