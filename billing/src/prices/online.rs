//! `tollgate check --online`: the configuration, held against what the providers say.

use entitlement::catalog::{Catalog, Provider};

use super::compare;
use crate::checkout::links;
use crate::credentials::Providers;
use crate::provider::client::{Endpoint, ProviderError};
use crate::provider::{self, key_variable};
use crate::settings::Settings;

/// What asking the providers has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Online {
    /// What agrees, one line for each provider.
    pub agreed: Vec<String>,
    /// What is another thing at a provider.
    pub differences: Vec<String>,
    /// What could not be asked, and what to do.
    pub unasked: Vec<String>,
}

/// Asks every provider that there is a key for.
pub async fn check_online(settings: &Settings, catalog: &Catalog) -> Online {
    let providers = Providers::at_start(settings);
    let mut online = Online::default();
    for provider in provider::ALL {
        if !provider::can_ask(&providers, provider) {
            if super::prices_of(catalog, provider).next().is_some() {
                let variable = key_variable(provider);
                online.unasked.push(format!("{provider}: {variable} is not set, and the catalog has its prices"));
            }
            continue;
        }
        let compared = compare(&providers, (catalog, provider), |_, _| {}).await;
        if let Some(error) = &compared.trouble {
            online.unasked.push(format!("{provider}: the prices cannot be read: {error}"));
        }
        online.agreed.push(format!("{provider}: {} prices compared", compared.prices));
        online.differences.extend(compared.differences);
    }
    if let Some(client) = &providers.stripe_client {
        let url = links::on_site(&settings.site_url, &settings.stripe.webhook_path);
        match client.webhook_endpoints().await {
            Ok(endpoints) => online.differences.extend(missing_events(&endpoints, &url)),
            Err(error @ ProviderError::Key(403)) => {
                online
                    .unasked
                    .push(format!("stripe: the webhook endpoints cannot be read, let the key read them: {error}"));
            }
            Err(error) => online.unasked.push(format!("stripe: the webhook endpoints cannot be read: {error}")),
        }
    }
    online
}

/// What the endpoint at `url` is not told of.
fn missing_events(endpoints: &[Endpoint], url: &str) -> Vec<String> {
    let ours: Vec<&Endpoint> = endpoints.iter().filter(|endpoint| endpoint.url == url).collect();
    if ours.is_empty() {
        return vec![format!(
            "stripe has no webhook endpoint at {url}: add it (an event destination with thin events is not listed)"
        )];
    }
    let mut enabled = ours.iter().filter(|endpoint| endpoint.is_enabled).peekable();
    if enabled.peek().is_none() {
        return vec![format!("stripe's webhook endpoint at {url} is switched off")];
    }
    let events: Vec<&str> = enabled.flat_map(|endpoint| endpoint.events.iter().map(String::as_str)).collect();
    let needed = provider::needed_events(Provider::Stripe);
    let missing = needed.iter().filter(|needed| !events.contains(*needed) && !events.contains(&"*"));
    missing.map(|event| format!("stripe's webhook endpoint is not told of {event}: add it")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_told_of_everything_that_is_needed() {
        let url = "https://read.example/api/stripe/webhook";
        let needed: Vec<String> = provider::needed_events(Provider::Stripe).iter().map(ToString::to_string).collect();
        let of = |url: &str, is_enabled, events: &[String]| Endpoint {
            url: url.into(),
            is_enabled,
            events: events.to_vec(),
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
    }
}
