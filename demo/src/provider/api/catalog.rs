//! What is sold: `/v1/prices` and `/v1/products`.

use serde_json::{Value, json};

use super::customers::merged;
use super::filter::only;
use super::form::Form;
use crate::provider::books::Books;
use crate::provider::books::model::Metadata;
use crate::provider::books::shop::{Listing, Product};
use crate::provider::books::table::{Row, cut};
use crate::provider::refusal::Refusal;
use crate::provider::render::{self, View};
use crate::provider::settings::{Cadence, Price};

/// Stripe's limit for a lookup key.
const LOOKUP_KEY_CHARS_MAX: usize = 200;

/// Lookup keys that one call may name.
const LOOKUP_KEYS_MAX: usize = 10;

pub fn prices(books: &Books, form: &Form, view: &View) -> Result<Value, Refusal> {
    only(form, &["active", "currency", "lookup_keys", "product", "recurring", "type"])?;
    let (product, active, kind) = (form.text("product"), form.truth("active")?, form.text("type"));
    let keys = form.texts("lookup_keys");
    if keys.len() > LOOKUP_KEYS_MAX {
        return Err(Refusal::invalid("lookup_keys", "Array must have at most 10 items"));
    }
    let paging = form.paging()?;
    let key_of = |price: &Price| books.shop.listings.get(&price.id).and_then(|listing| listing.lookup_key.clone());
    let wanted = |price: &Price| {
        active.is_none_or(|active| active == books.is_on_sale(price))
            && product.as_ref().is_none_or(|product| render::product_id(price) == *product)
            && kind.as_ref().is_none_or(|kind| kind == "recurring")
            && (keys.is_empty() || key_of(price).is_some_and(|key| keys.contains(&key)))
    };
    // Those of calls come after those of the settings, of which the first is the newest.
    let is_made = |price: &&Price| books.shop.listings.get(&price.id).is_some_and(|listing| listing.created.is_some());
    let (made, named): (Vec<&Price>, Vec<&Price>) = books.prices().iter().partition(is_made);
    let rows: Vec<&Price> = named.into_iter().rev().chain(made).collect();
    let cursor = paging.cursor(Price::KIND, |id| rows.iter().position(|price| price.id == id))?;
    let page = cut(rows.iter().copied().enumerate(), cursor, paging.limit, wanted);
    let data = page.rows.into_iter().map(|price| shown(books, price, view)).collect();
    Ok(render::list("/v1/prices", data, page.has_more))
}

pub fn price(books: &Books, id: &str, view: &View) -> Result<Value, Refusal> {
    Ok(shown(books, books.price(id, "id")?, view))
}

/// A price as calls have left it.
fn shown(books: &Books, price: &Price, view: &View) -> Value {
    let listing = books.shop.listings.get(&price.id).cloned().unwrap_or_default();
    let mut shown = render::price(price, listing.created.unwrap_or(books.opened()), view);
    shown["active"] = json!(!listing.is_archived);
    shown["lookup_key"] = json!(listing.lookup_key);
    shown["metadata"] = json!(listing.metadata);
    shown["nickname"] = json!(listing.nickname);
    shown
}

/// Recurring prices by the month or the year, of a product that is there, in one currency.
pub fn create_price(books: &mut Books, form: &Form, view: &View) -> Result<Value, Refusal> {
    form.only(&[
        "active",
        "billing_scheme",
        "currency",
        "expand",
        "lookup_key",
        "metadata",
        "nickname",
        "product",
        "recurring",
        "tax_behavior",
        "transfer_lookup_key",
        "unit_amount",
    ])?;
    form.only_in("recurring", &["interval", "interval_count", "usage_type"])?;
    let currency = form.required("currency")?.to_ascii_lowercase();
    if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Err(Refusal::invalid("currency", format!("Invalid currency: {currency}.")));
    }
    let amount = form.number_of::<i64>("unit_amount")?.ok_or_else(|| Refusal::missing("unit_amount"))?;
    if amount < 0 {
        return Err(Refusal::invalid("unit_amount", "Invalid non-negative integer"));
    }
    let wanted = form.required("product")?;
    let product = books.products().into_iter().find(|product| product.id == wanted);
    let product = product.ok_or_else(|| Refusal::no_such("product", &wanted, "product"))?;
    let cadence = match (form.required("recurring[interval]")?.as_str(), form.number_of("recurring[interval_count]")?) {
        ("month", None | Some(1)) => Cadence::Month,
        ("year", None | Some(1)) => Cadence::Year,
        _ => return Err(Refusal::invalid("recurring[interval]", "The simulated provider charges by month or year.")),
    };
    let metered = form.text("recurring[usage_type]").is_some_and(|usage| usage == "metered");
    let metadata = merged(&Metadata::new(), form.metadata("metadata")?)?;
    let lookup_key = take_key(books, None, form, view)?;
    let id = books.made_id("price")?;
    let name = format!("{}#{}", product.name, product.id);
    let listing = Listing {
        is_archived: form.truth("active")? == Some(false),
        lookup_key,
        metadata,
        nickname: form.text("nickname"),
        created: Some(books.now()),
    };
    books.add_price(Price { id: id.clone(), amount, currency, cadence, product: name, metered }, listing);
    told(books, "price.created", &id, view)
}

