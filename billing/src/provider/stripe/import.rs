//! A catalog from what Stripe sells: tiers from products, with ranks by what they cost. What a catalog cannot say becomes a comment.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use entitlement::catalog::{Cadence, Provider};
use serde_json::Value;

use super::setup::{read_cadence, right_to_read};
use crate::api::standing::cadence;
use crate::provider::client::Client;
use crate::provider::no_price;
use crate::provider::offer::{Offer, of_stripe};
use crate::provider::stripe::setup::SetupError;

/// Longest code that is made of a name, and longest text in a comment, in characters.
const CODE_CHARS_MAX: usize = 40;
const COMMENT_CHARS_MAX: usize = 200;

/// Longest name that a catalog takes, in characters.
const NAME_CHARS_MAX: usize = 200;

/// Reads everything that is sold, and writes it as a catalog.
///
/// # Errors
/// When it cannot be read.
pub async fn catalog(client: &Client) -> Result<Imported, SetupError> {
    let products = client.all_active("products", &[]).await;
    let products = products.map_err(right_to_read("reading the products", "Products: Read"))?;
    let prices = client.all_active("prices", &["data.currency_options"]).await;
    let prices = prices.map_err(right_to_read("reading the prices", "Prices: Read"))?;
    Ok(written(&products, &prices))
}

/// A catalog's text, and what is sold that it does not say: one sentence for each price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    pub text: String,
    pub left_out: Vec<String>,
}

/// A price that a catalog can name.
struct Sold<'a> {
    price: &'a Value,
    cadence: Cadence,
    amount: i64,
    currency: String,
    offer: Offer,
}

/// A product with at least one such price, and what cannot be said of it.
struct Tier<'a> {
    name: &'a str,
    sold: Vec<Sold<'a>>,
    left_out: Vec<String>,
}

/// The catalog as text. No price goes without a word.
pub fn written(products: &[Value], prices: &[Value]) -> Imported {
    let mut of_product: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for price in prices {
        of_product.entry(price["product"].as_str().unwrap_or_default()).or_default().push(price);
    }
    let mut tiers = Vec::new();
    let (mut nothing, mut left_out) = (Vec::new(), Vec::new());
    for product in products {
        let (id, name) = (product["id"].as_str().unwrap_or_default(), product["name"].as_str().unwrap_or_default());
        let Some(prices) = of_product.remove(id) else { continue };
        let mut tier = Tier { name, sold: Vec::new(), left_out: Vec::new() };
        for price in prices {
            match sold(price) {
                Ok(sold) => {
                    left_out.extend(sold.other_currencies().map(|(currency, amount)| {
                        format!(
                            "{} of {name} in {currency}, {amount}: Stripe may charge it all the same",
                            text(&price["id"])
                        )
                    }));
                    tier.sold.push(sold);
                }
                Err(why) => tier.left_out.push(format!("{}: {why}", text(&price["id"]))),
            }
        }
        left_out.extend(tier.left_out.iter().map(|why| format!("{why} ({name})")));
        if tier.sold.is_empty() { nothing.push(tier) } else { tiers.push(tier) }
    }
    let orphans = of_product.into_values().flatten();
    let orphans: Vec<_> = orphans.map(|price| format!("{}: its product is archived", text(&price["id"]))).collect();
    tiers.sort_by_key(|tier| (tier.in_a_year(), tier.name));
    let mut catalog = String::from(
        "# What Stripe sells, as a catalog: codes are made of the names, ranks of what a year costs.\n# Add what each tier may use: features, limits and levels. A route asks for a tier's code or a feature.\n",
    );
    let mut codes = BTreeSet::from(["free".to_owned()]);
    for (tier, rank) in tiers.iter().zip(1_u32..) {
        tier.write(&mut catalog, &code(tier.name, &mut codes), rank);
    }
    for tier in nothing {
        let _ = writeln!(catalog, "\n# left out: {}", comment(tier.name));
        for why in &tier.left_out {
            let _ = writeln!(catalog, "#   {}", comment(why));
        }
    }
    for why in &orphans {
        let _ = writeln!(catalog, "\n# left out: {}", comment(why));
    }
    left_out.extend(orphans);
    Imported { text: catalog, left_out: left_out.iter().map(|why| comment(why)).collect() }
}

/// The terms of a price in a catalog's words, or why it has none.
fn sold(price: &Value) -> Result<Sold<'_>, String> {
    let offer = of_stripe(price);
    let recurring = &price["recurring"];
    if recurring.is_null() {
        return Err("it is paid once".to_owned());
    }
    if offer.is_metered {
        return Err("usage is charged".to_owned());
    }
    let Some(cadence) = read_cadence(&offer.cadence) else {
        return Err(format!("it is charged {}", offer.cadence));
    };
    let Some(amount) = price["unit_amount"].as_i64() else {
        return Err(no_amount(price).to_owned());
    };
    if !price["transform_quantity"].is_null() {
        return Err("it is charged by the package".to_owned());
    }
    let currency = price["currency"].as_str().unwrap_or_default().to_ascii_lowercase();
    Ok(Sold { price, cadence, amount, currency, offer })
}

