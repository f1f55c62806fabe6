//! What a client reads that fetches one object, or sweeps through all of them.

use std::time::Instant;

use axum::http::Method;
use serde_json::{Value, json};

use super::{books, get, id, post, refused};
use crate::provider::books::model::{DisputeStatus, RefundStatus};
use crate::provider::books::{Books, Seed};

/// A customer with a paid subscription; their ids.
fn subscribed(books: &mut Books) -> (String, String) {
    let customer = id(&post(books, "customers", ""));
    let made = post(books, "subscriptions", &format!("customer={customer}&items[0][price]=price_monthly"));
    (customer, id(&made))
}

fn ids(list: &Value) -> Vec<String> {
    list["data"].as_array().expect("a list").iter().map(id).collect()
}

#[test]
fn a_payment_leads_to_its_invoice_and_back() {
    let mut books = books();
    let (_, subscription) = subscribed(&mut books);
    subscribed(&mut books);
    let own = get(&mut books, &format!("subscriptions/{subscription}"), "expand[]=latest_invoice.payments");
    let invoice = own["latest_invoice"].clone();
    let payment = invoice["payments"]["data"][0].clone();
    let intent = payment["payment"]["payment_intent"].as_str().expect("an intent").to_owned();
    assert_eq!(payment["invoice"], invoice["id"]);

    let queries = [
        format!("payment[type]=payment_intent&payment[payment_intent]={intent}"),
        format!("invoice={}", id(&invoice)),
        format!("invoice={}&status=paid", id(&invoice)),
    ];
    for query in queries {
        assert_eq!(get(&mut books, "invoice_payments", &query)["data"], json!([payment]), "{query}");
    }
    assert_eq!(get(&mut books, &format!("invoice_payments/{}", id(&payment)), ""), payment);
    for query in ["payment[type]=payment_intent&payment[payment_intent]=pi_none", "invoice=in_none", "status=open"] {
        assert_eq!(get(&mut books, "invoice_payments", query)["data"], json!([]), "{query}");
    }
    assert_eq!(get(&mut books, "invoice_payments", "")["data"].as_array().map(Vec::len), Some(2));

    let object = get(&mut books, &format!("payment_intents/{intent}"), "expand[]=latest_charge");
    assert_eq!((&object["status"], &object["latest_charge"]["payment_intent"]), (&json!("succeeded"), &json!(intent)));
    assert!(object.get("invoice").is_none() && object["latest_charge"].get("invoice").is_none(), "since basil");
}

#[test]
fn what_went_back_is_read_alone_and_listed_by_charge() {
    let mut books = books();
    subscribed(&mut books);
    let charge = books.charges.iter().next().expect("a charge").id.clone();
    let invoice = books.invoices.iter().next().expect("an invoice").id.clone();
    let refund = books.give_back(&charge, Some(100), RefundStatus::Pending).expect("a refund");
    let dispute = books.dispute_invoice(&invoice, DisputeStatus::NeedsResponse).expect("a dispute");
    assert_eq!(get(&mut books, &format!("refunds/{refund}"), "")["status"], "pending");
    let whole = get(&mut books, &format!("disputes/{dispute}"), "expand[]=charge");
    assert_eq!((&whole["status"], &whole["charge"]["id"]), (&json!("needs_response"), &json!(charge)));
    for (path, made) in [("refunds", &refund), ("disputes", &dispute)] {
        for query in [String::new(), format!("charge={charge}"), "created[gte]=1".to_owned()] {
            assert_eq!(ids(&get(&mut books, path, &query)), std::slice::from_ref(made), "{path}?{query}");
        }
        for query in ["charge=ch_none", "created[lt]=1", "payment_intent=pi_none"] {
            assert!(ids(&get(&mut books, path, query)).is_empty(), "{path}?{query}");
        }
    }
    assert_eq!(ids(&get(&mut books, &format!("charges/{charge}/refunds"), "")), std::slice::from_ref(&refund));
    let read = get(&mut books, &format!("charges/{charge}"), "expand[]=refunds");
    assert_eq!((&read["refunds"]["data"][0]["id"], &read["disputed"]), (&json!(refund), &json!(true)));
}

#[test]
fn what_is_not_there_is_missing() {
    let mut books = books();
    for path in [
        "subscriptions/sub_none",
        "invoices/in_none",
        "invoices/in_none/lines",
        "invoice_payments/inpay_none",
        "charges/ch_none",
        "payment_intents/pi_none",
        "refunds/re_none",
        "disputes/du_none",
        "customers/cus_none",
        "checkout/sessions/cs_none",
        "events/evt_none",
    ] {
        assert_eq!(
            refused(&mut books, &Method::GET, path, ""),
            (404, json!("resource_missing"), json!("id")),
            "{path}"
        );
        let list = path.split("/").next().filter(|_| path.matches('/').count() == 1);
        if let Some(list) = list {
            let gone = refused(&mut books, &Method::GET, list, "starting_after=x_none");
            assert_eq!(gone, (400, json!("resource_missing"), json!("starting_after")), "{list}");
        }
    }
}

