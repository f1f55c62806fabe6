//! The gate under attack: what must never pass, and what the site must never receive.

mod assertions;
mod credentials;
mod faults;
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
mod targets;
mod ways;

use crate::world::World;
use crate::world::stripe::{Subscription, unique};

/// An account that has paid, and that every proxy lets in.
async fn paying(world: &World) -> String {
    let account = unique("payer");
    let subscription = Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) };
    world.accepted(&subscription.event("created")).await;
    let token = crate::world::token(&account);
    world.everywhere("/premium/hello", &token, 200).await;
    token
}
