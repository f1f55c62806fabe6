//! The operator's `[[route]]` rules as policies, checked against the catalog.

use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use entitlement::authorize::{InvalidToken, Lacking, Policy, Requirement};
use entitlement::catalog::{Catalog, Tier};
use proxy::routes::{Cors, HostPattern, Pattern, Route};

use super::allow;
use super::file::{self, Require, Rule};
use super::methods;
use super::nearest::{hint, nearest};

/// How long a route may let the site be silent.
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// Compiles the rules in their order.
pub fn compile(rules: &[file::Route], catalog: Option<&Catalog>, warnings: &mut Vec<String>) -> Result<Vec<Route>> {
    rules.iter().map(|rule| route(rule, catalog, warnings)).collect()
}

fn route(rule: &file::Route, catalog: Option<&Catalog>, warnings: &mut Vec<String>) -> Result<Route> {
    let name = format!("route \"{}\"", rule.path);
    let pattern = Pattern::parse(&rule.path).with_context(|| name.clone())?;
    let methods = rule.methods.as_deref().map(|methods| methods::parse(&name, methods)).transpose()?;
    let hosts = rule.hosts.as_deref().map(|hosts| parse_hosts(&name, hosts)).transpose()?;
    let cors = Cors::parse(&rule.cors_origins).with_context(|| format!("{name}: cors_origins"))?;
    if rule.timeout.is_some_and(|timeout| !TIMEOUTS.contains(&timeout)) {
        bail!("{name}: timeout must be between 1s and 1h: it is how long the site may be silent");
    }
    let requirement = requirement(&name, &rule.require)?;
    let for_sale = for_sale(&name, &requirement, catalog)?;
    if !for_sale {
        warnings.push(format!("{name} requires {requirement}, which nothing sold gives: others are answered 403"));
    }
    if let Some(meter) = &rule.meter {
        warnings.push(format!("{name}: meter = \"{meter}\" is not counted by this version"));
    }
    if rule.shared && (requirement != Requirement::Public || rule.invalid_token == InvalidToken::Deny) {
        bail!(
            "{name}: shared = true reads nobody's identity, so the route must be public, and invalid_token not \"deny\""
        );
    }
    let allow = allow::check(&name, &rule.allow, &requirement)?;
    let (invalid_token, on_error, mode) = (rule.invalid_token, rule.on_error, rule.mode);
    let requirement = known_as(requirement, catalog);
    let policy = Policy { require: requirement, invalid_token, on_error, mode, for_sale, is_known: true };
    if rule.raw && policy.require != Requirement::Public {
        bail!("{name}: raw is for public routes alone: what is behind the gate must have one reading");
    }
    Ok(Route {
        pattern,
        methods,
        hosts,
        policy,
        cors,
        timeout: rule.timeout,
        raw: rule.raw,
        shared: rule.shared,
        allow,
        webhook: None,
    })
}

/// The policy of a rule without a path.
pub fn policy(name: &str, rule: &Rule, catalog: Option<&Catalog>) -> Result<Policy> {
    let require = requirement(name, &rule.require)?;
    let for_sale = for_sale(name, &require, catalog)?;
    let (invalid_token, on_error, mode) = (rule.invalid_token, rule.on_error, rule.mode);
    let require = known_as(require, catalog);
    Ok(Policy { require, invalid_token, on_error, mode, for_sale, is_known: true })
}

fn parse_hosts(name: &str, hosts: &[String]) -> Result<Vec<HostPattern>> {
    if hosts.is_empty() {
        bail!("{name}: hosts is empty, so it never matches: remove the key or name a host");
    }
    hosts.iter().map(|host| HostPattern::parse(host).with_context(|| format!("{name}: hosts"))).collect()
}

