//! `tollgate check --online`: the configuration, held against what the providers say.

use entitlement::catalog::Catalog;
use secrecy::ExposeSecret;

use super::compare;
use crate::credentials::Providers;
use crate::provider::client::{Client, Endpoint, ProviderError};
use crate::provider::stripe::setup::{events_beside, is_reachable, look_up};
use crate::provider::{self, key_variable};
use crate::settings::Settings;

/// Endpoints, and superfluous events, that are named.
const OTHERS_MAX: usize = 3;
const SUPERFLUOUS_MAX: usize = 5;

/// What asking the providers has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Online {
    /// What agrees, one line for each provider.
    pub agreed: Vec<String>,
    /// What is another thing at a provider.
    pub differences: Vec<String>,
    /// What could not be asked, and what to do.
    pub unasked: Vec<String>,
    /// Work for a person beside, although nothing differs.
    pub warnings: Vec<String>,
}

/// Asks every provider that there is a key for.
pub async fn check_online(settings: &Settings, catalog: &Catalog) -> Online {
    let providers = Providers::at_start(settings);
    let mut online = Online::default();
    let resolved = match &providers.stripe_client {
        Some(client) => online.with_prices(client, catalog).await,
        None => Some(catalog.clone()),
    };
    for provider in provider::ALL {
        if !provider::can_ask(&providers, provider) {
            if super::prices_of(catalog, provider).next().is_some() {
                let variable = key_variable(provider);
                online.unasked.push(format!("{provider}: {variable} is not set, and the catalog has its prices"));
            }
            continue;
        }
        let Some(resolved) = &resolved else { continue };
        let compared = compare(&providers, (resolved, provider), |_, _| {}).await;
        if let Some(error) = &compared.trouble {
            online.unasked.push(format!("{provider}: the prices cannot be read: {error}"));
        }
        if let Some(error) = &compared.products.trouble {
            online.unasked("products of the prices", "Products: Read", error);
        }
        online.agreed.push(format!("{provider}: {} prices compared", compared.prices));
        online.differences.extend(compared.differences);
    }
    if let Some(client) = &providers.stripe_client {
        online.agreed.extend(mode(settings));
        let url = settings.webhook_url();
        online.compare_endpoints(client, &url).await;
        online.compare_portal(client).await;
    }
    online
}

impl Online {
    /// The catalog with the prices that have its lookup keys now, where they can be read.
    async fn with_prices(&mut self, client: &Client, catalog: &Catalog) -> Option<Catalog> {
        let keys: Vec<&str> = catalog.lookup_keys().into_iter().collect();
        match look_up(client, &keys).await {
            Ok(found) => Some(catalog.resolved(&Catalog::empty(), &found)),
            Err(error) => {
                self.unasked("prices of the lookup keys", "Prices: Read", &error);
                None
            }
        }
    }

    async fn compare_endpoints(&mut self, client: &Client, url: &str) {
        match client.webhook_endpoints().await {
            Ok(endpoints) if !is_reachable(url) && endpoints.iter().all(|endpoint| endpoint.url != url) => {
                self.warnings.push(format!(
                    "stripe cannot reach {url}, so there is no webhook endpoint to compare: `stripe listen --forward-to` brings the events"
                ));
            }
            Ok(endpoints) => {
                let (differences, superfluous) = (missing_events(&endpoints, url), superfluous_events(&endpoints, url));
                if differences.is_empty() {
                    self.agreed.push("stripe: the webhook endpoint is told of every event that is needed".to_owned());
                }
                self.differences.extend(differences);
                self.agreed.extend(superfluous);
            }
            Err(error) => self.unasked("webhook endpoints", "Webhook Endpoints: Read", &error),
        }
    }

    async fn compare_portal(&mut self, client: &Client) {
        match client.has_portal().await {
            Ok(true) => self.agreed.push("stripe: the customer portal has a configuration".to_owned()),
            Ok(false) => self.differences.push(
                "stripe's customer portal has no configuration, so no buyer can open it: `tollgate setup stripe` makes one, or save its \
                 settings in the dashboard"
                    .to_owned(),
            ),
            Err(error) => self.unasked("configurations of the customer portal", "Customer portal: Read", &error),
        }
    }

    fn unasked(&mut self, what: &str, right: &str, error: &ProviderError) {
        let told = match error {
            ProviderError::Right(_) => format!("give the key the right \"{right}\""),
            error => error.to_string(),
        };
        self.unasked.push(format!("stripe: the {what} cannot be read: {told}"));
    }
}

