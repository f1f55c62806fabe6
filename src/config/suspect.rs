//! Rules that are accepted, and are hardly meant: what `check` and the start warn of.

use std::collections::BTreeSet;

use entitlement::authorize::{Policy, Requirement};
use entitlement::catalog::{Cadence, Catalog, Price};
use entitlement::own_paths::OwnPaths;
use proxy::readings::Framework;
use proxy::routes::{Destination, Pattern, Route, Table};

use super::file;

/// Warns of everything that is suspect.
pub fn warn(
    (site, own): (&file::Site, &OwnPaths),
    (routes, default): (&[Route], &Policy),
    framework: Framework,
    warnings: &mut Vec<String>,
) {
    let table = Table::below(own, routes.to_vec(), default.clone());
    warn_of_closed_login(&site.login_url, &table, warnings);
    warn_of_closed_pricing(&site.pricing_url, &table, warnings);
    warn_of_hidden(own, routes, warnings);
    warn_of_own_paths(own, routes, warnings);
    warn_of_other_hosts(routes, &table, warnings);
    warn_of_other_addresses(routes, &table, framework, warnings);
}

/// Warns of what a catalog says and hardly means: buyers would be shown it.
pub fn warn_of_catalog(catalog: &Catalog, warnings: &mut Vec<String>) {
    let mut names = BTreeSet::new();
    for tier in catalog.tiers() {
        if !names.insert(tier.name.to_lowercase()) {
            let told = "is called like another tier: buyers cannot tell them apart, so give each a name of its own";
            warnings.push(format!("tier `{}` {told}", tier.code));
        }
        warn_of_prices(&tier.code, &tier.prices, warnings);
    }
    for addon in catalog.addons() {
        if catalog.tier(&addon.code).is_some() {
            warnings
                .push(format!("`{}` is the code of a tier and of an add-on: give each a code of its own", addon.code));
        }
        warn_of_prices(&addon.code, &addon.prices, warnings);
    }
    warn_of_features(catalog, warnings);
}

/// A feature of one tier alone whose name is one slip from that of a feature which this tier lacks and another one has.
fn warn_of_features(catalog: &Catalog, warnings: &mut Vec<String>) {
    let tiers = catalog.tiers();
    let owners = |feature: &str| tiers.iter().filter(|tier| tier.has_feature(feature)).count();
    // Names that are numbered are meant to be alike.
    let unnumbered = |name: &str| name.replace(|c: char| c.is_ascii_digit(), "");
    let is_slip = |one: &str, other: &str| {
        one.len() > 3 && strsim::osa_distance(one, other) == 1 && unnumbered(one) != unnumbered(other)
    };
    for (place, tier) in tiers.iter().enumerate() {
        for feature in tier.features.iter().filter(|feature| owners(feature) == 1) {
            let others = tiers.iter().enumerate().flat_map(|(at, other)| other.features.iter().map(move |it| (at, it)));
            // Of two that appear once each, the later one is told.
            let mut meant = others.filter(|(at, other)| {
                is_slip(feature, other) && !tier.has_feature(other) && (owners(other) > 1 || *at < place)
            });
            if let Some((_, other)) = meant.next() {
                warnings.push(format!(
                    "tier `{}` has the feature `{feature}`, which no other tier has: did you mean `{other}`?",
                    tier.code
                ));
            }
        }
    }
}