fn requirement(name: &str, require: &Require) -> Result<Requirement> {
    let one_of = "write { tier = \"…\" }, { feature = \"…\" }, { signed_in = true }, { public = true } or { any = [{ … }, { … }] }";
    if require.signed_in == Some(false) || require.public == Some(false) {
        bail!("{name}: a requirement cannot be false: {one_of}");
    }
    let tier = require.tier.clone().map(Requirement::Tier);
    let feature = require.feature.clone().map(Requirement::Feature);
    let any = require.any.as_deref().map(|parts| alternatives(name, parts)).transpose()?;
    let mut parts: Vec<Requirement> = [tier, feature, any].into_iter().flatten().collect();
    match (parts.len(), require.public.is_some(), require.signed_in.is_some()) {
        (0, false, false) => bail!("{name} requires nothing: {one_of}"),
        (0, true, false) => Ok(Requirement::Public),
        (_, true, _) => bail!("{name} is public and requires something: leave one of both out"),
        (0, false, true) => Ok(Requirement::SignedIn),
        // Who has a tier or a feature is signed in.
        (1, false, _) => Ok(parts.remove(0)),
        (_, false, _) => Ok(Requirement::All(parts)),
    }
}

fn alternatives(name: &str, parts: &[Require]) -> Result<Requirement> {
    if parts.len() < 2 {
        bail!("{name}: any needs two alternatives or more");
    }
    let parts: Vec<Requirement> = parts.iter().map(|part| requirement(name, part)).collect::<Result<_>>()?;
    if let Some(open) = parts.iter().find(|part| matches!(part, Requirement::Public | Requirement::SignedIn)) {
        bail!("{name}: any with `{open}` asks for no more than that: require it alone");
    }
    Ok(Requirement::Any(parts))
}

/// Whether something sold gives what is required. Without a catalog file nobody can tell, and "pay" is the kinder answer.
fn for_sale(name: &str, requirement: &Requirement, catalog: Option<&Catalog>) -> Result<bool> {
    let Some(catalog) = catalog else { return Ok(true) };
    let sold = |tier: &&Tier| tier.prices.iter().any(|price| !price.retired);
    match requirement {
        Requirement::Public | Requirement::SignedIn => Ok(true),
        Requirement::All(parts) => {
            parts.iter().try_fold(true, |all, part| Ok(for_sale(name, part, Some(catalog))? && all))
        }
        Requirement::Any(parts) => {
            parts.iter().try_fold(false, |any, part| Ok(for_sale(name, part, Some(catalog))? || any))
        }
        Requirement::Feature(feature) => {
            let known = catalog.tiers().iter().flat_map(|tier| &tier.features).map(String::as_str);
            if !has_feature(catalog, feature)
                && let Some(known) = nearest(feature, known)
            {
                bail!("{name} requires feature `{feature}`, which no tier has: did you mean `{known}`?");
            }
            Ok(catalog.tiers().iter().filter(sold).any(|tier| tier.has_feature(feature)))
        }
        Requirement::Tier(code) => {
            let Some(required) = catalog.tier(code) else {
                let codes: Vec<&str> = catalog.tiers().iter().map(|tier| tier.code.as_str()).collect();
                let hint = hint(code, codes.iter().copied());
                bail!("{name} requires tier `{code}`, and the catalog has {}{hint}", codes.join(", "));
            };
            Ok(catalog.tiers().iter().filter(sold).any(|tier| tier.rank >= required.rank))
        }
    }
}

/// The requirement with each renamed tier under both of its codes: a record that was written before the renaming, and is told anew
/// within moments, still has the old one.
fn known_as(requirement: Requirement, catalog: Option<&Catalog>) -> Requirement {
    let each = |parts: Vec<Requirement>| parts.into_iter().map(|part| known_as(part, catalog)).collect();
    match requirement {
        Requirement::Tier(code) => match catalog.and_then(|catalog| catalog.tier(&code)) {
            Some(Tier { code, renamed_from: Some(old), .. }) => {
                Requirement::Any(vec![Requirement::Tier(code.clone()), Requirement::Tier(old.clone())])
            }
            _ => Requirement::Tier(code),
        },
        Requirement::All(parts) => Requirement::All(each(parts)),
        Requirement::Any(parts) => Requirement::Any(each(parts)),
        Requirement::Public | Requirement::SignedIn | Requirement::Feature(_) => requirement,
    }
}

