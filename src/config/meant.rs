//! Values that are well-formed, that `tollgate run` would accept, and that cannot be meant.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use entitlement::catalog::{Catalog, Price};
use entitlement::subscription;
use proxy::routes::Pattern;
use proxy::upstream::Site;
use url::Url;

use super::file::{self, File};
use super::lines;
use super::plain::Step;
use super::sites;

/// Longest code of a tier, in bytes: all that a tier includes travel in one header.
const CODE_BYTES_MAX: usize = 64;

/// Longest name of a tier, or of the site, in characters.
const NAME_CHARS_MAX: usize = 200;

/// Longest description of a tier, in characters: it stands below the name.
const DESCRIPTION_CHARS_MAX: usize = 300;

/// Longest id of a price, in bytes.
const PRICE_BYTES_MAX: usize = 255;

/// Refuses names and prices of a catalog that nobody could buy.
pub fn check_catalog(catalog: &Catalog) -> Result<()> {
    let tiers = catalog.tiers().iter().map(|tier| ("tier", &tier.code, &tier.name, &tier.prices));
    let addons = catalog.addons().iter().map(|addon| ("addon", &addon.code, &addon.name, &addon.prices));
    for (list, code, name, prices) in tiers.chain(addons) {
        if name.trim().is_empty() {
            bail!("`{code}` has an empty name: write what buyers read, such as name = \"Pro\"");
        }
        if name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
            bail!("`{code}` has a name that is no name: write one line of {NAME_CHARS_MAX} characters at most");
        }
        if code.len() > CODE_BYTES_MAX {
            bail!("`{code}` is longer than {CODE_BYTES_MAX} characters: write a short code, such as code = \"pro\"");
        }
        for (place, price) in prices.iter().enumerate() {
            let of_price = |(key, told)| OfPrice { told, list, code: code.clone(), place, key };
            check_price(code, price).map_err(of_price)?;
        }
    }
    for tier in catalog.tiers() {
        let text = tier.description.as_deref().unwrap_or("-");
        if text.trim().is_empty() || text.chars().count() > DESCRIPTION_CHARS_MAX || text.chars().any(char::is_control)
        {
            bail!(
                "`{}` has a description that buyers cannot read: write one line of {DESCRIPTION_CHARS_MAX} characters at most",
                tier.code
            );
        }
        let mut words = tier.features.iter().chain(tier.limits.keys()).chain(tier.levels.keys());
        if let Some(word) = words.find(|word| !is_word(word)) {
            bail!(
                "`{}` names \"{word}\" as a feature, a limit or a level: write a word such as \"api_calls\"",
                tier.code
            );
        }
    }
    for addon in catalog.addons() {
        if let Some(word) = addon.requires.iter().find(|word| !is_word(word)) {
            bail!("`{}` requires \"{word}\": write the name of what buyers state, such as \"domain_name\"", addon.code);
        }
    }
    Ok(())
}

/// A name for programs: it travels in headers and in forms.
fn is_word(text: &str) -> bool {
    (1..=CODE_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b",;=\"".contains(&byte))
}

/// A complaint about a key of a price, with where it stands: another price may have the same values.
#[derive(Debug)]
pub struct OfPrice {
    told: String,
    list: &'static str,
    code: String,
    place: usize,
    key: &'static str,
}

impl OfPrice {
    /// The line of the key, in the text of the catalog.
    pub fn line(&self, text: &str) -> Option<usize> {
        let owner = lines::place_of_code(text, self.list, &self.code)?;
        let named = |name: &str| Step::Key(name.to_owned());
        let path = [named(self.list), Step::Place(owner), named("price"), Step::Place(self.place), named(self.key)];
        lines::line_at(text, &path)
    }
}

impl std::fmt::Display for OfPrice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.told)
    }
}

impl std::error::Error for OfPrice {}

