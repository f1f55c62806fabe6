//! Accounts that pay for the same by more than one subscription: the money for one of them is to be given back.

use std::collections::{BTreeMap, BTreeSet};

use entitlement::account::AccountId;
use serde::Serialize;

use super::PROVIDER;
use crate::apply::bought;
use crate::store::catalogs::Rules;

/// A subscription that is paid for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paying {
    pub subscription: String,
    pub prices: Vec<String>,
}

/// An account with two subscriptions or more for one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PaidTwice {
    pub account: AccountId,
    /// The code of a tier or an add-on; the price of what is not sold here.
    pub what: String,
    pub subscriptions: BTreeSet<String>,
}

/// The accounts of these subscriptions that pay for one thing by several of them.
pub fn find<'a>(paying: impl Iterator<Item = (AccountId, &'a Paying)>, rules: &Rules) -> Vec<PaidTwice> {
    let mut all: BTreeMap<(AccountId, (u8, String)), BTreeSet<String>> = BTreeMap::new();
    for (account, Paying { subscription, prices }) in paying {
        for thing in bought(PROVIDER, prices, rules) {
            all.entry((account.clone(), thing)).or_default().insert(subscription.clone());
        }
    }
    let several = all.into_iter().filter(|(_, subscriptions)| subscriptions.len() > 1);
    several.map(|((account, (_, what)), subscriptions)| PaidTwice { account, what, subscriptions }).collect()
}