/// A second price for the same is never sold, and a year hardly costs less than a month.
fn warn_of_prices(code: &str, prices: &[Price], warnings: &mut Vec<String>) {
    let offered: Vec<&Price> = prices.iter().filter(|price| !price.retired).collect();
    for (place, later) in offered.iter().enumerate() {
        let same = |earlier: &&&Price| earlier.provider == later.provider;
        let mut earlier = offered[..place].iter().filter(same);
        if let Some(first) = earlier.clone().find(|earlier| earlier.cadence == later.cadence) {
            warnings.push(format!(
                "`{code}` has two prices of {} for one cadence, `{}` and `{}`: the first is sold, so write retired = true at the other",
                later.provider,
                first.name(),
                later.name()
            ));
        } else if let Some(first) = earlier.clone().find(|earlier| earlier.currency != later.currency) {
            warnings.push(format!(
                "`{code}` is sold in {} and in {} by {}: buyers see both beside each other",
                first.currency, later.currency, later.provider
            ));
        } else if let Some(first) = earlier.next() {
            let (year, month) = if first.cadence == Cadence::Annual { (first, later) } else { (later, first) };
            if year.amount < month.amount {
                warnings.push(format!(
                    "`{code}` costs less for a year (`{}`: {}) than for a month (`{}`: {}): are the amounts mixed up?",
                    year.name(),
                    year.amount,
                    month.name(),
                    month.amount
                ));
            }
        }
    }
}

/// A login page behind the gate sends browsers to itself for ever.
fn warn_of_closed_login(login_url: &str, table: &Table, warnings: &mut Vec<String>) {
    if !login_url.starts_with('/') {
        return;
    }
    let rule = table.find(&http::Method::GET, None, login_url);
    if rule.is_gated() {
        warnings.push(format!(
            "site.login_url = \"{login_url}\" is behind the gate ({}: {}), so nobody can sign in: put a public route for it first",
            rule.label, rule.policy.require
        ));
    }
}

/// A buyer who is sent to pay, and is sent to pay again when the page is asked for, never pays.
fn warn_of_closed_pricing(pricing_url: &str, table: &Table, warnings: &mut Vec<String>) {
    let rule = table.find(&http::Method::GET, None, pricing_url);
    let is_open = matches!(rule.policy.require, Requirement::Public | Requirement::SignedIn);
    if rule.destination == Destination::Site && !is_open {
        warnings.push(format!(
            "site.pricing_url = \"{pricing_url}\" is behind the gate ({}: {}), so nobody who has to pay sees it: put a public route for it \
             first",
            rule.label, rule.policy.require
        ));
    }
}

/// A rule that an earlier one hides decides nothing, which is never meant.
fn warn_of_hidden(own: &OwnPaths, routes: &[Route], warnings: &mut Vec<String>) {
    // Each by itself; made once, as making one is what takes time.
    let alone = |route: &Route| {
        Table::below(own, vec![Route::new(route.pattern.clone(), route.policy.clone())], Policy::public())
    };
    let tables: Vec<Table> = routes.iter().map(alone).collect();
    let hides = |(earlier, table): (&Route, &Table), later: &Route| {
        let wider = |earlier: &Route| earlier.methods.is_none() && earlier.hosts.is_none();
        let same = earlier.methods == later.methods && earlier.hosts == later.hosts;
        let reaches = |path: &String| table.find(&http::Method::GET, None, path).label == earlier.pattern.as_str();
        (wider(earlier) || same) && paths_of(&later.pattern).iter().all(reaches)
    };
    for (place, later) in routes.iter().enumerate() {
        let mut earlier = routes[..place].iter().zip(&tables);
        if let Some((earlier, _)) = earlier.find(|earlier| hides(*earlier, later)) {
            let (later, earlier) = (&later.pattern, &earlier.pattern);
            warnings.push(format!(
                "route \"{later}\" never decides: \"{earlier}\" stands before it: move it up or remove it"
            ));
        }
    }
}

/// A rule for Tollgate's own pages decides nothing: they know by themselves who may see them.
fn warn_of_own_paths(own: &OwnPaths, routes: &[Route], warnings: &mut Vec<String>) {
    let table = Table::below(own, Vec::new(), Policy::public());
    let is_own = |path: &String| table.find(&http::Method::GET, None, path).destination != Destination::Site;
    for route in routes.iter().filter(|route| paths_of(&route.pattern).iter().all(is_own)) {
        warnings.push(format!("route \"{}\" never decides: these are paths of Tollgate's own", route.pattern));
    }
}