/// Why a price has no amount of its own.
fn no_amount(price: &Value) -> &'static str {
    if price["billing_scheme"] == "tiered" {
        "it has tiers, by how many are bought"
    } else if price["unit_amount_decimal"].as_str().is_some_and(|amount| amount.contains('.')) {
        "it has fractions of the smallest unit"
    } else {
        "it has no fixed amount"
    }
}

impl Sold<'_> {
    const fn in_a_year(&self) -> i64 {
        match self.cadence {
            Cadence::Monthly => self.amount.saturating_mul(12),
            Cadence::Annual => self.amount,
        }
    }

    fn other_currencies(&self) -> impl Iterator<Item = (&str, String)> {
        let others = self.offer.amounts.iter().filter(|(currency, _)| **currency != self.currency);
        others.map(|(currency, amount)| {
            (currency.as_str(), amount.map_or("no fixed amount".to_owned(), |amount| amount.to_string()))
        })
    }

    fn write(&self, catalog: &mut String) {
        catalog.push_str("\n[[tier.price]]\nprovider = \"stripe\"\n");
        let is_usable = |key: &&str| !key.is_empty() && key.trim() == *key && no_price(Provider::Stripe, key).is_none();
        let named = match self.price["lookup_key"].as_str().filter(|key| is_usable(key) && !key.starts_with("price_")) {
            Some(key) => format!("lookup_key = {}    # {}", quoted(key), comment(text(&self.price["id"]))),
            None => format!("id = {}", quoted(text(&self.price["id"]))),
        };
        let _ = writeln!(catalog, "{named}");
        let _ = writeln!(catalog, "cadence = \"{}\"\namount = {}", cadence(self.cadence), self.amount);
        let _ = writeln!(catalog, "currency = {}", quoted(&self.currency));
        for (currency, amount) in self.other_currencies() {
            let _ = writeln!(catalog, "# also in {}: {amount}", comment(currency));
        }
        if let Some(days) = self.price["recurring"]["trial_period_days"].as_u64().filter(|days| *days > 0) {
            let _ = writeln!(
                catalog,
                "# the price has a trial of {days} days: trial_days = {days} would let Tollgate ask for it"
            );
        }
    }
}

