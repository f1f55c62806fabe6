//! What several commands share: a runtime, the database, the settings of each component.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use billing::{ASSERTION_AUDIENCE, Billing, Secret};
use chrono::TimeDelta;
use entitlement::account::AccountId;
use entitlement::assertion::AssertionKey;
use entitlement::catalog::Catalog;
use entitlement::subscription::Grace;
use proxy::upstream::Protocol;
use tokio::runtime::Runtime;

use crate::config::allow;
use crate::config::file;
use crate::config::secrets::Secrets;
use crate::config::{CatalogFile, Config};
use crate::output;

/// Connections to a PostgreSQL server. The embedded one has exactly one.
const POOL_SIZE: u32 = 16;

/// How long a webhook waits for its own effects before it is answered "accepted"; a tenth of it when others wait too.
const INLINE_WAIT: Duration = Duration::from_millis(250);

/// The runtime on which everything but Pingora's own services runs.
pub fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("tollgate-io")
        .build()
        .context("the asynchronous runtime does not start")
}

/// What billing is told.
pub fn billing_settings(config: &Config, secrets: &Secrets, assertion: AssertionKey) -> Result<billing::Settings> {
    let file = &config.file;
    let credentials = credentials(secrets);
    Ok(billing::Settings {
        site_url: config.site_url(),
        origins: config.origins(),
        pricing_url: file.site.pricing_url.clone(),
        login: config.login.clone(),
        pages: std::sync::Arc::clone(&config.pages),
        assertion,
        assertion_audience: ASSERTION_AUDIENCE.to_owned(),
        identity_audience: config.audience(),
        stripe: billing::Stripe {
            api_key: credentials.stripe_api_key,
            api_base: file.stripe.api_base.clone(),
            webhook_secrets: credentials.stripe_webhook_secrets,
            webhook_path: file.stripe.webhook_path.clone(),
            metadata_key: file.stripe.metadata_key.clone(),
            account: file.stripe.account.clone(),
        },
        polar: billing::Polar {
            access_token: credentials.polar_access_token,
            api_base: file.polar.api_base.clone(),
            webhook_secrets: credentials.polar_webhook_secrets,
            metadata_key: file.polar.metadata_key.clone(),
        },
        grace: grace(&file.grace),
        policy: file.policy,
        operator_token: credentials.operator_token,
        app_tokens: credentials.app_tokens,
        session_ways: config.identity.session_ways(),
        referral: referral_settings(&file.referral),
        reconcile: billing::Reconcile {
            delta: unless_zero(file.reconcile.delta),
            full: unless_zero(file.reconcile.full),
        },
        bodies_kept: unless_zero(file.retention.bodies).map(delta),
        consents_kept: unless_zero(file.retention.consents).map(delta),
        inbox_alert: file.inbox.alert,
        redis_url: secrets.redis_url.clone().map(Secret::from),
        migration_url: secrets.migration_url.clone().map(Secret::from),
        namespace: config.namespace()?,
        names: config.names(),
        addresses: config.shared_addresses(),
        pool_size: POOL_SIZE,
        inline_wait: INLINE_WAIT,
    })
}

/// A catalog's file with the rules of the configuration that go with it.
pub fn proposal(config: &Config, file: &CatalogFile, path: &Path) -> billing::Proposal {
    let settled = &config.file;
    billing::Proposal {
        catalog: file.catalog.clone(),
        grace: grace(&settled.grace),
        policy: settled.policy,
        accept: file.accept.clone(),
        file: path.display().to_string(),
    }
}

/// The configured catalog, when there is one.
pub fn configured_proposal(config: &Config) -> Option<billing::Proposal> {
    let file = CatalogFile { catalog: config.catalog.clone()?, accept: config.accept.clone() };
    Some(proposal(config, &file, &config.catalog_path()))
}

