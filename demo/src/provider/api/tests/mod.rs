//! The API as a function of the books.

mod reading;
mod shop;
mod writing;

use axum::http::Method;
use serde_json::{Value, json};

use super::{Call, answer};
use crate::Timestamp;
use crate::provider::books::Books;
use crate::provider::refusal::Refusal;
use crate::provider::render::View;
use crate::provider::settings::{Cadence, Price, Shape};

fn books() -> Books {
    let price = |id: &str, cadence| Price {
        id: id.to_owned(),
        amount: 700,
        currency: "gbp".to_owned(),
        cadence,
        product: "Paid plan".to_owned(),
        metered: false,
    };
    let prices = vec![price("price_monthly", Cadence::Month), price("price_annual", Cadence::Year)];
    let view = View { shape: Shape::Endive, base_url: "http://127.0.0.1:1".to_owned(), livemode: false };
    Books::new(view, prices, Timestamp::from_timestamp(1_767_225_600, 0).expect("a moment"))
}

fn call(books: &mut Books, method: &Method, path: &str, encoded: &str) -> Result<Value, Refusal> {
    let view = books.view().clone();
    answer(books, &Call { method, path, encoded: encoded.as_bytes(), view })
}

fn get(books: &mut Books, path: &str, query: &str) -> Value {
    call(books, &Method::GET, path, query).expect(path)
}

fn post(books: &mut Books, path: &str, body: &str) -> Value {
    call(books, &Method::POST, path, body).expect(path)
}

fn id(object: &Value) -> String {
    object["id"].as_str().expect("an id").to_owned()
}

/// The status, code and parameter of a refused call.
fn refused(books: &mut Books, method: &Method, path: &str, encoded: &str) -> (u16, Value, Value) {
    let refusal = call(books, method, path, encoded).expect_err(path);
    let error = refusal.body()["error"].clone();
    (refusal.status().as_u16(), error["code"].clone(), error["param"].clone())
}

#[test]
fn a_customer_is_made_changed_and_deleted() {
    let mut books = books();
    let made = post(&mut books, "customers", "email=a%40b.example&metadata[account]=alice&metadata[old]=1");
    let path = format!("customers/{}", id(&made));
    assert_eq!(made["metadata"], json!({ "account": "alice", "old": "1" }));

    let changed = post(&mut books, &path, "name=Alice&metadata[old]=");
    assert_eq!((&changed["name"], &changed["email"]), (&json!("Alice"), &json!("a@b.example")));
    assert_eq!(changed["metadata"], json!({ "account": "alice" }));

    call(&mut books, &Method::DELETE, &path, "").expect("deleted");
    assert_eq!(get(&mut books, &path, "")["deleted"], true);
    let order = format!("customer={}&items[0][price]=price_monthly", id(&made));
    let gone = refused(&mut books, &Method::POST, "subscriptions", &order);
    assert_eq!(gone, (400, json!("resource_missing"), json!("customer")));
}

const ORDER: &str = "mode=subscription&line_items[0][price]=price_annual&line_items[0][quantity]=1\
    &success_url=https%3A%2F%2Fread.example%2Fback%3Fid%3D%7BCHECKOUT_SESSION_ID%7D&cancel_url=https%3A%2F%2Fread.example%2F\
    &client_reference_id=alice&metadata[account]=alice&subscription_data[metadata][account]=alice\
    &subscription_data[trial_period_days]=14&allow_promotion_codes=true";

#[test]
fn a_checkout_session_is_opened_and_read() {
    let mut books = books();
    let customer = id(&post(&mut books, "customers", ""));
    let made = post(&mut books, "checkout/sessions", &format!("{ORDER}&customer={customer}&expand[]=line_items"));
    assert_eq!(made["url"], json!(format!("http://127.0.0.1:1/checkout/{}", id(&made))));
    assert_eq!((&made["status"], &made["payment_status"]), (&json!("open"), &json!("unpaid")));
    assert_eq!(made["line_items"]["data"][0]["price"]["id"], "price_annual");

    books.complete_session(&id(&made)).expect("completed");
    let path = format!("checkout/sessions/{}", id(&made));
    let done = get(&mut books, &path, "expand[]=subscription.latest_invoice&expand[]=customer");
    assert_eq!((&done["status"], &done["url"]), (&json!("complete"), &Value::Null));
    assert_eq!(done["subscription"]["metadata"]["account"], "alice");
    assert_eq!(done["subscription"]["status"], "trialing");
    assert_eq!(done["subscription"]["latest_invoice"]["amount_due"], 0);
    assert_eq!(done["customer"]["id"], json!(customer));
    for (query, count) in [("status=complete", 1), ("status=open", 0), ("customer=cus_other", 0)] {
        assert_eq!(
            get(&mut books, "checkout/sessions", query)["data"].as_array().map(Vec::len),
            Some(count),
            "{query}"
        );
    }
}

