//! Polar's API, played by a small server.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use entitlement::Timestamp;
use entitlement::event::{Fact, Object};
use http::StatusCode;
use serde_json::{Value, json};

use super::*;
use crate::provider::http::ANSWER_BYTES_MAX;

/// Answers from a list, the last one for ever, and notes what it was asked.
#[derive(Clone)]
pub(super) struct Played {
    answers: Arc<Mutex<Vec<Answer>>>,
    asked: Arc<Mutex<Vec<(String, HeaderMap)>>>,
    /// What was sent with anything but GET: method, path and body.
    sent: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone)]
pub(super) enum Answer {
    Is(u16, Value),
    Of(u16, &'static str, &'static str),
    Bytes(usize),
    Never,
}

async fn answer(State(played): State<Played>, request: Request) -> Response {
    let target = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    played.asked.lock().expect("nobody panicked").push((target.clone(), request.headers().clone()));
    if request.method() != Method::GET {
        let method = request.method().clone();
        let body = axum::body::to_bytes(request.into_body(), 1 << 16).await.expect("a body");
        let sent = format!("{method} {target} {}", String::from_utf8_lossy(&body));
        played.sent.lock().expect("nobody panicked").push(sent);
    }
    let answer = {
        let mut answers = played.answers.lock().expect("nobody panicked");
        if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() }
    };
    let status = |code| StatusCode::from_u16(code).expect("a status");
    match answer {
        Answer::Is(code, body) => (status(code), axum::Json(body)).into_response(),
        Answer::Of(code, header, value) => (status(code), [(header, value)], "no JSON").into_response(),
        Answer::Bytes(count) => Response::new(Body::from(vec![b' '; count])),
        Answer::Never => std::future::pending().await,
    }
}

impl Played {
    pub(super) async fn with(answers: Vec<Answer>) -> (Self, Client) {
        let played = Self { answers: Arc::new(Mutex::new(answers)), asked: Arc::default(), sent: Arc::default() };
        let router = axum::Router::new().fallback(answer).with_state(played.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let mut client = Client::new(&"polar_oat_hidden".into(), &url).expect("a client");
        client.patience.first_pause = Duration::from_millis(1);
        (played, client)
    }

    pub(super) fn sent(&self) -> Vec<String> {
        self.sent.lock().expect("nobody panicked").clone()
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panicked").iter().map(|(target, _)| target.clone()).collect()
    }
}

fn now() -> Timestamp {
    Timestamp::from_timestamp(1_772_323_200, 0).expect("in range")
}

fn told() -> Told<'static> {
    Told { at: now(), received_at: now(), metadata_key: "account" }
}

fn subscription(id: &str) -> Value {
    json!({
        "id": id, "customer_id": "c-1", "product_id": "p-1", "status": "active",
        "created_at": "2026-02-20T00:00:00Z", "modified_at": "2026-02-21T00:00:00Z",
        "customer": { "id": "c-1", "external_id": "ann", "created_at": "2026-02-19T00:00:00Z" },
    })
}

fn order() -> Value {
    json!({
        "id": "o-1", "customer_id": "c-1", "subscription_id": "s-1", "status": "refunded", "total_amount": 840,
        "created_at": "2026-02-20T00:00:01Z", "refunded_amount": 700, "refunded_tax_amount": 140,
    })
}

fn refund(id: &str, created_at: &str) -> Value {
    json!({ "id": id, "order_id": "o-1", "status": "succeeded", "amount": 700, "tax_amount": 140, "created_at": created_at })
}

fn page(items: &[Value], max_page: u32) -> Answer {
    Answer::Is(200, json!({ "items": items, "pagination": { "total_count": 7, "max_page": max_page } }))
}

fn missing() -> Answer {
    Answer::Is(404, json!({ "error": "ResourceNotFound", "detail": "Not found" }))
}