fn grace(grace: &file::Grace) -> Grace {
    let trial = grace.trial.map(delta);
    Grace {
        past_due: delta(grace.past_due),
        renewal: delta(grace.renewal),
        trial: trial.unwrap_or_default(),
        authentication: trial.unwrap_or(Grace::AUTHENTICATION),
    }
}

fn referral_settings(referral: &file::Referral) -> billing::Referral {
    billing::Referral {
        credit_days: referral.credit_days,
        tier: (!referral.tier.is_empty()).then(|| referral.tier.clone()),
        convert_on: referral.convert_on,
        min_amount: referral.min_amount.into(),
        rewards_max: (referral.rewards_max > 0).then_some(referral.rewards_max),
        cookie_days: referral.cookie_days,
        landing_url: referral.landing_url.clone(),
    }
}

/// What of a catalog cannot be sold or learnt of with these secrets.
pub fn unset(secrets: &Secrets, catalog: &Catalog) -> Vec<String> {
    let set = billing::Credentialed {
        stripe_key: secrets.stripe_api_key.is_some(),
        stripe_webhooks: !secrets.stripe_webhook_secrets.is_empty(),
        polar_token: secrets.polar_access_token.is_some(),
        polar_webhooks: !secrets.polar_webhook_secrets.is_empty(),
    };
    billing::unset(catalog, set)
}

/// The secrets of the providers, which may be replaced while billing runs.
pub fn credentials(secrets: &Secrets) -> billing::Credentials {
    let all = |secrets: &[String]| secrets.iter().cloned().map(Secret::from).collect();
    billing::Credentials {
        stripe_api_key: secrets.stripe_api_key.clone().map(Secret::from),
        stripe_webhook_secrets: all(&secrets.stripe_webhook_secrets),
        polar_access_token: secrets.polar_access_token.clone().map(Secret::from),
        polar_webhook_secrets: all(&secrets.polar_webhook_secrets),
        operator_token: secrets.admin_token.clone().map(Secret::from),
        app_tokens: all(&secrets.app_tokens),
    }
}

/// What the proxy is told.
pub fn proxy_settings(config: &Config, secrets: &Secrets, assertion: AssertionKey) -> Result<proxy::Settings> {
    let threads = match config.file.proxy.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    Ok(proxy::Settings {
        site_url: config.site_url(),
        own_paths: config.own_paths.clone(),
        also: config.also.clone(),
        login: config.login.clone(),
        pricing_url: config.file.site.pricing_url.clone(),
        pages: config.gate_pages(),
        listen: crate::config::address("listen.public", &config.file.listen.public)?,
        upstream: upstream_settings(config)?,
        billing: crate::config::address("listen.billing", &config.file.listen.billing)?,
        identity: config.identity_settings(secrets)?,
        assertion_audience: config.audience(),
        assertion,
        cache: proxy::ladder::Settings {
            max_staleness: config.file.cache.max_staleness,
            stale_if_error: config.file.cache.stale_if_error,
            capacity: config.file.cache.capacity,
            redis_deadline: config.file.cache.redis_deadline,
            billing_deadline: config.file.cache.billing_deadline,
            redis_url: secrets.redis_url.clone().map(proxy::Secret::new),
            namespace: namespaced(config)?,
        },
        routes: allow::with_tokens(config.routes.clone())?,
        default: config.default.clone(),
        readings: config.readings.clone(),
        log_requests: match config.file.log.requests {
            file::Requests::All => proxy::LogRequests::All,
            file::Requests::Denied => proxy::LogRequests::Denied,
            file::Requests::None => proxy::LogRequests::None,
        },
        trusted_proxies: config.trusted_proxies.clone(),
        fast_path: config.file.proxy.fast_path,
        decide: config.decide.clone(),
        threads,
        limits: config.limits,
        certificate: config.certificate.clone(),
        stopping: proxy::Stopping { delay: config.file.shutdown.delay, grace: config.file.shutdown.grace },
    })
}

