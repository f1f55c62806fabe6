//! The resolved configuration: sites, who is known how, and the rule of each route.

use anyhow::Result;
use entitlement::authorize::{Mode, OnError, Policy};
use entitlement::catalog::Catalog;
use proxy::routes::Route;
use serde_json::{Value, json};

use crate::config::{Config, allow, sites};
use crate::output;

/// The resolved configuration, for programs.
pub fn answer(config: &Config) -> Result<Value> {
    let buyers = config.identity.buyers.iter().map(ToString::to_string);
    let upstream = config
        .sites()?
        .iter()
        .map(|site| json!({ "hosts": sites::describe_hosts(site), "servers": sites::describe(site) }));
    let identity = config.identity.ways.iter().map(|way| {
        let is_of_tokens = way.source.is_of_tokens();
        let of_tokens = |texts: Vec<String>| is_of_tokens.then_some(texts);
        json!({
            "way": way.name, "keys": way.describe(),
            "issuer": of_tokens(way.issuers(&config.site_url())),
            "audience": of_tokens(way.audiences(config.site_host())),
        })
    });
    let tiers = |catalog: &Catalog| catalog.tiers().iter().map(|tier| tier.code.clone()).collect::<Vec<_>>();
    let routes = config.routes.iter().map(|route| {
        let methods =
            route.methods.as_ref().map(|methods| methods.iter().map(http::Method::as_str).collect::<Vec<_>>());
        let hosts = route.hosts.as_ref().map(|hosts| hosts.iter().map(ToString::to_string).collect::<Vec<_>>());
        json!({
            "hosts": hosts, "path": route.pattern.to_string(), "methods": methods, "rule": rule(&route.policy),
            "allow": allowed(route),
        })
    });
    Ok(json!({
        "site": config.site_url(),
        "upstream": upstream.collect::<Vec<_>>(),
        "identity": identity.collect::<Vec<_>>(),
        "buyers": buyers.collect::<Vec<String>>(),
        "tiers": config.catalog.as_ref().map(tiers),
        "routes": routes.collect::<Vec<_>>(),
        "default": rule(&config.default),
    }))
}

/// The same on standard output, for a person.
pub fn print(config: &Config) -> Result<()> {
    print_sites(config)?;
    for way in &config.identity.ways {
        let any = |texts: Vec<String>| if texts.is_empty() { "any".to_owned() } else { texts.join(" or ") };
        let (issuer, audience) = (any(way.issuers(&config.site_url())), any(way.audiences(config.site_host())));
        let (name, keys) = (&way.name, way.describe());
        let name = if name == proxy::identity::FLAT { String::new() } else { format!("{name}: ") };
        if !way.source.is_of_tokens() {
            output::line(format_args!("identity  {name}{keys}"));
            continue;
        }
        output::line(format_args!("identity  {name}{keys}, issuer {issuer}, audience {audience}"));
    }
    if !config.identity.buyers.is_empty() {
        let buyers: Vec<String> = config.identity.buyers.iter().map(ToString::to_string).collect();
        output::line(format_args!("buyers    users with {}", buyers.join(" or ")));
    }
    match &config.catalog {
        Some(catalog) => {
            let codes: Vec<&str> = catalog.tiers().iter().map(|tier| tier.code.as_str()).collect();
            output::line(format_args!("catalog   tiers {}", codes.join(" < ")));
        }
        None => output::line("catalog   as applied with `tollgate catalog apply`"),
    }
    output::line("routes    the first that matches decides");
    for (index, route) in config.routes.iter().enumerate() {
        let methods = route.methods.as_ref().map_or("any method".to_owned(), |methods| {
            methods.iter().map(http::Method::as_str).collect::<Vec<_>>().join(",")
        });
        let hosts = route.hosts.as_ref().map_or(String::new(), |hosts| {
            format!("{}  ", hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
        });
        let allow = allowed(route).map(|allow| format!(", lets in {allow}")).unwrap_or_default();
        let (number, rule) = (index + 1, rule(&route.policy));
        output::line(format_args!("  {number:>3}  {hosts}{}  {methods}  {rule}{allow}", route.pattern));
    }
    output::line(format_args!("  else  {}", rule(&config.default)));
    Ok(())
}

/// Which servers the site has; or each, where hosts matter.
fn print_sites(config: &Config) -> Result<()> {
    match config.sites()? {
        [site] if site.hosts.is_empty() => {
            output::line(format_args!("site      {} → {}", config.site_url(), sites::describe(site)));
        }
        several => {
            output::line(format_args!("site      {}", config.site_url()));
            for site in several {
                output::line(format_args!("          {} → {}", sites::describe_hosts(site), sites::describe(site)));
            }
        }
    }
    Ok(())
}

/// Which addresses and tokens pass without an account, if any.
fn allowed(route: &Route) -> Option<String> {
    route.allow.as_deref().map(allow::described)
}

fn rule(policy: &Policy) -> String {
    let fault = if policy.on_error == OnError::Allow { ", let pass when unknown" } else { "" };
    let shadow = if policy.mode == Mode::Shadow { ", shadow: only counted" } else { "" };
    format!("{}{fault}{shadow}", policy.require)
}