/// Refuses a price that nobody could buy; with the key that is wrong.
fn check_price(code: &str, price: &Price) -> Result<(), (&'static str, String)> {
    let refused = |key, told| Err((key, told));
    let Price { provider, id, lookup_key, trial_days, amount, currency, .. } = price;
    if let Some(key) = lookup_key.as_ref().filter(|_| !id.is_empty()) {
        let told = format!("`{code}` has a price with an id and the lookup_key \"{key}\": keep one of the two");
        return refused("lookup_key", told);
    }
    if let Some(key) = lookup_key {
        if key.starts_with("price_") {
            let told =
                format!("`{code}` has the lookup_key \"{key}\", which is the id of a price: write id = \"{key}\"");
            return refused("lookup_key", told);
        }
        if let Some(what) = billing::no_price(*provider, key) {
            return refused("lookup_key", format!("`{code}` has a price whose lookup_key is {what}"));
        }
    }
    if let Some(what) = billing::no_price(*provider, id) {
        return refused("id", format!("`{code}` has a price whose id is {what}"));
    }
    if id.trim() != id {
        return refused("id", format!("`{code}` has the price id \"{id}\", with blanks around it: take them away"));
    }
    if let Some(why) = billing::no_amount(*provider, currency, *amount) {
        return refused("amount", format!("the price `{}` has amount = {amount}: {why}", price.name()));
    }
    if id.len() > PRICE_BYTES_MAX || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        let told = format!("`{code}` has a price whose id no provider gives: copy it from there, such as price_1Abc");
        return refused("id", told);
    }
    let most = billing::trial_days_max(*provider);
    if *trial_days > most {
        let told =
            format!("the price `{}` has trial_days = {trial_days}: {provider} takes {most} at most", price.name());
        return refused("trial_days", told);
    }
    Ok(())
}

/// Refuses values of the file.
pub fn check(file: &File) -> Result<()> {
    check_grace(&file.grace)?;
    check_times(file)?;
    check_counts(file)?;
    check_texts(file)?;
    check_metadata_keys(file)
}

/// A path of the site as a browser asks for it: the gate refuses all others.
pub fn check_path(key: &str, path: &str) -> Result<()> {
    Pattern::parse(path).with_context(|| format!("{key} = \"{path}\""))?;
    if path.contains('*') {
        bail!("{key} = \"{path}\" must be the path of one page, such as \"/prices\"");
    }
    Ok(())
}