/// A rule for some hosts says nothing of the others, on which the same page may be served.
fn warn_of_other_hosts(routes: &[Route], table: &Table, warnings: &mut Vec<String>) {
    for route in routes.iter().filter(|route| route.hosts.is_some() && route.policy.require != Requirement::Public) {
        let open = paths_of(&route.pattern).into_iter().find(|path| {
            let rule = table.find(&http::Method::GET, None, path);
            rule.policy.require == Requirement::Public
        });
        if let Some(path) = open {
            warnings.push(format!(
                "route \"{}\" holds for its hosts alone: under another name \"{path}\" is public: add a rule without `hosts`, or \
                 require something in [default]",
                route.pattern
            ));
        }
    }
}

/// A framework serves a page at other addresses, too, which no rule names.
fn warn_of_other_addresses(routes: &[Route], table: &Table, framework: Framework, warnings: &mut Vec<String>) {
    if framework != Framework::Unknown {
        return;
    }
    let is_open = |path: &String| table.find(&http::Method::GET, None, path).policy.require == Requirement::Public;
    let gated = routes.iter().filter(|route| route.policy.require != Requirement::Public);
    let open = gated.flat_map(|route| paths_of(&route.pattern)).find_map(|page| {
        let addresses = [format!("/_next/data/BUILD{page}.json"), format!("{page}.data"), format!("{page}.json")];
        addresses.into_iter().find(is_open).map(|address| (page, address))
    });
    if let Some((page, address)) = open {
        warnings.push(format!(
            "\"{page}\" is behind the gate and \"{address}\" is public, where some frameworks serve the same page: name yours in \
             site.framework (nextjs, remix, rails, aspnet), or \"none\" where pages have one address; docs/routes.md"
        ));
    }
}

/// Paths that a pattern matches, with words that no other pattern has.
fn paths_of(pattern: &Pattern) -> Vec<String> {
    let text = pattern.as_str();
    let deep = ["", "/~any", "/~any/~any", "/~any/~any/~any"];
    let path = |deep: &str| {
        let path = text.replace("/**", deep).replace("/*", "/~any");
        if path.is_empty() { "/".to_owned() } else { path }
    };
    if text.contains("**") { deep.iter().map(|deep| path(deep)).collect() } else { vec![path("")] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_of_one_tier_that_is_a_slip_of_another_ones_is_told_with_the_name_that_is_near() {
        let told = |low: &str, middle: &str, high: &str| {
            let tier = |code: &str, rank: u8, features: &str| {
                format!("[[tier]]\ncode = \"{code}\"\nname = \"{code}\"\nrank = {rank}\nfeatures = [{features}]\n")
            };
            let text = [tier("low", 0, low), tier("middle", 1, middle), tier("high", 2, high)].concat();
            let (catalog, mut warnings) = (toml::from_str(&text).expect("a catalog"), Vec::new());
            warn_of_catalog(&catalog, &mut warnings);
            warnings
        };
        let reports = "\"reports\"";
        for slip in ["repotrs", "report", "reportss", "reborts"] {
            let expected =
                format!("tier `middle` has the feature `{slip}`, which no other tier has: did you mean `reports`?");
            assert_eq!(told(reports, &format!("\"{slip}\""), reports), [expected.as_str()], "{slip}");
            assert_eq!(told(reports, &format!("\"{slip}\""), ""), [expected.as_str()], "{slip}: told once");
        }
        for (low, middle, high) in [
            (reports, "\"archive\"", reports),
            (reports, "\"reports\", \"report\"", reports),
            ("\"seats_1\"", "\"seats_2\"", "\"seats_3\""),
            ("\"api\"", "\"app\"", "\"apt\""),
            ("", "\"repotrs\"", "\"repotrs\""),
        ] {
            assert_eq!(told(low, middle, high), [""; 0], "{low} {middle} {high}");
        }
    }
}
