//! The hosted pages, as a buyer's browser uses them.

use reqwest::Client;

use super::{call, client, json, settings, started};
use crate::provider::{Provider, Shape};

/// Opens a checkout of the API; its URL.
async fn checkout(provider: &Provider, http: &Client, price: &str, trial: Option<&str>) -> String {
    let customer = provider.create_customer(Default::default()).expect("a customer");
    let mut form = vec![
        ("mode", "subscription"),
        ("customer", &customer),
        ("line_items[0][price]", price),
        ("success_url", "https://read.example/back?session_id={CHECKOUT_SESSION_ID}&next=%2Fa"),
        ("cancel_url", "https://read.example/pricing"),
    ];
    form.extend(trial.map(|days| ("subscription_data[trial_period_days]", days)));
    let request = http.post(format!("{}/v1/checkout/sessions", provider.url())).form(&form);
    let (status, session) = json(call(request)).await;
    assert_eq!(status, 200, "{session}");
    session["url"].as_str().expect("a URL").to_owned()
}

/// The status, the place that it leads to, and the page.
async fn press(http: &Client, url: &str, fields: &[(&str, &str)]) -> (u16, String, String) {
    let response = http.post(url).form(fields).send().await.expect("an answer");
    let location = response.headers().get("location").map(|value| value.to_str().expect("text").to_owned());
    (response.status().as_u16(), location.unwrap_or_default(), response.text().await.expect("a page"))
}

async fn page(http: &Client, url: &str) -> (u16, String) {
    let response = http.get(url).send().await.expect("an answer");
    (response.status().as_u16(), response.text().await.expect("a page"))
}

#[tokio::test]
async fn a_buyer_pays_and_is_sent_back_with_the_session() {
    let (provider, http) = (started().await, client());
    let url = checkout(&provider, &http, "price_monthly", None).await;
    let (status, shown) = page(&http, &url).await;
    assert_eq!(status, 200);
    assert!(shown.contains("Paid plan") && shown.contains("£7.00 a month"), "{shown}");

    let (status, location, _) = press(&http, &url, &[("action", "pay")]).await;
    let session = url.rsplit('/').next().expect("an id");
    assert_eq!((status, location), (303, format!("https://read.example/back?session_id={session}&next=%2Fa")));
    assert_eq!(provider.subscriptions()[0]["status"], "active");

    assert_eq!(page(&http, &url).await.0, 410, "it is paid once");
    assert_eq!(press(&http, &url, &[("action", "pay")]).await.0, 400);
    assert_eq!(provider.subscriptions().len(), 1);
}

#[tokio::test]
async fn a_declined_card_and_a_way_back_buy_nothing() {
    let (provider, http) = (started().await, client());
    let url = checkout(&provider, &http, "price_annual", Some("14")).await;
    assert!(page(&http, &url).await.1.contains("14 days free"));
    let (status, _, shown) = press(&http, &url, &[("action", "decline")]).await;
    assert_eq!(status, 402);
    assert!(shown.contains("declined") && shown.contains("value=\"pay\""), "it can be tried again: {shown}");
    let (status, location, _) = press(&http, &url, &[("action", "back")]).await;
    assert_eq!((status, location.as_str()), (303, "https://read.example/pricing"));
    assert!(provider.subscriptions().is_empty());
    assert_eq!(press(&http, &url, &[("action", "pay")]).await.0, 303);
    assert_eq!(provider.subscriptions()[0]["status"], "trialing");
}

async fn portal(provider: &Provider, http: &Client, customer: &str) -> String {
    let form = [("customer", customer), ("return_url", "https://read.example/billing")];
    let request = http.post(format!("{}/v1/billing_portal/sessions", provider.url())).form(&form);
    json(call(request)).await.1["url"].as_str().expect("a URL").to_owned()
}

#[tokio::test]
async fn a_customer_ends_keeps_and_pays_in_the_portal() {
    for shape in [Shape::Acacia, Shape::Endive] {
        let provider = Provider::start(settings(shape)).await.expect("a provider");
        let http = client();
        let checkout = checkout(&provider, &http, "price_monthly", None).await;
        press(&http, &checkout, &[("action", "pay")]).await;
        let own = provider.subscriptions()[0].clone();
        let (id, customer) = (own["id"].as_str().expect("an id"), own["customer"].as_str().expect("a customer"));
        let url = portal(&provider, &http, customer).await;
        let is_ending = || !provider.subscriptions()[0]["cancel_at"].is_null();

        assert!(page(&http, &url).await.1.contains("It renews on"));
        assert_eq!(press(&http, &url, &[("action", "cancel"), ("subscription", id)]).await.0, 303);
        assert!(is_ending() && page(&http, &url).await.1.contains("It ends on"), "{shape:?}");
        assert_eq!(press(&http, &url, &[("action", "reactivate"), ("subscription", id)]).await.0, 303);
        assert!(!is_ending());
        assert_eq!(press(&http, &url, &[("action", "card_declined")]).await.0, 303);
        assert!(page(&http, &url).await.1.contains("declined from now on"));
        provider.advance(std::time::Duration::from_secs(32 * 86_400)).expect("later");
        assert_eq!(provider.subscriptions()[0]["status"], "past_due");
    }
}

#[tokio::test]
async fn a_portal_link_is_for_its_customer_and_expires() {
    let (provider, http) = (started().await, client());
    let checkout = checkout(&provider, &http, "price_monthly", None).await;
    press(&http, &checkout, &[("action", "pay")]).await;
    let id = provider.subscriptions()[0]["id"].as_str().expect("an id").to_owned();
    let stranger = provider.create_customer(Default::default()).expect("a customer");
    let url = portal(&provider, &http, &stranger).await;
    assert_eq!(press(&http, &url, &[("action", "cancel"), ("subscription", &id)]).await.0, 404);
    assert!(provider.subscriptions()[0]["cancel_at"].is_null());
    assert_eq!(page(&http, &url).await.0, 200);
    provider.advance(std::time::Duration::from_secs(3600)).expect("later");
    assert_eq!(page(&http, &url).await.0, 410);
    assert_eq!(press(&http, &url, &[("action", "card_declined")]).await.0, 410);
}

#[tokio::test]
async fn the_front_page_shows_everything_and_moves_the_clock() {
    let (provider, http) = (started().await, client());
    let checkout = checkout(&provider, &http, "price_monthly", None).await;
    press(&http, &checkout, &[("action", "pay")]).await;
    let front = format!("{}/", provider.url());
    let (status, shown) = page(&http, &front).await;
    let id = provider.subscriptions()[0]["id"].as_str().expect("an id").to_owned();
    assert!(status == 200 && shown.contains(&id), "{shown}");
    let before = provider.now();
    let (status, location, _) = press(&http, &front, &[("by", "month")]).await;
    assert_eq!((status, location.as_str()), (303, "/"));
    assert!(provider.now() - before >= chrono::Duration::days(28));
    let invoice = provider.invoices()[0]["hosted_invoice_url"].as_str().expect("a URL").to_owned();
    assert!(page(&http, &invoice).await.1.contains("£7.00"));
}

#[tokio::test]
async fn what_a_caller_wrote_is_shown_as_text() {
    let (provider, http) = (started().await, client());
    let metadata = [("account".to_owned(), "<script>alert(1)</script>".to_owned())].into();
    let new = crate::provider::NewCustomer { metadata, ..Default::default() };
    provider.create_customer(new).expect("a customer");
    let shown = page(&http, &format!("{}/", provider.url())).await.1;
    assert!(!shown.contains("<script>") && shown.contains("alert(1)"), "{shown}");
}
