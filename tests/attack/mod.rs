//! The gate under attack, over bare sockets: for each request that some gate somewhere let through, the verdict, and
//! what the site really received. Where a case is a peer's advisory, that is its name.

mod caching;
mod case;
mod decide;
mod decoding;
mod forwarded;
mod frames;
mod framing;
mod headers;
mod hosts;
mod http2;
mod http2_site;
mod methods;
mod redirects;
mod targets;
mod unprocessed;
mod upgrades;
mod wire;

use crate::world::World;
use crate::world::stripe::{Subscription, unique};

/// An account that has paid, and that every proxy lets in: its `Authorization` line.
async fn paying(world: &World) -> String {
    let account = unique("payer");
    let subscription = Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) };
    world.accepted(&subscription.event("created")).await;
    let token = crate::world::token(&account);
    world.everywhere("/premium/hello", &token, 200).await;
    format!("Authorization: Bearer {token}")
}
