//! What a client changes beyond buying: items, collection, money.

use axum::http::Method;
use serde_json::{Value, json};

use super::{books, call, get, id, post, refused};
use crate::provider::books::Books;
use crate::provider::books::model::Card;

fn subscribed(books: &mut Books, more: &str) -> Value {
    let customer = id(&post(books, "customers", ""));
    post(books, "subscriptions", &format!("customer={customer}&items[0][price]=price_monthly{more}"))
}

#[test]
fn items_are_changed_by_their_ids() {
    let mut books = books();
    let made = subscribed(&mut books, "&items[0][quantity]=2");
    let (path, item) = (format!("subscriptions/{}", id(&made)), id(&made["items"]["data"][0]));
    let changed = post(&mut books, &path, &format!("items[0][id]={item}&items[0][quantity]=3"));
    assert_eq!(changed["items"]["data"][0]["quantity"], 3);
    for body in [
        format!("items[0][id]={item}&items[0][deleted]=true"),
        "items[0][price]=price_monthly".to_owned(),
        "items[0][price]=price_annual".to_owned(),
        "items[0][quantity]=1".to_owned(),
        "items[0][id]=si_none&items[0][quantity]=1".to_owned(),
    ] {
        assert_eq!(refused(&mut books, &Method::POST, &path, &body).0, 400, "{body}");
    }
    assert_eq!(get(&mut books, &path, "")["items"], changed["items"]);
}

#[test]
fn collection_is_paused_and_goes_on() {
    let mut books = books();
    let path = format!("subscriptions/{}", id(&subscribed(&mut books, "")));
    let later = books.now().timestamp() + 3600;
    let body = format!("pause_collection[behavior]=void&pause_collection[resumes_at]={later}");
    let paused = post(&mut books, &path, &body);
    assert_eq!(paused["pause_collection"], json!({ "behavior": "void", "resumes_at": later }));
    assert_eq!(paused["status"], "active");
    assert!(post(&mut books, &path, "pause_collection=")["pause_collection"].is_null());
    for body in ["pause_collection[behavior]=stop", "pause_collection[resumes_at]=1"] {
        assert_eq!(refused(&mut books, &Method::POST, &path, body).0, 400, "{body}");
    }
}

#[test]
fn an_invoice_is_paid_and_the_money_goes_back() {
    let mut books = books();
    let customer = id(&post(&mut books, "customers", ""));
    books.set_card(&customer, Card::Declined).expect("a card");
    let made = post(&mut books, "subscriptions", &format!("customer={customer}&items[0][price]=price_monthly"));
    let invoice = made["latest_invoice"].as_str().expect("an invoice").to_owned();
    let pay = format!("invoices/{invoice}/pay");
    assert_eq!(refused(&mut books, &Method::POST, &pay, ""), (402, json!("card_declined"), Value::Null));
    books.set_card(&customer, Card::Good).expect("a card");
    assert_eq!(post(&mut books, &pay, "")["status"], "paid");
    assert_eq!(get(&mut books, &format!("subscriptions/{}", id(&made)), "")["status"], "active");
    let charge = books.paid_charge(&invoice).expect("a charge").id.clone();
    let refund = post(&mut books, "refunds", &format!("charge={charge}&amount=300"));
    assert_eq!((&refund["amount"], &refund["status"]), (&json!(300), &json!("succeeded")));
    assert_eq!(refused(&mut books, &Method::POST, "refunds", &format!("charge={charge}&amount=401")).0, 400);
    assert_eq!(refused(&mut books, &Method::POST, "refunds", "charge=ch_none").0, 400);
    assert_eq!(refused(&mut books, &Method::POST, "refunds", "").0, 400);
}

#[test]
fn a_trial_says_what_it_ends_in_and_is_resumed() {
    let mut books = books();
    let customer = id(&post(&mut books, "customers", ""));
    books.set_card(&customer, Card::Missing).expect("no card");
    let order = format!(
        "customer={customer}&items[0][price]=price_monthly&trial_period_days=7\
         &trial_settings[end_behavior][missing_payment_method]=pause"
    );
    let made = post(&mut books, "subscriptions", &order);
    assert_eq!(made["trial_settings"]["end_behavior"]["missing_payment_method"], "pause");
    let path = format!("subscriptions/{}", id(&made));
    assert_eq!(refused(&mut books, &Method::POST, &format!("{path}/resume"), "").0, 400);
    books.play_until(books.now() + chrono::Duration::days(7)).expect("played");
    assert_eq!(get(&mut books, &path, "")["status"], "paused");
    assert_eq!(get(&mut books, "subscriptions", "status=paused")["data"][0]["id"], made["id"]);
    books.set_card(&customer, Card::Good).expect("a card");
    assert_eq!(post(&mut books, &format!("{path}/resume"), "")["status"], "active");
    let odd = order.replace("=pause", "=shrug");
    assert!(call(&mut books, &Method::POST, "subscriptions", &odd).is_err());
}
