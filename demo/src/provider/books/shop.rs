//! Objects that calls have set up: prices and products beside those of the settings, webhook endpoints, configurations of the portal.

use std::collections::HashMap;

use rand::Rng;
use rand::distr::Alphanumeric;
use serde_json::Value;

use super::Books;
use super::model::Metadata;
use super::table::Row;
use crate::Timestamp;
use crate::provider::refusal::Refusal;
use crate::provider::render;
use crate::provider::settings::Price;

/// Objects of one kind that are kept at most.
const MADE_MAX: usize = 10_000;

/// Everything that calls have set up.
#[derive(Default)]
pub struct Shop {
    /// By price: what is not as it was when the price was made by the settings.
    pub listings: HashMap<String, Listing>,
    pub products: Vec<Product>,
    pub endpoints: Vec<Endpoint>,
    pub portals: Vec<Portal>,
    pub has_default_portal: HasDefault,
    /// Where origins are really found.
    places: Vec<(String, String)>,
}

/// Whether the account has saved settings of the portal in the dashboard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HasDefault {
    #[default]
    Yes,
    No,
}

/// How a price stands.
#[derive(Clone, Default)]
pub struct Listing {
    pub is_archived: bool,
    pub lookup_key: Option<String>,
    pub metadata: Metadata,
    pub nickname: Option<String>,
    pub created: Option<Timestamp>,
}

/// A product.
#[derive(Clone)]
pub struct Product {
    pub id: String,
    pub name: String,
    pub is_archived: bool,
    pub metadata: Metadata,
    pub created: Timestamp,
}

impl Row for Product {
    const KIND: &'static str = "product";

    fn id(&self) -> &str {
        &self.id
    }
}

/// A webhook endpoint.
pub struct Endpoint {
    pub id: String,
    pub url: String,
    pub events: Vec<String>,
    pub is_disabled: bool,
    pub secret: String,
    pub description: Option<String>,
    pub metadata: Metadata,
    pub created: Timestamp,
}

/// A configuration of the portal.
pub struct Portal {
    pub id: String,
    pub is_inactive: bool,
    pub features: Value,
    pub metadata: Metadata,
    pub return_url: Option<String>,
    pub created: Timestamp,
}

impl Shop {
    /// Where the host of a URL is really found: `https://read.example` at `http://127.0.0.1:8080`.
    pub fn resolve(&mut self, origin: &str, place: &str) {
        self.places.push((origin.to_owned(), place.to_owned()));
    }

    /// Where a URL leads.
    pub fn place_of(&self, url: &str) -> String {
        let mut places = self.places.iter().rev();
        let found = places.find_map(|(origin, place)| Some(format!("{place}{}", url.strip_prefix(origin)?)));
        found.unwrap_or_else(|| url.to_owned())
    }

    /// The newest webhook endpoint that is switched on.
    pub fn newest_endpoint(&self) -> Option<&Endpoint> {
        self.endpoints.iter().rev().find(|endpoint| !endpoint.is_disabled)
    }
}

impl Books {
    /// Whether a price can be bought.
    pub fn is_on_sale(&self, price: &Price) -> bool {
        self.shop.listings.get(&price.id).is_none_or(|listing| !listing.is_archived)
    }

    /// An id with this prefix, where there is room for what it is of.
    pub fn made_id(&mut self, prefix: &str) -> Result<String, Refusal> {
        if self.prices.len() + self.shop.products.len() + self.shop.portals.len() >= MADE_MAX {
            return Err(Refusal::full());
        }
        Ok(self.ids.next(prefix))
    }

    /// Sells one more price.
    pub fn add_price(&mut self, price: Price, listing: Listing) {
        self.shop.listings.insert(price.id.clone(), listing);
        self.prices.push(price);
    }

    /// Every product: those of the settings come first.
    pub fn products(&self) -> Vec<Product> {
        let mut all: Vec<Product> = Vec::new();
        for price in &self.prices {
            let id = render::product_id(price);
            if !price.product.contains('#') && !all.iter().any(|product| product.id == id) {
                let (name, created) = (price.product.clone(), self.opened());
                all.push(Product { id, name, is_archived: false, metadata: Metadata::new(), created });
            }
        }
        for made in &self.shop.products {
            match all.iter_mut().find(|product| product.id == made.id) {
                Some(same) => *same = made.clone(),
                None => all.push(made.clone()),
            }
        }
        all
    }
}

/// A secret that signs the deliveries of a new endpoint.
pub fn new_secret() -> String {
    let secret: String = rand::rng().sample_iter(Alphanumeric).take(32).map(char::from).collect();
    format!("whsec_{secret}")
}
