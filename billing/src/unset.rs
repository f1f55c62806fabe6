//! Credentials that are not set of a provider whose prices are sold. That refuses nothing: webhooks alone, and deploying before a
//! provider is set up, stay possible; but it is said at the start, by `tollgate check` and by readiness.

use entitlement::catalog::{Catalog, Provider};

use crate::component::Billing;

/// Which credentials are set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credentialed {
    pub stripe_key: bool,
    pub stripe_webhooks: bool,
    pub polar_token: bool,
    pub polar_webhooks: bool,
}

/// What does not work without the credentials that are not set, by provider.
#[must_use]
pub fn unset(catalog: &Catalog, set: Credentialed) -> Vec<String> {
    let webhooks = "its webhooks are answered 503, and nothing that is bought is learnt of";
    let key = "checkout, portal and cancellation are answered 503, and nothing is compared";
    let needed = [
        (Provider::Stripe, "STRIPE_WEBHOOK_SECRET", set.stripe_webhooks, webhooks),
        (Provider::Stripe, "STRIPE_API_KEY", set.stripe_key, key),
        (Provider::Polar, "POLAR_WEBHOOK_SECRET", set.polar_webhooks, webhooks),
        (Provider::Polar, "POLAR_ACCESS_TOKEN", set.polar_token, key),
    ];
    let missing = needed.into_iter().filter(|(provider, _, is_set, _)| !is_set && sells(catalog, *provider));
    missing
        .map(|(provider, name, _, without)| {
            format!("{name} is not set, and the catalog has prices of {provider}: {without}")
        })
        .collect()
}

fn sells(catalog: &Catalog, provider: Provider) -> bool {
    let tiers = catalog.tiers().iter().flat_map(|tier| &tier.prices);
    let addons = catalog.addons().iter().flat_map(|addon| &addon.prices);
    tiers.chain(addons).any(|price| price.provider == provider)
}

impl Billing {
    /// What of the catalog in force cannot be sold or learnt of, as a credential is not set.
    #[must_use]
    pub fn unset(&self) -> Vec<String> {
        let providers = self.shared().providers.load();
        let set = Credentialed {
            stripe_key: providers.stripe.api_key.is_some(),
            stripe_webhooks: !providers.stripe.webhook_secrets.is_empty(),
            polar_token: providers.polar.access_token.is_some(),
            polar_webhooks: !providers.polar.webhook_secrets.is_empty(),
        };
        unset(&self.known_rules().catalog, set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_sold_is_missed() {
        let price = |provider: &str| {
            format!(
                "{{ provider = \"{provider}\", id = \"p\", cadence = \"monthly\", amount = 1, currency = \"gbp\" }}"
            )
        };
        let catalog = |prices: &str| {
            let text = format!("tier = [{{ code = \"paid\", name = \"Paid\", rank = 1, price = [{prices}] }}]");
            toml::from_str::<Catalog>(&text).expect("a catalog")
        };
        let names = |prices: &str, set| -> Vec<String> {
            let told = unset(&catalog(prices), set).into_iter();
            told.filter_map(|told| told.split(' ').next().map(str::to_owned)).collect()
        };
        let (none, all) =
            (Credentialed::default(), Credentialed { stripe_key: true, stripe_webhooks: true, ..Default::default() });
        assert_eq!(names("", none), [""; 0]);
        assert_eq!(names(&price("stripe"), none), ["STRIPE_WEBHOOK_SECRET", "STRIPE_API_KEY"]);
        assert_eq!(names(&price("polar"), all), ["POLAR_WEBHOOK_SECRET", "POLAR_ACCESS_TOKEN"]);
        assert_eq!(names(&price("stripe"), all), [""; 0]);
    }
}