async fn asked_for(object: &Object, answers: Vec<Answer>) -> (Vec<String>, Result<Vec<String>, ProviderError>) {
    let (played, client) = Played::with(answers).await;
    let events = client.look(object, told()).await;
    let name = |fact: &Fact| match fact {
        Fact::Linked { .. } => "linked".to_owned(),
        Fact::Subscription(subscription) => format!("subscription {}", subscription.id.id),
        Fact::Invoice(invoice) => format!("invoice {}", invoice.id),
        Fact::Payment(payment) => format!("payment {} {}", payment.id, payment.refunded),
        Fact::Refund(refund) => format!("refund {}", refund.id),
        other => format!("{other:?}"),
    };
    let facts = events.map(|events| events.iter().flat_map(|event| event.facts.iter().map(name)).collect());
    (played.asked(), facts)
}

#[tokio::test]
async fn a_subscription_is_asked_for_with_the_token_and_the_version() {
    let (played, client) = Played::with(vec![Answer::Is(200, subscription("s-1"))]).await;
    let events = client.look(&Object::Subscription("s-1".into()), told()).await.expect("an answer");
    assert!(matches!(events.as_slice(), [event] if event.claim.is_some() && event.facts.len() == 1), "{events:?}");
    let asked = played.asked.lock().expect("nobody panicked");
    let [(target, headers)] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(target, "/v1/subscriptions/s-1");
    assert_eq!(
        (&headers["authorization"], &headers["polar-version"]),
        (&"Bearer polar_oat_hidden".parse().expect("a value"), &"2026-04".parse().expect("a value"))
    );
}

#[tokio::test]
async fn each_object_is_asked_for_with_what_explains_it() {
    let customer = Answer::Is(200, json!({ "id": "c-1", "external_id": "ann" }));
    let (asked, facts) = asked_for(
        &Object::Customer("c-1".into()),
        vec![customer.clone(), page(&[subscription("s-1")], 2), page(&[subscription("s-2")], 2)],
    )
    .await;
    let first = "/v1/subscriptions/?sorting=started_at&customer_id=c-1&page=1&limit=100";
    assert_eq!(asked, ["/v1/customers/c-1", first, &first.replace("page=1", "page=2")]);
    assert_eq!(facts, Ok(vec!["linked".into(), "subscription s-1".into(), "subscription s-2".into()]));

    let answers = vec![
        Answer::Is(200, order()),
        page(&[refund("r-1", "2026-02-22T00:00:00Z")], 1),
        Answer::Is(200, subscription("s-1")),
    ];
    let (asked, facts) = asked_for(&Object::Invoice("o-1".into()), answers).await;
    assert_eq!(asked, ["/v1/orders/o-1", "/v1/refunds/?order_id=o-1&page=1&limit=100", "/v1/subscriptions/s-1"]);
    assert_eq!(facts, Ok(["invoice o-1", "payment o-1 840", "refund r-1", "subscription s-1"].map(Into::into).into()));

    for object in [Object::Charge("x".into()), Object::Dispute("x".into())] {
        assert_eq!(asked_for(&object, vec![missing()]).await, (vec![], Ok(vec![])), "{object:?}");
    }
    let checkout = Answer::Is(200, json!({ "id": "k-1", "status": "succeeded", "customer_id": "c-1" }));
    let answers = vec![checkout, customer.clone(), page(&[subscription("s-1")], 1)];
    let (asked, facts) = asked_for(&Object::Checkout("k-1".into()), answers).await;
    assert_eq!(asked[..2], ["/v1/checkouts/k-1", "/v1/customers/c-1"]);
    assert_eq!(facts, Ok(vec!["linked".into(), "subscription s-1".into()]));
    let open = Answer::Is(200, json!({ "id": "k-1", "status": "open", "customer_id": null }));
    assert_eq!(asked_for(&Object::Checkout("k-1".into()), vec![open]).await.1, Ok(vec![]), "nothing is bought yet");
    let endless = vec![customer, page(&[subscription("s-1")], 99)];
    let (asked, facts) = asked_for(&Object::Customer("c-1".into()), endless).await;
    assert!(
        matches!(facts, Err(ProviderError::Unusable(_))) && asked.len() == 11,
        "a part is not the whole: {facts:?}"
    );
}