/// Whether a requirement names something that `catalog` has and `kept` has not. Of alternatives, one that is there is enough.
pub fn lacks(requirement: &Requirement, catalog: &Catalog, kept: &Catalog) -> bool {
    Lacking::between(catalog, kept).is_needed_by(requirement)
}

fn has_feature(catalog: &Catalog, name: &str) -> bool {
    catalog.tiers().iter().any(|tier| tier.has_feature(name))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::Config;
    use super::*;

    fn parse(text: &str) -> Result<Config> {
        Config::parse(text, PathBuf::new())
    }

    #[test]
    fn a_rule_that_cannot_be_meant_is_refused() {
        let cases = [
            ("require = {}", "requires nothing"),
            ("require = { tier = \"a\", public = true }", "leave one of both out"),
            ("require = { any = [{ tier = \"a\" }] }", "two alternatives"),
            ("require = { any = [{ tier = \"a\" }, { signed_in = true }] }", "require it alone"),
            ("require = { any = [{ tier = \"a\" }, {}] }", "requires nothing"),
            ("require = { public = true }\nhosts = []", "hosts is empty"),
            ("require = { public = true }\nhosts = [\"a:80\"]", "without port"),
            ("require = { public = true }\ncors_origins = [\"*\"]", "is not an origin"),
            ("require = { public = true }\ntimeout = \"0s\"", "between 1s and 1h"),
            ("require = { signed_in = true }\nshared = true", "must be public"),
            ("require = { public = true }\nshared = true\ninvalid_token = \"deny\"", "must be public"),
            ("require = { public = false }", "cannot be false"),
            ("require = { public = true }\nmethods = []", "methods is empty"),
            ("require = { public = true }\nmethods = [\"get\"]", "in capitals"),
            ("require = { public = true }\nmethods = [\"GTE\"]", "did you mean `GET`?"),
        ];
        for (rule, expected) in cases {
            let error = format!("{:#}", parse(&format!("[[route]]\npath = \"/a\"\n{rule}\n")).expect_err(rule));
            assert!(error.contains(expected), "{error:?} should contain {expected:?}");
        }
    }

    #[test]
    fn what_stands_side_by_side_is_required_together() {
        let cases = [
            ("{ tier = \"a\", feature = \"b\" }", "tier a and feature b"),
            ("{ tier = \"a\", signed_in = true }", "tier a"),
            ("{ any = [{ tier = \"a\" }, { feature = \"b\" }] }", "tier a or feature b"),
            (
                "{ feature = \"c\", any = [{ tier = \"a\" }, { feature = \"b\" }] }",
                "feature c and (tier a or feature b)",
            ),
        ];
        for (rule, expected) in cases {
            let config = parse(&format!("[[route]]\npath = \"/a\"\nrequire = {rule}\n")).expect(rule);
            assert_eq!(config.routes[0].policy.require.to_string(), expected, "{rule}");
        }
    }

    #[test]
    fn a_login_page_behind_the_gate_is_warned_of() {
        let closed = "[default]\nrequire = { signed_in = true }\n";
        let warnings = |text: &str| parse(text).expect("it can be run").warnings;
        assert!(warnings(closed)[0].contains("nobody can sign in"), "{:?}", warnings(closed));
        let opened = format!("[[route]]\npath = \"/login\"\nrequire = {{ public = true }}\n{closed}");
        assert_eq!(warnings(&opened), Vec::<String>::new());
    }

    #[test]
    fn a_pricing_page_behind_the_gate_is_warned_of() {
        let site = "site.pricing_url = \"/premium/buy\"\n";
        let rule = |require: &str| format!("{site}[[route]]\npath = \"/premium/**\"\nrequire = {{ {require} }}\n");
        let is_warned = |text: &str| {
            parse(text)
                .expect("it can be run")
                .warnings
                .iter()
                .any(|told| told.contains("nobody who has to pay sees it"))
        };
        assert!(is_warned(&rule("tier = \"paid\"")));
        assert!(!is_warned(&rule("signed_in = true")) && !is_warned(site));
        assert!(!is_warned("[default]\nrequire = { tier = \"paid\" }\n"), "its own page");
    }

    #[test]
    fn a_rule_that_never_decides_is_warned_of() {
        let cases = [
            (["/a/**", "/a/b"], true),
            (["/a/*", "/a/b"], true),
            (["/a/**", "/a/**"], true),
            (["/**", "/a/*/c"], true),
            (["/a/*", "/a/**"], false),
            (["/a/b", "/a/*"], false),
            (["/a/*/c", "/a/**"], false),
            (["/b/**", "/a/b"], false),
        ];
        for (paths, is_hidden) in cases {
            let rules = paths.map(|path| format!("[[route]]\npath = \"{path}\"\nrequire = {{ public = true }}\n"));
            let warnings = parse(&rules.concat()).expect("it can be run").warnings;
            assert_eq!(warnings.iter().any(|warning| warning.contains("never decides")), is_hidden, "{paths:?}");
        }
        let narrow = "methods = [\"POST\"]\nrequire = { public = true }\n";
        let text =
            format!("[[route]]\npath = \"/a\"\n{narrow}[[route]]\npath = \"/a\"\nrequire = {{ public = true }}\n");
        assert_eq!(parse(&text).expect("it can be run").warnings, Vec::<String>::new());
    }

    #[test]
    fn a_paid_page_that_is_public_under_another_name_is_warned_of() {
        let rule = |hosts: &str| format!("[[route]]\npath = \"/a/**\"\n{hosts}require = {{ signed_in = true }}\n");
        let default = "[default]\nrequire = { signed_in = true }\n";
        let hosts = "hosts = [\"app.example\"]\n";
        for (text, is_open) in [
            (rule(hosts), true),
            (rule(""), false),
            ([rule(hosts), rule("")].concat(), false),
            (rule(hosts) + default, false),
        ] {
            let warnings = parse(&text).expect("it can be run").warnings;
            assert_eq!(warnings.iter().any(|warning| warning.contains("another name")), is_open, "{text}");
        }
    }

    #[test]
    fn a_renamed_tier_is_required_by_both_codes_and_what_another_catalog_lacks_is_found() {
        let catalog = |tier: &str| -> Catalog {
            toml::from_str(&format!("tier = [{{ {tier}, name = \"T\", rank = 1 }}]")).expect("a catalog")
        };
        let (paid, basic) = (catalog("code = \"paid\""), catalog("code = \"basic\", features = [\"api\"]"));
        let renamed = catalog("code = \"basic\", renamed_from = \"paid\"");
        let tier = |code: &str| Requirement::Tier(code.into());
        for code in ["basic", "paid"] {
            let known = known_as(Requirement::All(vec![tier(code)]), Some(&renamed));
            assert_eq!(known.to_string(), "(tier basic or tier paid)", "{code}");
            assert!(!lacks(&known, &renamed, &paid), "the kept catalog has one of both");
        }
        assert_eq!(known_as(tier("basic"), Some(&basic)), tier("basic"));
        let cases = [
            (tier("basic"), true),
            (tier("free"), false),
            (Requirement::Feature("api".into()), true),
            (Requirement::Feature("of_nobody".into()), false),
            (Requirement::SignedIn, false),
            (Requirement::All(vec![tier("free"), tier("basic")]), true),
            (Requirement::Any(vec![tier("free"), tier("basic")]), false),
        ];
        for (requirement, expected) in cases {
            assert_eq!(lacks(&requirement, &basic, &paid), expected, "{requirement}");
        }
    }

    #[test]
    fn a_tier_that_the_catalog_does_not_have_is_named_with_the_nearest() {
        let catalog: Catalog = toml::from_str(include_str!("../../config/catalog.toml")).expect("the demo's catalog");
        let requires = |requirement| for_sale("route \"/a\"", &requirement, Some(&catalog));
        let error = requires(Requirement::Tier("payd".into())).expect_err("no such tier").to_string();
        assert!(error.contains("did you mean `paid`?"), "{error}");
        assert!(requires(Requirement::Tier("paid".into())).expect("it is sold"));
        assert!(!requires(Requirement::Feature("staff".into())).expect("it may be required"), "nothing sold gives it");
    }
}