impl Tier<'_> {
    fn in_a_year(&self) -> i64 {
        self.sold.iter().map(Sold::in_a_year).min().unwrap_or_default()
    }

    fn write(&self, catalog: &mut String, code: &str, rank: u32) {
        let fitting = fitting(self.name);
        let name = if fitting.is_empty() { code } else { &fitting };
        let _ = write!(catalog, "\n[[tier]]\ncode = \"{code}\"\nname = {}\nrank = {rank}\n", quoted(name));
        if name != self.name {
            let _ = writeln!(
                catalog,
                "# the name is another one in Stripe: buyers read one line of 1 to {NAME_CHARS_MAX} characters here"
            );
        }
        catalog.push_str("features = []\n");
        for why in &self.left_out {
            let _ = writeln!(catalog, "# left out: {}", comment(why));
        }
        self.sold.iter().for_each(|sold| sold.write(catalog));
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A code of a name, that no other has.
fn code(name: &str, taken: &mut BTreeSet<String>) -> String {
    let mut plain = String::new();
    for c in name.chars().map(|c| c.to_ascii_lowercase()).take(CODE_CHARS_MAX) {
        if c.is_ascii_alphanumeric() {
            plain.push(c);
        } else if !plain.is_empty() && !plain.ends_with('_') {
            plain.push('_');
        }
    }
    let plain = plain.trim_end_matches('_');
    let plain = if plain.is_empty() { "tier" } else { plain };
    let mut codes = std::iter::once(plain.to_owned()).chain((2..).map(|number| format!("{plain}_{number}")));
    codes.find(|code| taken.insert(code.clone())).unwrap_or_default()
}

/// A name as a catalog takes it: one line, not too long; empty where nothing is left.
fn fitting(name: &str) -> String {
    let line: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.trim().chars().take(NAME_CHARS_MAX).collect::<String>().trim_end().to_owned()
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A text that stays in its comment.
fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(COMMENT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use entitlement::catalog::Catalog;
    use serde_json::json;

    use super::*;

    fn product(id: &str, name: &str) -> Value {
        json!({ "id": id, "name": name, "active": true })
    }

    fn price(id: &str, product: &str, amount: Option<i64>, interval: &str) -> Value {
        json!({
            "id": id, "product": product, "active": true, "currency": "gbp", "unit_amount": amount, "lookup_key": null,
            "recurring": { "interval": interval, "interval_count": 1, "usage_type": "licensed" },
        })
    }

    #[test]
    fn what_is_sold_becomes_tiers_in_order_of_their_price() {
        let mut keyed = price("price_3", "prod_2", Some(700), "month");
        keyed["lookup_key"] = json!("paid_monthly");
        keyed["currency_options"] = json!({ "eur": { "unit_amount": 800 }, "gbp": { "unit_amount": 700 } });
        let mut usage = price("price_4", "prod_2", Some(1), "month");
        usage["recurring"]["usage_type"] = json!("metered");
        let mut tiered = price("price_7", "prod_1", None, "year");
        tiered["billing_scheme"] = json!("tiered");
        let mut fraction = price("price_8", "prod_1", None, "year");
        fraction["unit_amount_decimal"] = json!("0.5");
        let mut package = price("price_9", "prod_1", Some(5), "year");
        package["transform_quantity"] = json!({ "divide_by": 10, "round": "up" });
        let mut quarter = price("price_10", "prod_1", Some(500), "month");
        quarter["recurring"]["interval_count"] = json!(3);
        let once =
            json!({ "id": "price_6", "product": "prod_3", "currency": "gbp", "unit_amount": 5, "recurring": null });
        let Imported { text, left_out } = written(
            &[
                product("prod_1", "Business"),
                product("prod_2", "Paid"),
                product("prod_3", "Mug"),
                product("prod_4", "None"),
            ],
            &[
                price("price_1", "prod_1", Some(2900), "month"),
                price("price_2", "prod_2", Some(7000), "year"),
                keyed,
                usage,
                price("price_5", "prod_1", Some(100), "week"),
                once,
                tiered,
                fraction,
                package,
                quarter,
                price("price_11", "prod_1", Some(3), "day"),
                price("price_12", "prod_archived", Some(700), "month"),
            ],
        );
        let catalog: Catalog = toml::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let tiers: Vec<(&str, u32, usize)> =
            catalog.tiers().iter().map(|tier| (tier.code.as_str(), tier.rank, tier.prices.len())).collect();
        assert_eq!(tiers, [("free", 0, 0), ("paid", 1, 2), ("business", 2, 1)]);
        assert_eq!(catalog.lookup_keys().into_iter().collect::<Vec<_>>(), ["paid_monthly"]);
        for told in [
            "# left out: price_4: usage is charged",
            "# left out: price_5: it is charged weekly",
            "# left out: Mug\n#   price_6: it is paid once",
            "# left out: price_12: its product is archived",
            "# also in eur: 800",
        ] {
            assert!(text.contains(told), "{told}: {text}");
        }
        assert!(!text.contains("None"), "{text}");
        let mut told = left_out.clone();
        told.sort_unstable();
        let expected = [
            "price_10: it is charged quarterly (Business)",
            "price_11: it is charged every 1 days (Business)",
            "price_12: its product is archived",
            "price_3 of Paid in eur, 800: Stripe may charge it all the same",
            "price_4: usage is charged (Paid)",
            "price_5: it is charged weekly (Business)",
            "price_6: it is paid once (Mug)",
            "price_7: it has tiers, by how many are bought (Business)",
            "price_8: it has fractions of the smallest unit (Business)",
            "price_9: it is charged by the package (Business)",
        ];
        assert_eq!(told, expected, "each price that is not in the catalog, by its own word");
    }

    #[test]
    fn names_stay_in_their_places_and_codes_are_of_their_own() {
        let names = ["Pro", "pro!", "Free", "日本", "a\"\nrank = 9\n[[tier]]", "", "  "];
        let products: Vec<Value> =
            names.iter().enumerate().map(|(number, name)| product(&format!("prod_{number}"), name)).collect();
        let prices: Vec<Value> = (0_i64..)
            .zip(&products)
            .map(|(number, product)| {
                price(&format!("price_{number}"), text(&product["id"]), Some(number * 100), "month")
            })
            .collect();
        let without = price("price_x\n[[tier]]", "prod_0", None, "month");
        let text = written(&products, &[prices, vec![without]].concat()).text;
        let catalog: Catalog = toml::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let codes: Vec<&str> = catalog.tiers().iter().map(|tier| tier.code.as_str()).collect();
        assert_eq!(codes, ["free", "pro", "pro_2", "free_2", "tier", "a_rank_9_tier", "tier_2", "tier_3"]);
        assert!(text.contains("# the name is another one in Stripe"), "{text}");
    }
}