#[tokio::test]
async fn each_answer_leads_to_what_the_caller_does() {
    let unavailable = |why: &str| Err(ProviderError::Unavailable(why.into()));
    let unusable = |why: &str| Err(ProviderError::Unusable(why.into()));
    let right = |why: &str| Err(ProviderError::Right(why.into()));
    let cases = [
        ("no such object", missing(), 1, Ok(vec![])),
        ("somebody else's 404", Answer::Is(404, json!({ "detail": "Not Found" })), 1, unusable("status 404 Not Found")),
        ("a redirect", Answer::Of(307, "location", "/v1/elsewhere"), 1, unusable("status 307 Temporary Redirect")),
        ("no token", Answer::Is(401, json!({})), 1, Err(ProviderError::Key)),
        ("too little a token", Answer::Is(403, json!({})), 1, right("The payment provider refused.")),
        (
            "too little a token, in Polar's words",
            Answer::Is(403, json!({ "error": "NotPermitted", "detail": "Not permitted" })),
            1,
            right("Not permitted"),
        ),
        (
            "too little a token, in the words of OAuth",
            Answer::Is(403, json!({ "error": "insufficient_scope", "error_description": "It needs products:read." })),
            1,
            right("It needs products:read."),
        ),
        ("somebody else's 400", Answer::Is(400, json!({})), 1, unusable("status 400 Bad Request")),
        ("locked", Answer::Is(409, json!({ "error": "SubscriptionLocked" })), 3, unavailable("status 409 Conflict")),
        ("invalid", Answer::Is(422, json!({})), 1, unusable("status 422 Unprocessable Entity")),
        ("too much asked", Answer::Of(429, "retry-after", "0"), 3, unavailable("status 429 Too Many Requests")),
        ("much too much", Answer::Of(429, "retry-after", "60"), 1, unavailable("status 429 Too Many Requests")),
        (
            "failing",
            Answer::Of(503, "retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"),
            3,
            unavailable("status 503 Service Unavailable"),
        ),
        ("a page of a proxy", Answer::Of(502, "server", "proxy"), 3, unavailable("status 502 Bad Gateway")),
        ("too long", Answer::Bytes(ANSWER_BYTES_MAX + 1), 1, unusable("it is too long")),
    ];
    for (what, answer, calls, expected) in cases {
        let (asked, seen) = asked_for(&Object::Subscription("s-1".into()), vec![answer]).await;
        assert_eq!((asked.len(), seen), (calls, expected), "{what}");
    }
    for odd in [Answer::Of(200, "server", "proxy"), Answer::Is(200, json!([])), Answer::Is(200, json!({ "id": 7 }))] {
        let (asked, seen) = asked_for(&Object::Subscription("s-1".into()), vec![odd]).await;
        assert!(matches!(seen, Err(ProviderError::Unusable(_))) && asked.len() == 1, "{seen:?}");
    }
    let recovers =
        vec![Answer::Of(500, "server", "x"), Answer::Of(429, "retry-after", "0"), Answer::Is(200, subscription("s-1"))];
    let (asked, seen) = asked_for(&Object::Subscription("s-1".into()), recovers).await;
    assert_eq!((asked.len(), seen), (3, Ok(vec!["subscription s-1".into()])));
}

#[tokio::test]
async fn nobody_waits_for_ever() {
    let (played, mut client) = Played::with(vec![Answer::Never]).await;
    client.patience.attempt = Duration::from_millis(20);
    let late = Err(ProviderError::Unavailable("no answer in time".into()));
    assert_eq!(client.look(&Object::Subscription("s-1".into()), told()).await, late);
    assert_eq!(played.asked().len(), 3, "each attempt has its own limit");
    client.patience = Patience { call: Duration::from_millis(20), ..PATIENCE };
    assert_eq!(client.look(&Object::Subscription("s-1".into()), told()).await, late);
    assert_eq!(played.asked().len(), 4, "and all of them together have one");
    let gone = Client::new(&"t".into(), "http://127.0.0.1:1/").expect("a client");
    let gone = Client { patience: client.patience, ..gone };
    assert!(matches!(gone.look(&Object::Subscription("s-1".into()), told()).await, Err(ProviderError::Unavailable(_))));
}

