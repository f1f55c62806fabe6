//! The simulated provider of a world: it sells what the catalog names, and delivers its events to the public listener.

use std::collections::BTreeMap;

use demo::provider::{Cadence, Key, Mode, NewCustomer, Price, Provider, Settings, Shape, Subscribe};

use super::stripe::{SECRETS, unique};
use super::{World, token};

/// The key with which billing may call it.
pub const API_KEY: &str = "sk_test_of_the_tests";

/// The same for real money.
pub const LIVE_KEY: &str = "sk_live_of_the_tests";

/// Restricted keys of the provider's account: they may not read of which one it is.
pub const RESTRICTED_KEYS: [&str; 2] = ["rk_live_of_the_tests", "rk_test_of_the_tests"];

/// Keys of another account.
pub const OTHER_KEYS: [&str; 2] = ["sk_live_of_another", "sk_test_of_another"];

/// The same, that may not read of which account they are.
pub const OTHER_RESTRICTED_KEYS: [&str; 2] = ["rk_live_of_another", "rk_test_of_another"];

/// Starts it; it tells nobody yet.
pub async fn start(shape: Shape, mode: Mode) -> Provider {
    let price = |id: &str, amount, cadence, product: &str| Price {
        id: id.to_owned(),
        amount,
        currency: "gbp".to_owned(),
        cadence,
        product: product.to_owned(),
        metered: false,
    };
    let prices = vec![
        price("price_monthly", 700, Cadence::Month, "Paid"),
        price("price_annual", 7000, Cadence::Year, "Paid"),
        price("price_business", 2900, Cadence::Month, "Business"),
        price("price_domain", 1500, Cadence::Year, "Custom domain"),
    ];
    let settings = Settings { prices, shape, mode, ..Settings::new(API_KEY, SECRETS[0]) };
    let provider = Provider::start(settings).await.expect("the provider starts");
    provider.accept_key(Key::own(LIVE_KEY));
    let restricted = RESTRICTED_KEYS.map(Key::restricted);
    let others = OTHER_KEYS.map(|key| Key::of_another(key, "acct_other"));
    let of_others = OTHER_RESTRICTED_KEYS.map(|key| Key { reads_account: false, ..Key::of_another(key, "acct_other") });
    for key in restricted.into_iter().chain(others).chain(of_others) {
        provider.accept_key(key);
    }
    provider
}

impl World {
    /// A subscription begins at the provider, which most tests only play: by one that a key sees, the key is known to be of the
    /// account that is sold for.
    pub async fn has_a_subscriber_at_the_provider(&self) {
        let provider = self.provider.as_ref().expect("this world has a provider");
        let account = unique("subscriber");
        let metadata = BTreeMap::from([("account".to_owned(), account.clone())]);
        let customer = NewCustomer { metadata: metadata.clone(), ..NewCustomer::default() };
        let customer = provider.create_customer(customer).expect("there is room");
        let order = Subscribe { customer, price: "price_monthly".to_owned(), metadata, ..Subscribe::default() };
        provider.subscribe(order).expect("it begins");
        self.everywhere("/premium/subscribed", &token(&account), 200).await;
    }
}