fn namespaced(config: &Config) -> Result<proxy::Namespaced> {
    let namespace = config.namespace()?;
    let is_set = !config.file.cache.namespace.is_empty();
    Ok(if is_set { proxy::Namespaced::Set(namespace) } else { proxy::Namespaced::Made(namespace) })
}

fn upstream_settings(config: &Config) -> Result<proxy::upstream::Settings> {
    let proxy = &config.file.proxy;
    Ok(proxy::upstream::Settings {
        sites: config.sites()?.to_vec(),
        protocol: if proxy.http2 { Protocol::Http2 } else { Protocol::Http1 },
        resolve: proxy.resolve.max(Duration::from_secs(1)),
        connect: proxy.connect,
        read: proxy.read,
        write: proxy.write,
        idle: proxy.idle,
    })
}

/// What billing is told by operators' commands, which sign nothing: any key does.
pub fn unsigned_settings(config: &Config, secrets: &Secrets) -> Result<billing::Settings> {
    billing_settings(config, secrets, AssertionKey::parse(&"0".repeat(64))?)
}

/// Billing for a command that looks at or changes the database itself, which must be a server: the embedded one belongs to
/// the process that runs it.
pub async fn operator_billing(config: &Config, secrets: &Secrets) -> Result<Billing> {
    let billing = unmigrated_billing(config, secrets).await?;
    billing.refuse_other_schema().await?;
    Ok(billing)
}

/// As [`operator_billing`], with another key under which metadata names accounts.
pub async fn operator_billing_with(config: &Config, secrets: &Secrets, metadata_key: Option<&str>) -> Result<Billing> {
    let mut settings = unsigned_settings(config, secrets)?;
    if let Some(key) = metadata_key {
        key.clone_into(&mut settings.stripe.metadata_key);
    }
    let billing = connected(secrets, settings).await?;
    billing.refuse_other_schema().await?;
    Ok(billing)
}

/// The same, where the database may be still to be migrated.
pub async fn unmigrated_billing(config: &Config, secrets: &Secrets) -> Result<Billing> {
    connected(secrets, unsigned_settings(config, secrets)?).await
}

async fn connected(secrets: &Secrets, settings: billing::Settings) -> Result<Billing> {
    let url = secrets.database_url.as_deref().context(
        "DATABASE_URL is not set: set it to the PostgreSQL that `tollgate run` uses (an embedded one cannot be shared)",
    )?;
    let settings = billing::Settings { pool_size: 2, ..settings };
    let billing = Billing::connect(url, settings, None).await?.as_command();
    billing.refuse_foreign_schema().await?;
    Ok(billing)
}

/// Warns where nothing is known of an account.
pub async fn say_if_unknown(billing: &Billing, account: &str) -> Result<()> {
    let is_known = match AccountId::parse(account) {
        Ok(account) => billing.is_known(&account).await?,
        Err(_) => false,
    };
    if !is_known {
        output::warning(format_args!("nothing is known of the account {account}: is it the right one?"));
    }
    Ok(())
}

/// Says from when on a change holds.
pub fn say_when_it_holds(published: bool) {
    if published {
        output::progress("every proxy has been told");
    } else {
        output::warning(
            "the cache could not be told: `tollgate run` goes on trying, and proxies ask again by themselves",
        );
    }
}

/// Tells the cache of every account that changed. What fails stays in the outbox, for `tollgate run`.
pub async fn publish_all(billing: &Billing) -> Result<()> {
    billing.publish_due(now()).await.context("the cache could not be told of everything; `tollgate run` goes on")?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a command is where time comes in")]
pub fn now() -> entitlement::Timestamp {
    chrono::Utc::now()
}

/// A duration of "0s" switches off what it is for.
fn unless_zero(duration: Duration) -> Option<Duration> {
    (!duration.is_zero()).then_some(duration)
}

/// Durations of the configuration are far below what cannot be expressed.
fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