/// Whether a text has the form of an account's id of Stripe.
pub fn is_account_of_stripe(text: &str) -> bool {
    let rest = text.strip_prefix("acct_").unwrap_or_default();
    (1..=PRICE_BYTES_MAX).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Refuses times in which nothing could be done, or in which the same would be done without a pause.
fn check_times(file: &File) -> Result<()> {
    let File { cache, proxy, reconcile, retention, .. } = file;
    let (instant, second, minute) = (Duration::from_millis(1), Duration::from_secs(1), Duration::from_secs(60));
    for (key, time, example) in [
        ("cache.redis_deadline", cache.redis_deadline, "50ms"),
        ("cache.billing_deadline", cache.billing_deadline, "200ms"),
        ("proxy.connect", proxy.connect, "2s"),
        ("proxy.read", proxy.read, "5m"),
        ("proxy.write", proxy.write, "60s"),
    ] {
        if time < instant {
            bail!("{key} is no time at all: nobody could keep to it; write it like \"{example}\"");
        }
    }
    for (key, time, least, example) in [
        ("reconcile.delta", reconcile.delta, minute, "1h"),
        ("reconcile.full", reconcile.full, minute, "24h"),
        ("retention.bodies", retention.bodies, second, "90d"),
        ("retention.consents", retention.consents, second, "2192d"),
    ] {
        if !time.is_zero() && time < least {
            let least = humantime::format_duration(least);
            bail!("{key} is less than {least}: write it like \"{example}\", or \"0s\" for never");
        }
    }
    Ok(())
}

/// Refuses counts with which nobody is served, or that no machine has.
fn check_counts(file: &File) -> Result<()> {
    let wide = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let File { cache, proxy, limits, inbox, .. } = file;
    for (key, count, (least, most)) in [
        ("cache.capacity", wide(cache.capacity), (1, 1_000_000_000)),
        ("proxy.threads", wide(proxy.threads), (0, 1024)),
        ("proxy.buffer_body", wide(proxy.buffer_body), (0, 16 * 1024 * 1024)),
        ("inbox.alert", inbox.alert, (1, 1_000_000)),
    ] {
        if !(least..=most).contains(&count) {
            bail!("{key} = {count} is not from {least} to {most}");
        }
    }
    // Less than any browser sends; 0 is no bound.
    for (key, count, least) in
        [("limits.header_bytes", wide(limits.header_bytes), 1024), ("limits.headers", wide(limits.headers), 10)]
    {
        if count != 0 && count < least {
            bail!("{key} = {count} would let no browser in: write {least} or more, or 0 for no bound");
        }
    }
    Ok(())
}

/// Refuses texts that nothing could be compared with, or that stand for nothing.
fn check_texts(file: &File) -> Result<()> {
    let audience = &file.assertion.audience;
    if audience.trim() != audience || audience.chars().any(char::is_control) {
        bail!("assertion.audience = {audience:?} has blanks around it, or line ends in it: take them away");
    }
    if file.embedded.path.trim().is_empty() {
        bail!("embedded.path is empty: name a directory, such as \"tollgate-data\"");
    }
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if let Some(language) = file.site.languages.iter().find(|text| text.is_empty() || !text.bytes().all(is_part)) {
        bail!("site.languages has \"{language}\", which is no segment of a path: write it like \"fil\"");
    }
    Ok(())
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
pub fn check_upstreams((file, sites): (&File, &[Site]), site: &Url, also: &[String]) -> Result<()> {
    let also: Vec<Url> = also.iter().filter_map(|origin| Url::parse(origin).ok()).collect();
    let origins = std::iter::once(("site.url", site)).chain(also.iter().map(|url| ("site.also", url)));
    for (key, url) in origins {
        let place = || Some((url.host_str()?.to_ascii_lowercase(), url.port_or_known_default()?));
        let Some(own) = place() else { continue };
        let mut servers = sites::placed(file, sites);
        if let Some((place, server)) = servers.find(|(_, server)| server.host_and_port().as_ref() == Some(&own)) {
            bail!("{place} = \"{server}\" is Tollgate itself ({key}): name where your site listens");
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
        let of = |amount: &str, name: &str, price: &str| {
            let text = format!(
                "[[tier]]\ncode = \"pro\"\nname = \"{name}\"\nrank = 1\n[[tier.price]]\ncadence = \"monthly\"\namount = {amount}\ncurrency = \"gbp\"\n{price}\n"
            );
            std::fs::write(&path, text).expect("it is written");
            read_catalog(&path).map_or_else(|error| format!("{error:#}"), |_| String::new())
        };
        let told = |name: &str, price: &str| of("700", name, price);
        let stripe = "provider = \"stripe\"\nid = \"price_1\"\n";
        assert_eq!(told("Pro", stripe), "");
        assert!(told(" ", stripe).contains("`pro` has an empty name"));
        assert!(told("Pro", "provider = \"stripe\"\nid = \" price_1\"").contains("with blanks around it"));
        assert!(told("Pro", "provider = \"polar\"\nid = \"price_1\"").contains("write provider = \"stripe\""));
        assert_eq!(told("Pro", &format!("{stripe}trial_days = 730")), "");
        // The line is that of the id itself, whatever other prices have.
        let second = |provider: &str, id: &str| {
            let next =
                format!("[[tier.price]]\nprovider = \"{provider}\"\nid = \"{id}\"\namount = 70\ncurrency = \"gbp\"");
            told("Pro", &format!("{stripe}{next}\ncadence = \"annual\""))
        };
        for (provider, id) in [("polar", "price_zz"), ("polar", "price_1"), ("stripe", "prod_1")] {
            let told = second(provider, id);
            assert!(told.contains(", line 13: ") && told.contains(&format!("\"{id}\"")), "{told}");
        }
        let secret = second("stripe", "sk_live_1");
        assert!(secret.contains(", line 13: ") && !secret.contains("sk_live_1"), "{secret}");
        assert!(told("Pro", &format!("{stripe}trial_days = 731")).contains("stripe takes 730 at most"));
        for amount in ["1000000000000", "9223372036854775807"] {
            let told = of(amount, "Pro", stripe);
            assert!(told.contains(&format!("has amount = {amount}: stripe takes 999999999999 at most")), "{told}");
        }
        let polar = "provider = \"polar\"\nid = \"product_1\"\n";
        assert_eq!(told("Pro", &format!("{polar}trial_days = 1000")), "");
        assert!(told("Pro", &format!("{polar}trial_days = 1001")).contains("polar takes 1000 at most"));
    }
}