#[test]
fn lists_are_narrowed_by_customer_and_moment() {
    let mut books = books();
    let (customer, subscription) = subscribed(&mut books);
    books.play_until(books.now() + chrono::Duration::hours(1)).expect("played");
    let (_, later) = subscribed(&mut books);
    let now = books.now().timestamp();
    assert_eq!(
        ids(&get(&mut books, "subscriptions", &format!("customer={customer}"))),
        std::slice::from_ref(&subscription)
    );
    assert_eq!(ids(&get(&mut books, "subscriptions", &format!("created[gte]={now}"))), std::slice::from_ref(&later));
    let both = [later, subscription];
    assert_eq!(ids(&get(&mut books, "subscriptions", "status=all&price=price_monthly")), both);
    let page = get(&mut books, "subscriptions", "status=all&limit=1&expand[]=data.latest_invoice");
    assert_eq!((page["has_more"].clone(), &page["data"][0]["latest_invoice"]["status"]), (json!(true), &json!("paid")));
    for path in ["customers", "invoices", "charges", "payment_intents", "subscriptions"] {
        for (query, count) in
            [("".to_owned(), 2), (format!("created[gte]={now}"), 1), (format!("created[gt]={now}"), 0)]
        {
            assert_eq!(ids(&get(&mut books, path, &query)).len(), count, "{path}?{query}");
        }
    }
    for path in ["invoices", "charges", "payment_intents"] {
        assert_eq!(ids(&get(&mut books, path, &format!("customer={customer}"))).len(), 1, "{path}");
    }
}

#[test]
fn every_item_is_listed_although_the_subscription_shows_ten() {
    let mut books = books();
    let (customer, _) = subscribed(&mut books);
    let made = post(&mut books, "subscriptions", &format!("customer={customer}&items[0][price]=price_monthly"));
    let path = format!("subscription={}", id(&made));
    let list = get(&mut books, "subscription_items", &path);
    assert_eq!(list["data"][0]["id"], made["items"]["data"][0]["id"]);
    assert_eq!(refused(&mut books, &Method::GET, "subscription_items", "").0, 400);
    assert_eq!(refused(&mut books, &Method::GET, "subscription_items", "subscription=sub_none").0, 400);
    let invoice = made["latest_invoice"].as_str().expect("an invoice").to_owned();
    let lines = get(&mut books, &format!("invoices/{invoice}/lines"), "");
    assert_eq!(lines["data"][0]["pricing"]["price_details"]["price"], "price_monthly");
}

#[test]
fn events_are_paged_from_a_cursor_in_both_directions() {
    let mut books = books();
    let cursor = id(&get_first(&mut books));
    for _ in 0..5 {
        post(&mut books, "customers", "");
    }
    let newest_first = ids(&get(&mut books, "events", ""));
    let after = get(&mut books, "events", &format!("ending_before={cursor}&limit=2"));
    assert_eq!(ids(&after), newest_first[3..5], "those that came right after it");
    assert_eq!(after["has_more"], true);
    let rest = get(&mut books, "events", &format!("ending_before={}&limit=100", newest_first[3]));
    assert_eq!((ids(&rest).as_slice(), &rest["has_more"]), (&newest_first[..3], &json!(false)));
    let before = get(&mut books, "events", &format!("starting_after={}", newest_first[4]));
    assert_eq!(ids(&before), [cursor]);
    let undelivered = get(&mut books, "events", "delivery_success=false&limit=100");
    assert_eq!(ids(&undelivered).len(), 6, "nobody accepted any");
    assert!(ids(&get(&mut books, "events", "delivery_success=true")).is_empty());
}

/// The only event of new books.
fn get_first(books: &mut Books) -> Value {
    post(books, "customers", "");
    get(books, "events", "")["data"][0].clone()
}

#[test]
fn a_full_sweep_reaches_each_of_ten_thousand_once() {
    let mut books = books();
    let seed = Seed { count: 10_000, price: "price_monthly".to_owned(), metadata: [].into() };
    let mut made = books.seed(&seed).expect("seeded");
    made.reverse();
    let started = Instant::now();
    let (mut seen, mut query) = (Vec::new(), "status=all&limit=100&expand[]=data.latest_invoice".to_owned());
    loop {
        let page = get(&mut books, "subscriptions", &query);
        seen.extend(ids(&page));
        if page["has_more"] != true {
            break;
        }
        let cursor = seen.last().expect("a row");
        query = format!("status=all&limit=100&expand[]=data.latest_invoice&starting_after={cursor}");
    }
    assert_eq!(seen, made);
    // A tenth of that when optimised; what this forbids is a cost that grows with the square.
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}
