//! `tollgate check`: is the configuration usable, and what does it resolve to?

use std::time::Duration;

use anyhow::Result;
use entitlement::authorize::{Mode, OnError, Policy};
use entitlement::catalog::{Catalog, Provider};

use super::parts;
use crate::config::Config;
use crate::config::identity::{Source, renamed_accounts};
use crate::config::secrets::Secrets;
use crate::{ConfigFile, output};

/// How long a database may take to say how accounts were named.
const PATIENCE: Duration = Duration::from_secs(2);

/// Validate the configuration and print the resolved routes
///
/// Exits non-zero when `tollgate run` would refuse the file. Needs no database and no network; with DATABASE_URL it also says
/// whether accounts are still named by the same claim.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
}

/// Prints what the configuration means.
pub fn run(arguments: &Arguments) -> Result<()> {
    let config = Config::load(&arguments.file.config)?;
    let secrets = Secrets::from_env()?;
    let upstreams = config.upstreams()?;
    let upstreams: Vec<String> = upstreams.iter().map(ToString::to_string).collect();
    output::line(format_args!("site      {} → {}", config.site_url(), upstreams.join(", ")));
    let keys = config.identity.source.describe();
    output::line(format_args!("identity  {keys}, issuer {}, audience {}", config.issuer(), config.audience()));
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
        output::line(format_args!("  {:>3}  {hosts}{}  {methods}  {}", index + 1, route.pattern, rule(&route.policy)));
    }
    output::line(format_args!("  else  {}", rule(&config.default)));
    if let Some(certificate) = &config.certificate {
        config.check_certificate(parts::now())?;
        let (_, until) = certificate.validity();
        output::line(format_args!("tls       HTTP/2 and HTTP/1.1, certificate until {}", until.date_naive()));
    }
    config.warnings.iter().chain(&config.warn_of_certificate(parts::now())).for_each(output::warning);
    check_keys(&config.identity.source, &secrets)?;
    warn_of_other_accounts(&config, &secrets)?;
    warn_of_missing(&secrets, config.catalog.as_ref())
}

fn rule(policy: &Policy) -> String {
    let fault = if policy.on_error == OnError::Allow { ", let pass when unknown" } else { "" };
    let shadow = if policy.mode == Mode::Shadow { ", shadow: only counted" } else { "" };
    format!("{}{fault}{shadow}", policy.require)
}

/// Says when accounts are named by another claim than they were when billing started last, where a database can say so.
fn warn_of_other_accounts(config: &Config, secrets: &Secrets) -> Result<()> {
    if secrets.database_url.is_none() {
        return Ok(());
    }
    let known = async {
        let billing = parts::operator_billing(config, secrets).await.ok()?;
        billing.naming().await.ok().flatten()
    };
    let runtime = parts::runtime()?;
    let known = runtime.block_on(async { tokio::time::timeout(PATIENCE, known).await });
    // A name that is looked up for long keeps nobody waiting.
    runtime.shutdown_background();
    let naming = config.identity.naming();
    if let Ok(Some(known)) = known
        && known != naming
    {
        output::warning(renamed_accounts(&known, &naming));
    }
    Ok(())
}

/// Whether the secret that verifies tokens is there, when it is what verifies them.
fn check_keys(source: &Source, secrets: &Secrets) -> Result<()> {
    match (source, &secrets.jwt_secret) {
        (Source::Secret(_), Some(_)) => drop(secrets.jwt_secret()?),
        (Source::Secret(_), None) => output::warning("TOLLGATE_JWT_SECRET is not set here: `tollgate run` needs it"),
        (Source::File { .. } | Source::Published(_), Some(_)) => {
            output::warning("TOLLGATE_JWT_SECRET is set, but verifies nothing: tokens are verified with public keys");
        }
        (Source::File { .. } | Source::Published(_), None) => {}
    }
    Ok(())
}

/// What `tollgate run` would miss here. A bad secret is an error, a missing one may be set elsewhere.
fn warn_of_missing(secrets: &Secrets, catalog: Option<&Catalog>) -> Result<()> {
    if secrets.assertion_key()?.is_none() {
        output::warning(
            "TOLLGATE_ASSERTION_KEY is not set here: role all makes one for each start, other roles need it",
        );
    }
    if secrets.database_url.is_none() {
        output::warning("DATABASE_URL is not set here: only a build with the embedded PostgreSQL runs without it");
    }
    if secrets.redis_url.is_none() {
        output::warning("REDIS_URL is not set here: without it Tollgate must stay one process");
    }
    if secrets.stripe_webhook_secrets.is_empty() {
        output::warning("STRIPE_WEBHOOK_SECRET is not set here: Stripe's webhooks will be answered 503");
    }
    if secrets.polar_webhook_secrets.is_empty() && catalog.is_some_and(sells_through_polar) {
        output::warning("POLAR_WEBHOOK_SECRET is not set here: Polar's webhooks will be answered 503");
    }
    Ok(())
}

fn sells_through_polar(catalog: &Catalog) -> bool {
    let tiers = catalog.tiers().iter().flat_map(|tier| &tier.prices);
    let addons = catalog.addons().iter().flat_map(|addon| &addon.prices);
    tiers.chain(addons).any(|price| price.provider == Provider::Polar)
}
