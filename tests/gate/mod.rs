//! The gate under attack: what must never pass, and what the site must never receive.

mod asking;
mod authorization;
mod assertions;
mod below;
mod credentials;
mod faults;
mod front;
mod guests;
mod halves;
mod headers;
mod identity;
mod key_files;
mod key_sources;
mod login;
mod published_keys;
mod published_keys_tls;
mod other_key;
mod own_pages;
mod policies;
mod public_pages;
mod readers;
mod readings;
mod routes;
mod table;
mod targets;
pub mod ways;

use crate::world::setup::ROUTES;
use crate::world::stripe::{Subscription, unique};
use crate::world::{Arrangement, Setup, World, send};

/// An account that has paid, and that every proxy lets in.
async fn paying(world: &World) -> String {
    let account = unique("payer");
    let subscription = Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) };
    world.accepted(&subscription.event("created")).await;
    let token = crate::world::token(&account);
    world.everywhere("/premium/hello", &token, 200).await;
    token
}

/// With these ways to know who asks, and no other.
pub fn with_ways(ways: &str) -> Setup {
    let flat = ["identity.cookie", "identity.algorithm", "identity.issuer", "identity.audience"];
    let setup = flat.into_iter().fold(Setup::new(Arrangement::AllPostgres), |setup, key| setup.key(key, ""));
    setup.routes(&format!("{ROUTES}\n{ways}"))
}

/// The account that a site which shows it is told, by a header of the request; the code of the refusal else.
async fn account(world: &World, name: &str, value: &str) -> String {
    let path = format!("/signed-in/{}", unique("page"));
    let answer = send(world.request("GET", &path, None).header(name, value)).await;
    match answer.status {
        200 => answer.json()["account"].as_str().unwrap_or_default().to_owned(),
        _ => answer.code(),
    }
}
