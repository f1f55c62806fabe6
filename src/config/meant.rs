//! Values that are well-formed, that `tollgate run` would accept, and that cannot be meant.

use std::time::Duration;

use anyhow::{Result, bail};
use entitlement::catalog::{Catalog, Price};
use entitlement::subscription;
use proxy::upstream::Site;
use url::Url;

use super::file::{self, File};

/// Refuses names and prices of a catalog that nobody could buy.
pub fn check_catalog(catalog: &Catalog) -> Result<()> {
    let tiers = catalog.tiers().iter().map(|tier| (&tier.code, &tier.name, &tier.prices));
    let addons = catalog.addons().iter().map(|addon| (&addon.code, &addon.name, &addon.prices));
    for (code, name, prices) in tiers.chain(addons) {
        if name.trim().is_empty() {
            bail!("`{code}` has an empty name: write what buyers read, such as name = \"Pro\"");
        }
        prices.iter().try_for_each(|price| check_price(code, price))?;
    }
    Ok(())
}

fn check_price(code: &str, price: &Price) -> Result<()> {
    let Price { provider, id, lookup_key, trial_days, .. } = price;
    if let Some(key) = lookup_key.as_ref().filter(|_| !id.is_empty()) {
        bail!("`{code}` has a price with an id and the lookup_key \"{key}\": keep one of the two");
    }
    if let Some(what) = billing::no_price(*provider, id) {
        // Not shown: it may be a secret.
        bail!("`{code}` has a price whose id is that of {what}");
    }
    if id.trim() != id {
        bail!("`{code}` has the price id \"{id}\", with blanks around it: take them away");
    }
    let most = billing::trial_days_max(*provider);
    if *trial_days > most {
        bail!("the price {} has trial_days = {trial_days}: {provider} takes {most} at most", price.name());
    }
    Ok(())
}

/// Refuses values of the file.
pub fn check(file: &File) -> Result<()> {
    check_grace(&file.grace)?;
    check_metadata_keys(file)
}

/// Refuses a grace that the database would refuse.
fn check_grace(grace: &file::Grace) -> Result<()> {
    let most = subscription::Grace::MAX;
    let spans = [("past_due", Some(grace.past_due)), ("renewal", Some(grace.renewal)), ("trial", grace.trial)];
    for (key, span) in spans {
        if span.is_some_and(|span| span > most.to_std().unwrap_or(Duration::MAX)) {
            bail!("grace.{key} is at most {} days", most.num_days());
        }
    }
    Ok(())
}

/// Refuses keys that providers would refuse with each sale.
fn check_metadata_keys(file: &File) -> Result<()> {
    let keys = [("stripe.metadata_key", &file.stripe.metadata_key), ("polar.metadata_key", &file.polar.metadata_key)];
    for (key, text) in keys {
        if !billing::is_metadata_key(text) {
            bail!(
                "{key} = \"{text}\" is no key of metadata: write 1 to 40 characters without brackets, such as \"account\""
            );
        }
    }
    Ok(())
}

/// Refuses a server that has the public address of the site: each request would come back to Tollgate.
pub fn check_upstreams(sites: &[Site], site: &Url, also: &[String]) -> Result<()> {
    let also: Vec<Url> = also.iter().filter_map(|origin| Url::parse(origin).ok()).collect();
    let origins = std::iter::once(("site.url", site)).chain(also.iter().map(|url| ("site.also", url)));
    for (key, url) in origins {
        let place = || Some((url.host_str()?.to_ascii_lowercase(), url.port_or_known_default()?));
        let Some(own) = place() else { continue };
        let mut servers = sites.iter().flat_map(|site| &site.servers);
        if let Some(server) = servers.find(|server| server.host_and_port().as_ref() == Some(&own)) {
            bail!("site.upstream = \"{server}\" is Tollgate itself ({key}): name where your site listens");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Config, read_catalog};
    use super::*;

    fn told(text: &str) -> String {
        Config::parse(text, "".into()).map_or_else(|error| format!("{error:#}"), |_| String::new())
    }

    #[test]
    fn a_value_that_cannot_be_meant_is_refused_by_its_key() {
        let site = "site.url = \"https://read.example\"\nsite.also = [\"http://www.read.example\"]\n";
        for (text, expected) in [
            ("grace.past_due = \"40000d\"", "grace.past_due is at most 36500 days"),
            ("grace.renewal = \"36501d\"", "grace.renewal is at most 36500 days"),
            ("grace.trial = \"40000d\"", "grace.trial is at most 36500 days"),
            ("grace.past_due = \"36500d\"", ""),
            ("stripe.metadata_key = \"\"", "stripe.metadata_key = \"\" is no key of metadata"),
            ("polar.metadata_key = \"a[b]\"", "polar.metadata_key = \"a[b]\" is no key of metadata"),
            ("site.upstream = [\"https://read.example\"]", "is Tollgate itself (site.url)"),
            ("site.upstream = [\"https://READ.example:443\"]", "is Tollgate itself (site.url)"),
            ("site.upstream = [\"www.read.example:80\"]", "is Tollgate itself (site.also)"),
            ("site.upstream = [\"https://app.read.example\"]", ""),
            ("site.upstream = [\"read.example:3000\"]", ""),
        ] {
            let told = told(&format!("{site}{text}\n"));
            assert!(if expected.is_empty() { told.is_empty() } else { told.contains(expected) }, "{text}: {told}");
        }
    }

    #[test]
    fn the_bound_of_the_grace_is_that_of_the_database() {
        let bound = format!("between 0 and {}", subscription::Grace::MAX.num_seconds());
        let catalogs = include_str!("../../migrations/2_catalogs.sql");
        assert_eq!(catalogs.matches(&bound).count(), 3);
        assert!(include_str!("../../migrations/20_bills.sql").contains(&bound));
    }

    #[test]
    fn a_price_that_nobody_could_buy_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("catalog.toml");
        let told = |name: &str, price: &str| {
            let text = format!(
                "[[tier]]\ncode = \"pro\"\nname = \"{name}\"\nrank = 1\n[[tier.price]]\ncadence = \"monthly\"\namount = 700\ncurrency = \"gbp\"\n{price}\n"
            );
            std::fs::write(&path, text).expect("it is written");
            read_catalog(&path).map_or_else(|error| format!("{error:#}"), |_| String::new())
        };
        let stripe = "provider = \"stripe\"\nid = \"price_1\"\n";
        assert_eq!(told("Pro", stripe), "");
        assert!(told(" ", stripe).contains("`pro` has an empty name"));
        assert!(told("Pro", "provider = \"stripe\"\nid = \" price_1\"").contains("with blanks around it"));
        assert!(told("Pro", "provider = \"polar\"\nid = \"price_1\"").contains("write provider = \"stripe\""));
        assert_eq!(told("Pro", &format!("{stripe}trial_days = 730")), "");
        assert!(told("Pro", &format!("{stripe}trial_days = 731")).contains("stripe takes 730 at most"));
        let polar = "provider = \"polar\"\nid = \"product_1\"\n";
        assert_eq!(told("Pro", &format!("{polar}trial_days = 1000")), "");
        assert!(told("Pro", &format!("{polar}trial_days = 1001")).contains("polar takes 1000 at most"));
    }
}
