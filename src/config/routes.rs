//! The operator's `[[route]]` rules as policies, checked against the catalog.

use anyhow::{Context, Result, bail};
use entitlement::authorize::{Policy, Requirement};
use entitlement::catalog::Catalog;
use proxy::routes::{Pattern, Route, Table};

use super::file::{self, Require, Rule};

/// Compiles the rules in their order.
pub fn compile(rules: &[file::Route], catalog: Option<&Catalog>, warnings: &mut Vec<String>) -> Result<Vec<Route>> {
    rules.iter().map(|rule| route(rule, catalog, warnings)).collect()
}

fn route(rule: &file::Route, catalog: Option<&Catalog>, warnings: &mut Vec<String>) -> Result<Route> {
    let name = format!("route \"{}\"", rule.path);
    let pattern = Pattern::parse(&rule.path).with_context(|| name.clone())?;
    let methods = rule.methods.as_deref().map(|methods| parse_methods(&name, methods)).transpose()?;
    let requirement = requirement(&name, &rule.require)?;
    let for_sale = for_sale(&name, &requirement, catalog)?;
    if !for_sale {
        warnings.push(format!("{name} requires {requirement}, which nothing sold gives: others are answered 403"));
    }
    if let Some(meter) = &rule.meter {
        warnings.push(format!("{name}: meter = \"{meter}\" is not counted by this version"));
    }
    let policy = Policy { require: requirement, on_error: rule.on_error, mode: rule.mode, for_sale };
    Ok(Route { pattern, methods, policy })
}

/// The policy of a rule without a path.
pub fn policy(name: &str, rule: &Rule, catalog: Option<&Catalog>) -> Result<Policy> {
    let require = requirement(name, &rule.require)?;
    let for_sale = for_sale(name, &require, catalog)?;
    Ok(Policy { require, on_error: rule.on_error, mode: rule.mode, for_sale })
}

/// A login page behind the gate sends browsers to itself for ever.
pub fn warn_of_closed_login(login_url: &str, routes: &[Route], default: &Policy, warnings: &mut Vec<String>) {
    let table = Table::new(routes.to_vec(), default.clone());
    let rule = table.find(&http::Method::GET, login_url);
    if rule.is_gated() {
        warnings.push(format!(
            "site.login_url = \"{login_url}\" is behind the gate ({}: {}), so nobody can sign in: put a public route for it first",
            rule.label, rule.policy.require
        ));
    }
}

fn parse_methods(name: &str, methods: &[String]) -> Result<Vec<http::Method>> {
    if methods.is_empty() {
        bail!("{name}: methods is empty, so it never matches: remove the key or name a method");
    }
    let upper = |method: &String| method.bytes().all(|b| b.is_ascii_uppercase());
    if let Some(method) = methods.iter().find(|method| !upper(method)) {
        bail!("{name}: \"{method}\" is not a method: write it in capitals, such as \"GET\"");
    }
    methods
        .iter()
        .map(|method| method.parse().with_context(|| format!("{name}: \"{method}\" is not a method")))
        .collect()
}

fn requirement(name: &str, require: &Require) -> Result<Requirement> {
    let one_of = "write one of { tier = \"…\" }, { feature = \"…\" }, { signed_in = true }, { public = true }";
    if require.signed_in == Some(false) || require.public == Some(false) {
        bail!("{name}: a requirement cannot be false: {one_of}");
    }
    let tier = require.tier.clone().map(Requirement::Tier);
    let feature = require.feature.clone().map(Requirement::Feature);
    let signed_in = require.signed_in.map(|_| Requirement::SignedIn);
    let public = require.public.map(|_| Requirement::Public);
    let mut named = [tier, feature, signed_in, public].into_iter().flatten();
    match (named.next(), named.next()) {
        (Some(requirement), None) => Ok(requirement),
        (None, _) => bail!("{name} requires nothing: {one_of}"),
        (Some(_), Some(_)) => bail!("{name} requires two things: {one_of}"),
    }
}

/// Whether something sold gives what is required. Without a catalog file nobody can tell, and "pay" is the kinder answer.
fn for_sale(name: &str, requirement: &Requirement, catalog: Option<&Catalog>) -> Result<bool> {
    let Some(catalog) = catalog else { return Ok(true) };
    let sold = |tier: &&entitlement::catalog::Tier| !tier.prices.is_empty();
    match requirement {
        Requirement::Public | Requirement::SignedIn => Ok(true),
        Requirement::Feature(feature) => {
            Ok(catalog.tiers().iter().filter(sold).any(|tier| tier.features.contains(feature)))
        }
        Requirement::Tier(code) => {
            let Some(required) = catalog.tier(code) else {
                let codes = catalog.tiers().iter().map(|tier| tier.code.as_str());
                let nearest = codes.max_by(|a, b| strsim::jaro(code, a).total_cmp(&strsim::jaro(code, b)));
                bail!(
                    "{name} requires tier `{code}`, which the catalog does not have: did you mean `{}`?",
                    nearest.unwrap_or_default()
                );
            };
            Ok(catalog.tiers().iter().filter(sold).any(|tier| tier.rank >= required.rank))
        }
    }
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
            ("require = { tier = \"a\", public = true }", "requires two things"),
            ("require = { public = false }", "cannot be false"),
            ("require = { public = true }\nmethods = []", "methods is empty"),
            ("require = { public = true }\nmethods = [\"get\"]", "in capitals"),
        ];
        for (rule, expected) in cases {
            let error = format!("{:#}", parse(&format!("[[route]]\npath = \"/a\"\n{rule}\n")).expect_err(rule));
            assert!(error.contains(expected), "{error:?} should contain {expected:?}");
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
    fn a_tier_that_the_catalog_does_not_have_is_named_with_the_nearest() {
        let catalog: Catalog = toml::from_str(include_str!("../../config/catalog.toml")).expect("the demo's catalog");
        let requires = |requirement| for_sale("route \"/a\"", &requirement, Some(&catalog));
        let error = requires(Requirement::Tier("payd".into())).expect_err("no such tier").to_string();
        assert!(error.contains("did you mean `paid`?"), "{error}");
        assert!(requires(Requirement::Tier("paid".into())).expect("it is sold"));
        assert!(!requires(Requirement::Feature("staff".into())).expect("it may be required"), "nothing sold gives it");
    }
}