#[tokio::test]
async fn lists_are_read_page_by_page_and_one_odd_object_spoils_nothing() {
    let odd = json!({ "id": "s-odd", "status": 7 });
    let (played, client) = Played::with(vec![page(&[subscription("s-1"), odd], 2)]).await;
    let first = client.subscriptions(None, None, told()).await.expect("a page");
    let listed: Vec<_> = first.items.iter().map(|item| (item.id.as_str(), item.events.len())).collect();
    assert_eq!((listed, first.next.as_deref()), (vec![("s-1", 1), ("s-odd", 0)], Some("2")));
    let last = client.subscriptions(None, first.next.as_deref(), told()).await.expect("a page");
    assert_eq!(last.next, None);
    client.orders(now(), None, told()).await.expect("a page");
    assert_eq!(
        played.asked(),
        [
            "/v1/subscriptions/?sorting=started_at&page=1&limit=100",
            "/v1/subscriptions/?sorting=started_at&page=2&limit=100",
            "/v1/orders/?sorting=created_at&created_after=2026-03-01T00%3A00%3A00.000000Z&page=1&limit=100",
        ]
    );
    for odd in [json!({ "items": [] }), json!({ "items": [{}], "pagination": { "max_page": 1 } }), json!([])] {
        let (_, client) = Played::with(vec![Answer::Is(200, odd)]).await;
        let seen = client.subscriptions(None, None, told()).await.map(|page| page.items.len());
        assert!(matches!(seen, Err(ProviderError::Unusable(_))), "{seen:?}");
    }
    let (_, client) = Played::with(vec![page(&[], 0)]).await;
    let none = client.subscriptions(None, None, told()).await.expect("a page");
    assert!(none.items.is_empty() && none.next.is_none());
}

#[tokio::test]
async fn refunds_are_read_until_they_are_too_old() {
    let since = now() - chrono::Duration::days(1);
    let items = [refund("r-new", "2026-02-28T12:00:00Z"), refund("r-old", "2026-02-01T00:00:00Z")];
    for (items, expected, next) in [(&items[..1], 1, Some("2")), (&items[..], 1, None), (&items[1..], 0, None)] {
        let (played, client) = Played::with(vec![page(items, 9)]).await;
        let page = client.refunds(since, None, told()).await.expect("a page");
        assert_eq!((page.items.len(), page.next.as_deref()), (expected, next));
        assert_eq!(played.asked(), ["/v1/refunds/?sorting=-created_at&page=1&limit=100"]);
    }
}

#[tokio::test]
async fn an_id_cannot_lead_to_another_path() {
    for id in ["", "../customers/c-1", "s-1?x=1", "s-1#", "s 1", "s-1%2f", &"x".repeat(256)] {
        let (asked, seen) = asked_for(&Object::Subscription(id.into()), vec![missing()]).await;
        assert!(matches!(seen, Err(ProviderError::Refused(_))) && asked.is_empty(), "{id:?}");
    }
}

#[test]
fn the_token_is_never_shown_and_what_cannot_be_used_is_an_error() {
    let client = Client::new(&"polar_oat_hidden".into(), settings::POLAR_API_BASE).expect("a client");
    assert!(!format!("{client:?}").contains("hidden"), "{client:?}");
    for (token, base) in [
        ("polar_oat_hidden\n", settings::POLAR_API_BASE),
        ("polar_oat_hidden", "api.polar.sh"),
        ("polar_oat_hidden", "file:///etc/"),
        ("polar_oat_hidden", "mailto:hidden@polar.sh"),
    ] {
        let error = Client::new(&token.into(), base).expect_err(base);
        assert!(
            matches!(error, ProviderError::Settings(_)) && !format!("{error} {error:?}").contains("hidden"),
            "{error}"
        );
    }
}