pub fn update_price(books: &mut Books, id: &str, form: &Form, view: &View) -> Result<Value, Refusal> {
    form.only(&["active", "expand", "lookup_key", "metadata", "nickname", "tax_behavior", "transfer_lookup_key"])?;
    books.price(id, "id")?;
    let mut listing = books.shop.listings.get(id).cloned().unwrap_or_default();
    listing.metadata = merged(&listing.metadata, form.metadata("metadata")?)?;
    if let Some(active) = form.truth("active")? {
        listing.is_archived = !active;
    }
    if form.has("nickname") {
        listing.nickname = form.text("nickname");
    }
    if form.has("lookup_key") {
        listing.lookup_key = take_key(books, Some(id), form, view)?;
    }
    books.shop.listings.insert(id.to_owned(), listing);
    told(books, "price.updated", id, view)
}

/// The lookup key that a call gives, taken from the price that has it where the call says so.
fn take_key(books: &mut Books, own: Option<&str>, form: &Form, view: &View) -> Result<Option<String>, Refusal> {
    let Some(key) = form.text("lookup_key") else { return Ok(None) };
    if key.chars().count() > LOOKUP_KEY_CHARS_MAX {
        return Err(Refusal::invalid("lookup_key", "Invalid string: must be at most 200 characters"));
    }
    let holder = books.shop.listings.iter().find(|(_, listing)| listing.lookup_key.as_ref() == Some(&key));
    let Some(holder) = holder.map(|(id, _)| id.clone()).filter(|id| own != Some(id.as_str())) else {
        return Ok(Some(key));
    };
    if form.truth("transfer_lookup_key")? != Some(true) {
        let message = format!("A price (`{holder}`) already uses that lookup key.");
        return Err(Refusal::invalid("lookup_key", message));
    }
    if let Some(listing) = books.shop.listings.get_mut(&holder) {
        listing.lookup_key = None;
    }
    told(books, "price.updated", &holder, view)?;
    Ok(Some(key))
}

fn told(books: &mut Books, kind: &str, id: &str, view: &View) -> Result<Value, Refusal> {
    let object = price(books, id, view)?;
    books.emit(kind, object.clone(), None);
    Ok(object)
}

pub fn products(books: &Books, form: &Form, view: &View) -> Result<Value, Refusal> {
    only(form, &["active", "ids"])?;
    let (active, ids) = (form.truth("active")?, form.texts("ids"));
    let paging = form.paging()?;
    let all = books.products();
    let is_made = |product: &&Product| books.shop.products.iter().any(|made| made.id == product.id);
    let (made, named): (Vec<&Product>, Vec<&Product>) = all.iter().partition(is_made);
    let rows: Vec<&Product> = named.into_iter().rev().chain(made).collect();
    let cursor = paging.cursor(Product::KIND, |id| rows.iter().position(|product| product.id == id))?;
    let page = cut(rows.iter().copied().enumerate(), cursor, paging.limit, |product| {
        active.is_none_or(|active| active != product.is_archived) && (ids.is_empty() || ids.contains(&product.id))
    });
    let data = page.rows.into_iter().map(|product| render::product(product, view)).collect();
    Ok(render::list("/v1/products", data, page.has_more))
}

pub fn product(books: &Books, id: &str, view: &View) -> Result<Value, Refusal> {
    Ok(render::product(&found(books, id)?, view))
}

fn found(books: &Books, id: &str) -> Result<Product, Refusal> {
    let product = books.products().into_iter().find(|product| product.id == id);
    product.ok_or_else(|| Refusal::no_such("product", id, "id"))
}

pub fn create_product(books: &mut Books, form: &Form, view: &View) -> Result<Value, Refusal> {
    form.only(&["active", "description", "expand", "id", "metadata", "name", "tax_code", "unit_label", "url"])?;
    let name = form.required("name")?;
    let id = match form.text("id") {
        Some(id) if found(books, &id).is_ok() => return Err(Refusal::exists("Product")),
        Some(id) => id,
        None => books.made_id("prod")?,
    };
    let metadata = merged(&Metadata::new(), form.metadata("metadata")?)?;
    let is_archived = form.truth("active")? == Some(false);
    let made = Product { id: id.clone(), name, is_archived, metadata, created: books.now() };
    books.shop.products.push(made);
    let object = product(books, &id, view)?;
    books.emit("product.created", object.clone(), None);
    Ok(object)
}

pub fn update_product(books: &mut Books, id: &str, form: &Form, view: &View) -> Result<Value, Refusal> {
    form.only(&["active", "description", "expand", "metadata", "name", "tax_code", "unit_label", "url"])?;
    let mut changed = found(books, id)?;
    changed.metadata = merged(&changed.metadata, form.metadata("metadata")?)?;
    if let Some(active) = form.truth("active")? {
        changed.is_archived = !active;
    }
    if let Some(name) = form.text("name") {
        changed.name = name;
    }
    books.shop.products.retain(|product| product.id != id);
    books.shop.products.push(changed);
    let object = product(books, id, view)?;
    books.emit("product.updated", object.clone(), None);
    Ok(object)
}