#[test]
fn a_bad_call_is_refused_as_stripe_refuses_it() {
    let mut books = books();
    let customer = id(&post(&mut books, "customers", ""));
    let order = |change: &str| format!("{ORDER}&customer={customer}{change}");
    let (post, get) = (Method::POST, Method::GET);
    let long = format!("&client_reference_id={}", "x".repeat(201));
    let cases = [
        (&get, "customers/cus_none", String::new(), (404, "resource_missing", "id")),
        (&get, "subscriptions/sub_none", String::new(), (404, "resource_missing", "id")),
        (&get, "checkout/sessions/cs_none", String::new(), (404, "resource_missing", "id")),
        (&get, "prices/price_none", String::new(), (404, "resource_missing", "id")),
        (&get, "events/evt_none", String::new(), (404, "resource_missing", "id")),
        (&get, "invoices/in_none", String::new(), (404, "resource_missing", "id")),
        (&get, "unknown", String::new(), (404, "", "")),
        (&get, "customers", "limit=101".to_owned(), (400, "", "limit")),
        (&get, "customers", "color=red".to_owned(), (400, "parameter_unknown", "color")),
        (&post, "customers", "color=red".to_owned(), (400, "parameter_unknown", "color")),
        (&post, "checkout/sessions", String::new(), (400, "parameter_missing", "mode")),
        (&post, "checkout/sessions", "mode=payment".to_owned(), (400, "", "mode")),
        (&post, "checkout/sessions", order("&customer=cus_none"), (400, "resource_missing", "customer")),
        (&post, "checkout/sessions", order("&success_url=read.example"), (400, "", "success_url")),
        (
            &post,
            "checkout/sessions",
            order("&subscription_data[trial_days]=14"),
            (400, "parameter_unknown", "subscription_data[trial_days]"),
        ),
        (
            &post,
            "checkout/sessions",
            order("&line_items[0][amount]=1"),
            (400, "parameter_unknown", "line_items[0][amount]"),
        ),
        (&post, "checkout/sessions", order(&long), (400, "", "client_reference_id")),
        (&post, "checkout/sessions", order("&customer_email=a"), (400, "", "customer")),
        (
            &post,
            "checkout/sessions",
            order("&line_items[0][price]=price_none"),
            (400, "resource_missing", "line_items[0][price]"),
        ),
        (
            &post,
            "checkout/sessions",
            order("&subscription_data[trial_period_days]=0"),
            (400, "", "subscription_data[trial_period_days]"),
        ),
        (&post, "billing_portal/sessions", String::new(), (400, "parameter_missing", "customer")),
        (&post, "billing_portal/sessions", "customer=cus_none".to_owned(), (400, "resource_missing", "customer")),
    ];
    for (method, path, encoded, (status, code, param)) in cases {
        let text = |text: &str| if text.is_empty() { Value::Null } else { json!(text) };
        assert_eq!(refused(&mut books, method, path, &encoded), (status, text(code), text(param)), "{path} {encoded}");
    }
    assert!(books.sessions.iter().next().is_none(), "what is refused leaves nothing behind");
}

