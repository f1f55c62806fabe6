//! A seller's setup: products, prices that hand their lookup key on, webhook endpoints, the portal.

use axum::http::Method;
use serde_json::{Value, json};

use super::{books, call, get, id, post, refused};
use crate::provider::books::Books;
use crate::provider::books::shop::HasDefault;

const TERMS: &str = "currency=gbp&unit_amount=700&recurring[interval]=month&product=prod_1";

fn ids(books: &mut Books, query: &str) -> Vec<String> {
    let list = get(books, "prices", query);
    list["data"].as_array().expect("rows").iter().map(id).collect()
}

#[test]
fn a_lookup_key_is_of_one_price_and_is_handed_on_when_asked() {
    let mut books = books();
    post(&mut books, "products", "id=prod_1&name=Paid");
    let again = refused(&mut books, &Method::POST, "products", "id=prod_1&name=Paid");
    assert_eq!(again, (400, json!("resource_already_exists"), json!("id")));
    let keyed = format!("{TERMS}&lookup_key=k&metadata[a]=1");
    let first = post(&mut books, "prices", &keyed);
    assert_eq!(
        (&first["lookup_key"], &first["product"], &first["active"]),
        (&json!("k"), &json!("prod_1"), &json!(true))
    );
    assert_eq!(refused(&mut books, &Method::POST, "prices", &keyed), (400, Value::Null, json!("lookup_key")));
    let second = id(&post(&mut books, "prices", &format!("{keyed}&transfer_lookup_key=true")));
    assert_eq!(ids(&mut books, "lookup_keys[]=k&lookup_keys[]=other"), [second.as_str()]);
    let path = format!("prices/{}", id(&first));
    assert!(get(&mut books, &path, "")["lookup_key"].is_null());
    assert_eq!(post(&mut books, &path, "active=false")["active"], false);
    assert_eq!(ids(&mut books, "product=prod_1&active=true"), [second.as_str()]);
    assert_eq!(ids(&mut books, "product=prod_1").len(), 2);
    for (path, body, param) in [
        (path.as_str(), "unit_amount=900", "unit_amount"),
        ("prices", "currency=gbp&unit_amount=1&recurring[interval]=month&product=none", "product"),
        ("prices", "currency=pounds&unit_amount=1&recurring[interval]=month&product=prod_1", "currency"),
        ("prices", "currency=gbp&recurring[interval]=month&product=prod_1", "unit_amount"),
    ] {
        let (status, _, told) = refused(&mut books, &Method::POST, path, body);
        assert_eq!((status, told), (400, json!(param)), "{body}");
    }
    let order = format!(
        "mode=subscription&line_items[0][price]={}&line_items[0][quantity]=1&success_url=https%3A%2F%2Fa.example%2F",
        id(&first)
    );
    assert_eq!(refused(&mut books, &Method::POST, "checkout/sessions", &order).0, 400, "it is archived");
}

#[test]
fn an_endpoint_tells_its_secret_once_and_is_public() {
    let mut books = books();
    let made = post(&mut books, "webhook_endpoints", "url=https://read.example/hook&enabled_events[]=invoice.paid");
    assert!(made["secret"].as_str().is_some_and(|secret| secret.starts_with("whsec_")), "{made}");
    let path = format!("webhook_endpoints/{}", id(&made));
    let changed = post(&mut books, &path, "disabled=true&enabled_events[]=*");
    assert_eq!((&changed["status"], &changed["enabled_events"]), (&json!("disabled"), &json!(["*"])));
    assert!(changed["secret"].is_null() && get(&mut books, "webhook_endpoints", "")["data"][0]["secret"].is_null());
    for url in ["http://localhost:8080/hook", "https://127.0.0.1/hook", "read.example", "https://tollgate/hook"] {
        let body = format!("url={url}&enabled_events[]=*");
        assert_eq!(refused(&mut books, &Method::POST, "webhook_endpoints", &body).2, json!("url"), "{url}");
    }
    assert_eq!(
        refused(&mut books, &Method::POST, "webhook_endpoints", "url=https://a.example").2,
        json!("enabled_events")
    );
    assert_eq!(call(&mut books, &Method::DELETE, &path, "").expect("deleted")["deleted"], true);
    assert_eq!(refused(&mut books, &Method::DELETE, &path, "").0, 404);
}

#[test]
fn a_portal_opens_with_a_configuration_alone() {
    let mut books = books();
    let customer = id(&post(&mut books, "customers", ""));
    let session = format!("customer={customer}");
    post(&mut books, "billing_portal/sessions", &session);
    books.shop.has_default_portal = HasDefault::No;
    assert_eq!(refused(&mut books, &Method::POST, "billing_portal/sessions", &session).0, 400);
    assert_eq!(refused(&mut books, &Method::POST, "billing_portal/configurations", "name=x").2, json!("features"));
    let made =
        post(&mut books, "billing_portal/configurations", "features[invoice_history][enabled]=true&metadata[a]=1");
    assert_eq!((&made["is_default"], &made["active"]), (&json!(false), &json!(true)));
    assert_eq!(get(&mut books, "billing_portal/configurations", "active=true")["data"], json!([made]));
    assert_eq!(refused(&mut books, &Method::POST, "billing_portal/sessions", &session).0, 400, "it is no default");
    post(&mut books, "billing_portal/sessions", &format!("{session}&configuration={}", id(&made)));
    let none = format!("{session}&configuration=bpc_none");
    assert_eq!(refused(&mut books, &Method::POST, "billing_portal/sessions", &none).2, json!("configuration"));
}