/// Of which mode the key is.
fn mode(settings: &Settings) -> Option<String> {
    let live = provider::stripe::livemode_of_key(settings.stripe.api_key.as_ref()?.expose_secret())?;
    let told = if live { "live mode: real money moves" } else { "test mode: no money moves" };
    Some(format!("stripe: the key is of {told}"))
}

/// What the endpoint at `url` is not told of.
fn missing_events(endpoints: &[Endpoint], url: &str) -> Vec<String> {
    let ours: Vec<&Endpoint> = endpoints.iter().filter(|endpoint| endpoint.url == url).collect();
    if ours.is_empty() {
        let others: Vec<&str> = endpoints.iter().map(|endpoint| endpoint.url.as_str()).take(OTHERS_MAX).collect();
        let others = if others.is_empty() { String::new() } else { format!("; there are {}", others.join(", ")) };
        return vec![format!(
            "stripe has no webhook endpoint at {url}: `tollgate setup stripe` makes it (an event destination with thin events is not \
             listed){others}"
        )];
    }
    let enabled: Vec<&&Endpoint> = ours.iter().filter(|endpoint| endpoint.is_enabled).collect();
    if enabled.is_empty() {
        return vec![format!("stripe's webhook endpoint at {url} is switched off")];
    }
    let events: Vec<String> = enabled.iter().flat_map(|endpoint| endpoint.events.clone()).collect();
    let (missing, _) = events_beside(&events);
    missing.iter().map(|event| format!("stripe's webhook endpoint is not told of {event}: add it")).collect()
}

/// Events that the endpoint at `url` is told of in vain: no harm, but each is a call.
fn superfluous_events(endpoints: &[Endpoint], url: &str) -> Option<String> {
    let ours = endpoints.iter().filter(|endpoint| endpoint.url == url && endpoint.is_enabled);
    let events: Vec<String> = ours.flat_map(|endpoint| endpoint.events.clone()).collect();
    let (_, superfluous) = events_beside(&events);
    let told = superfluous.iter().take(SUPERFLUOUS_MAX).copied().collect::<Vec<_>>().join(", ");
    let more = if superfluous.len() > SUPERFLUOUS_MAX { " …" } else { "" };
    (!told.is_empty()).then(|| format!("stripe: the webhook endpoint is told of more than is needed: {told}{more}"))
}

#[cfg(test)]
mod tests {
    use entitlement::catalog::Provider;

    use super::*;

    #[test]
    fn an_endpoint_is_told_of_everything_that_is_needed() {
        let url = "https://read.example/api/stripe/webhook";
        let needed: Vec<String> = provider::needed_events(Provider::Stripe).iter().map(ToString::to_string).collect();
        let of = |url: &str, is_enabled, events: &[String]| Endpoint {
            id: "we_1".into(),
            url: url.into(),
            is_enabled,
            events: events.to_vec(),
            replaces: Vec::new(),
            is_kept: false,
        };
        assert_eq!(missing_events(&[of(url, true, &needed)], url), [""; 0]);
        assert_eq!(missing_events(&[of(url, true, &["*".to_owned()])], url), [""; 0]);
        let (some, others) = needed.split_at(3);
        assert_eq!(missing_events(&[of(url, true, some), of(url, true, others)], url), [""; 0], "two endpoints");
        let told = missing_events(&[of(url, true, others)], url);
        assert_eq!(told.len(), 3);
        assert!(told.iter().zip(some).all(|(told, event)| told.contains(event.as_str())), "{told:?}");
        for (what, endpoints) in [
            ("no webhook endpoint", vec![]),
            ("no webhook endpoint", vec![of("https://other.example/api/stripe/webhook", true, &needed)]),
            ("switched off", vec![of(url, false, &needed)]),
        ] {
            let told = missing_events(&endpoints, url);
            assert!(told.len() == 1 && told[0].contains(what), "{told:?}");
        }
        let elsewhere = missing_events(&[of("https://other.example/hook", true, &needed)], url);
        assert!(elsewhere[0].ends_with("; there are https://other.example/hook"), "{elsewhere:?}");
        assert_eq!(superfluous_events(&[of(url, true, &needed), of(url, false, &["*".to_owned()])], url), None);
        let more = superfluous_events(&[of(url, true, &["*".to_owned(), "charge.captured".to_owned()])], url);
        assert!(more.is_some_and(|told| told.ends_with("than is needed: *, charge.captured")));
    }
}