#[test]
fn a_subscription_is_ended_and_kept_by_either_field() {
    let mut books = books();
    let customer = id(&post(&mut books, "customers", ""));
    let made = post(&mut books, "subscriptions", &format!("customer={customer}&items[0][price]=price_monthly"));
    let path = format!("subscriptions/{}", id(&made));
    let cases = [
        ("cancel_at_period_end=true", true, json!(made["items"]["data"][0]["current_period_end"])),
        ("cancel_at_period_end=false", false, Value::Null),
        ("cancel_at=1767312000", false, json!(1_767_312_000)),
        ("cancel_at=", false, Value::Null),
    ];
    for (body, flag, moment) in cases {
        let changed = post(&mut books, &path, body);
        assert_eq!((&changed["cancel_at_period_end"], &changed["cancel_at"]), (&json!(flag), &moment), "{body}");
    }
    let both = "cancel_at_period_end=false&cancel_at=";
    assert_eq!(refused(&mut books, &Method::POST, &path, both).0, 400);

    let over = call(&mut books, &Method::DELETE, &path, "").expect("canceled");
    assert_eq!(over["status"], "canceled");
    assert_eq!(refused(&mut books, &Method::DELETE, &path, "").0, 404);
    assert_eq!(refused(&mut books, &Method::POST, &path, "cancel_at_period_end=true").0, 400);
    let none = Some(&json!([]));
    assert_eq!(get(&mut books, "subscriptions", "").get("data"), none, "canceled ones are not listed");
    assert_eq!(get(&mut books, "subscriptions", "status=all")["data"][0]["id"], over["id"]);
}

#[test]
fn a_subscription_moves_to_another_price_by_its_item() {
    let mut books = books();
    let customer = id(&post(&mut books, "customers", ""));
    let made = post(&mut books, "subscriptions", &format!("customer={customer}&items[][price]=price_monthly"));
    let (path, item) = (format!("subscriptions/{}", id(&made)), id(&made["items"]["data"][0]));
    let other = refused(&mut books, &Method::POST, &path, "items[0][id]=si_none&items[0][price]=price_annual");
    assert_eq!(other, (400, json!("resource_missing"), json!("items[0][id]")));
    let moved = post(&mut books, &path, &format!("items[0][id]={item}&items[0][price]=price_annual"));
    assert_eq!(moved["items"]["data"][0]["price"]["id"], "price_annual");
}

#[test]
fn every_page_of_a_list_is_reached_once() {
    let mut books = books();
    let made: Vec<String> = (0..7).map(|_| id(&post(&mut books, "customers", ""))).collect();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(&mut books, "customers", &format!("limit=3&starting_after={cursor}"));
        seen.extend(page["data"].as_array().expect("a list").iter().map(id));
        cursor = seen.last().cloned().expect("a row");
        if page["has_more"] != true {
            break;
        }
        assert_eq!(seen.len() % 3, 0);
    }
    let newest_first: Vec<String> = made.into_iter().rev().collect();
    assert_eq!(seen, newest_first);
}

#[test]
fn events_are_found_by_type_and_moment_and_never_change() {
    let mut books = books();
    let customer = id(&post(&mut books, "customers", ""));
    let event = get(&mut books, "events", "")["data"][0].clone();
    post(&mut books, &format!("customers/{customer}"), "name=Alice");
    let read = get(&mut books, &format!("events/{}", id(&event)), "");
    assert_eq!(read["data"]["object"]["name"], Value::Null, "as it was sent");
    let now = books.now().timestamp();
    let cases = [
        ("type=customer.created".to_owned(), 1),
        ("type=customer.*".to_owned(), 2),
        ("types[]=customer.updated&types[]=invoice.paid".to_owned(), 1),
        (format!("created[gte]={now}"), 2),
        (format!("created[gt]={now}"), 0),
        (format!("created[lt]={now}"), 0),
    ];
    for (query, count) in cases {
        assert_eq!(get(&mut books, "events", &query)["data"].as_array().map(Vec::len), Some(count), "{query}");
    }
}

#[test]
fn prices_products_and_charges_are_found() {
    let mut books = books();
    assert_eq!(get(&mut books, "prices", "")["data"].as_array().map(Vec::len), Some(2));
    let price = get(&mut books, "prices/price_annual", "expand[]=product");
    assert_eq!((&price["recurring"]["interval"], &price["product"]["name"]), (&json!("year"), &json!("Paid plan")));
    let customer = id(&post(&mut books, "customers", ""));
    post(&mut books, "subscriptions", &format!("customer={customer}&items[0][price]=price_monthly"));
    let charge = books.charges.iter().next().expect("a charge").id.clone();
    let charge = get(&mut books, &format!("charges/{charge}"), "");
    assert_eq!((&charge["customer"], &charge["amount"]), (&json!(customer), &json!(700)));
    let invoices = get(&mut books, "invoices", &format!("customer={customer}&expand[]=data.customer"));
    assert_eq!(invoices["data"][0]["customer"]["id"], json!(customer));
    assert_eq!(refused(&mut books, &Method::GET, "invoices", "expand[]=data.nothing").0, 400);
}
