//! What is sold: `/v1/prices` and `/v1/products`.

use serde_json::Value;

use super::filter::only;
use super::form::Form;
use crate::provider::books::Books;
use crate::provider::books::table::{Row, cut};
use crate::provider::refusal::Refusal;
use crate::provider::render::{self, View};
use crate::provider::settings::Price;

pub fn prices(books: &Books, form: &Form, view: &View) -> Result<Value, Refusal> {
    only(form, &["active", "product"])?;
    let product = form.text("product");
    let active = form.truth("active")?.unwrap_or(true);
    let paging = form.paging()?;
    let wanted = |price: &Price| active && product.as_ref().is_none_or(|product| render::product_id(price) == *product);
    // The first one that was named is the newest.
    let rows = books.prices().iter().rev();
    let cursor = paging.cursor(Price::KIND, |id| rows.clone().position(|price| price.id == id))?;
    let page = cut(rows.enumerate(), cursor, paging.limit, wanted);
    let data = page.rows.into_iter().map(|price| render::price(price, books.opened(), view)).collect();
    Ok(render::list("/v1/prices", data, page.has_more))
}

pub fn price(books: &Books, id: &str, view: &View) -> Result<Value, Refusal> {
    Ok(render::price(books.price(id, "id")?, books.opened(), view))
}

pub fn product(books: &Books, id: &str, view: &View) -> Result<Value, Refusal> {
    let price = books.prices().iter().find(|price| render::product_id(price) == id);
    let price = price.ok_or_else(|| Refusal::no_such("product", id, "id"))?;
    Ok(render::product(price, books.opened(), view))
}
