//! `tollgate check`: is the configuration usable, and what does it resolve to?

use std::time::Duration;

use anyhow::{Context, Result, bail};
use billing::{Considered, Origin};
use serde_json::{Value, json};

use super::{parts, resolved};
use crate::asked::{self, Closed};
use crate::config::secrets::Secrets;
use crate::config::{Config, allow};
use crate::serve::Role;
use crate::{ConfigFile, handover, logging, output};

/// How long a database may take to say how accounts were named.
const PATIENCE: Duration = Duration::from_secs(2);

/// Validate the configuration and print the resolved routes
///
/// Exits 1 when `tollgate run` would refuse the file or the environment, and 0 otherwise, whatever it warns of. Needs no database and no
/// network; where the database answers, it also says whether it is Tollgate's, whether its user has every right, and whether accounts are
/// still named by the same claim, and whether sessions that are taken now would still be taken.
///
/// With --online it also asks the providers: whether amounts, currencies and cadences of the catalog are theirs, whether each price can be
/// bought and each lookup key has one, whether Stripe's webhook endpoint is told of every event that is needed, whether its customer portal
/// has a configuration, and of which mode the key is; whether the database can be reached and used, and whether the keys belong to the
/// subscriptions that are stored; how many of the accounts that have access do not pass which routes; and whether a start would hold the catalog, grace or policy back, as accounts lose something by it. Then it exits 1 as well when anything differs or could not be asked. A site that Stripe cannot reach is a
/// warning: `stripe listen` brings its events.
#[derive(clap::Args)]
pub struct Arguments {
    /// For a process that runs these parts: each needs secrets of its own
    #[arg(long, value_enum, default_value = "all")]
    role: Role,
    /// Also ask the providers about prices, webhooks and the portal
    #[arg(long)]
    online: bool,
    #[command(flatten)]
    file: ConfigFile,
}

/// Prints what the configuration means.
pub fn run(arguments: &Arguments) -> Result<()> {
    let config = Config::load(&arguments.file.config)?;
    let secrets = Secrets::from_env()?;
    resolved::print(&config)?;
    if let Some(certificate) = &config.certificate {
        config.check_certificate(parts::now())?;
        let (_, until) = certificate.validity();
        output::line(format_args!("tls       HTTP/2 and HTTP/1.1, certificate until {}", output::moment(until)));
    }
    config.warnings.iter().chain(&config.warn_of_certificate(parts::now())).for_each(output::warning);
    let role = arguments.role;
    secrets.warnings().iter().chain(&logging::doubtful_filter()).for_each(output::warning);
    warn_of_foreign_addresses(&config, role);
    if let Some(place) = config.handover_path() {
        handover::check(&place)?;
    }
    if role.has_proxy() {
        check_keys(&config, &secrets)?;
    }
    let fault = look_at_database(&config, &secrets, arguments)?;
    warn_of_missing(&config, &secrets, role)?;
    let closed = if arguments.online { closed_routes(&config, &secrets)? } else { Vec::new() };
    if arguments.online && role.has_billing() {
        held_back(&config, &secrets)?.iter().for_each(output::warning);
    }
    let online = if arguments.online { Some(ask_providers(&config, &secrets, fault)?) } else { None };
    let told = online.as_ref().map(|online| {
        let billing::Online { agreed, differences, unasked, .. } = online;
        json!({ "agreed": agreed, "differences": differences, "unasked": unasked, "closed": closed })
    });
    let refused = online.and_then(|online| refused(&online));
    let mut answer = json!({ "ok": refused.is_none(), "warnings": output::warned(), "online": told });
    if let (Value::Object(answer), Value::Object(resolved)) = (&mut answer, resolved::answer(&config)?) {
        answer.extend(resolved);
    }
    output::json(&answer)?;
    refused.map_or(Ok(()), |refused| bail!("{refused}"))
}

/// Holds the catalog against what the providers say: that of the file, or without one that in force.
fn ask_providers(config: &Config, secrets: &Secrets, fault: Option<String>) -> Result<billing::Online> {
    let online = parts::runtime()?.block_on(async {
        let settings = parts::unsigned_settings(config, secrets)?;
        let catalog = match &config.catalog {
            Some(catalog) => catalog.clone(),
            None => parts::operator_billing(config, secrets).await?.catalog_in_force().await?,
        };
        let mut online = billing::check_online(&settings, &catalog).await;
        online.differences.extend(fault);
        online.differences.extend(misfitting_keys(config, secrets).await);
        anyhow::Ok(online)
    })?;
    for line in &online.agreed {
        output::line(format_args!("online    {line}"));
    }
    for line in &online.differences {
        output::line(format_args!("differs   {line}"));
    }
    for line in &online.unasked {
        output::line(format_args!("unasked   {line}"));
    }
    online.warnings.iter().for_each(output::warning);
    Ok(online)
}

/// Routes that some of the accounts that have access do not pass, where the database answers.
fn closed_routes(config: &Config, secrets: &Secrets) -> Result<Vec<Closed>> {
    let closed = parts::runtime()?.block_on(async {
        secrets.database_url.as_ref()?;
        let connecting = parts::operator_billing(config, secrets);
        let billing = tokio::time::timeout(PATIENCE, connecting).await.ok()?.ok()?;
        asked::count(&billing, config.asked()).await.ok()
    });
    let closed = closed.unwrap_or_default();
    for routes in &closed {
        output::line(format_args!("closed    {routes}"));
    }
    Ok(closed)
}

/// The reason for which a start would hold the catalog, grace or policy back, where the database answers.
fn held_back(config: &Config, secrets: &Secrets) -> Result<Option<String>> {
    parts::runtime()?.block_on(async {
        let Some(proposal) = parts::configured_proposal(config).filter(|_| secrets.database_url.is_some()) else {
            return Ok(None);
        };
        let connecting = tokio::time::timeout(PATIENCE, parts::operator_billing(config, secrets)).await;
        // A fault of the database is told where it is looked at.
        let Ok(Ok(billing)) = connecting else { return Ok(None) };
        let proposal = billing.with_prices(proposal).await.context("the catalog cannot be compared")?;
        let considered = billing.consider_catalog(&proposal, Origin::SameFile).await;
        let Considered::Keep { kept, why } = considered.context("the catalog cannot be compared")? else {
            return Ok(None);
        };
        let lacking = config.lacking(&kept.catalog);
        Ok(Some(if lacking.is_empty() {
            why
        } else {
            format!(
                "{why}; the catalog in force lacks what these routes require, so a reload is refused, and after a start they do what their on_error says: {}",
                lacking.join(", ")
            )
        }))
    })
}

/// Keys of another account or mode than what is stored, where the database answers.
async fn misfitting_keys(config: &Config, secrets: &Secrets) -> Vec<String> {
    let asked = async {
        secrets.database_url.as_ref()?;
        parts::operator_billing(config, secrets).await.ok()?.misfitting_keys().await.ok()
    };
    tokio::time::timeout(PATIENCE, asked).await.ok().flatten().unwrap_or_default()
}

/// Why the providers' answers fail the check, if they do.
fn refused(online: &billing::Online) -> Option<String> {
    let (differing, unasked) = (online.differences.len(), online.unasked.len());
    (differing + unasked > 0).then(|| {
        format!(
            "{} from what the providers say, and {} that could not be asked: {}",
            output::count(i128::try_from(differing).unwrap_or(i128::MAX), "difference"),
            output::count(i128::try_from(unasked).unwrap_or(i128::MAX), "question"),
            if output::is_json() {
                "`online` names each"
            } else {
                "the lines that begin with `differs` and `unasked` name each"
            }
        )
    })
}

/// Says what is wrong with the database, where it answers, and when accounts are named by another claim, or other sessions are taken, than
/// when billing started last. With --online it is to answer, and what is wrong is returned instead: a difference, which is told with the others.
fn look_at_database(config: &Config, secrets: &Secrets, arguments: &Arguments) -> Result<Option<String>> {
    if secrets.database_url.is_none() {
        return Ok(None);
    }
    let known = async {
        let billing = parts::unmigrated_billing(config, secrets).await?;
        billing.check_rights().await?;
        let mut told: Vec<String> = billing.renames(&config.names()).await?.into_iter().collect();
        if let Some(before) = billing.noted_names().await? {
            told.extend(before.signed_out_by(&config.names()));
        }
        anyhow::Ok(told)
    };
    let runtime = parts::runtime()?;
    let known = runtime.block_on(async { tokio::time::timeout(PATIENCE, known).await });
    // A name that is looked up for long keeps nobody waiting.
    runtime.shutdown_background();
    let is_needed = arguments.online && arguments.role.has_billing();
    let is_silent = match &known {
        Ok(Ok(_)) => false,
        Ok(Err(error)) => is_away(error),
        Err(_) => true,
    };
    if is_silent && !is_needed {
        output::note("database  not looked at: it cannot be reached from here, so whose it is was not checked");
    }
    let fault = match known {
        Ok(Ok(told)) => {
            told.iter().for_each(output::warning);
            None
        }
        Ok(Err(error)) if !is_expected(&error) || (is_needed && is_away(&error)) => {
            Some(format!("the database: {error:#}"))
        }
        Err(_) if is_needed => Some(format!("the database: it does not answer within {} seconds", PATIENCE.as_secs())),
        _ => None,
    };
    if arguments.online {
        return Ok(fault);
    }
    fault.iter().for_each(output::warning);
    Ok(None)
}

/// Whether a database cannot be reached from here.
fn is_away(error: &anyhow::Error) -> bool {
    use billing::{ConnectError, StoreError};
    matches!(error.downcast_ref(), Some(ConnectError::Unreachable { .. } | ConnectError::Silent { .. }))
        || matches!(stored(error), Some(StoreError::Unavailable(_)))
}

/// Whether a database is as it may be before `tollgate run`: out of reach from here, or not migrated yet. What is wrong beside the database
/// is told where it stands.
fn is_expected(error: &anyhow::Error) -> bool {
    use billing::{ConnectError, StoreError};
    let is_told_elsewhere = matches!(
        error.downcast_ref(),
        Some(
            ConnectError::DatabaseUrl { .. }
                | ConnectError::Encoding { .. }
                | ConnectError::RedisUrl(_)
                | ConnectError::Stripe
                | ConnectError::Polar
                | ConnectError::PolarSecret
        )
    );
    is_away(error)
        || is_told_elsewhere
        || matches!(stored(error), Some(StoreError::ReadOnly | StoreError::NotMigrated(_)))
}

/// The store's sentence, where it is the store's.
fn stored(error: &anyhow::Error) -> Option<&billing::StoreError> {
    match error.downcast_ref() {
        Some(billing::OperatorError::Store(error)) => Some(error),
        _ => error.downcast_ref(),
    }
}

/// Says where this process could not listen, as seen from this machine: the file may be another one's.
fn warn_of_foreign_addresses(config: &Config, role: Role) {
    let listen = &config.file.listen;
    let places = [
        ("listen.public", &listen.public, role.has_proxy()),
        ("listen.decide", &listen.decide, role.has_proxy() && !listen.decide.is_empty()),
        ("listen.billing", &listen.billing, role.has_billing()),
        ("listen.admin", &listen.admin, true),
    ];
    for (key, text, _) in places.into_iter().filter(|(.., is_needed)| *is_needed) {
        let is_foreign = crate::config::address(key, text).is_ok_and(|address| {
            let bound = std::net::TcpListener::bind((address.ip(), 0));
            bound.is_err_and(|error| error.kind() == std::io::ErrorKind::AddrNotAvailable)
        });
        if is_foreign {
            output::warning(format_args!(
                "{key} = \"{text}\" is no address of this machine: `tollgate run` could not listen there"
            ));
        }
    }
}

/// Whether the secret that verifies tokens is there, when it is what verifies them.
fn check_keys(config: &Config, secrets: &Secrets) -> Result<()> {
    config.identity_settings(secrets)?;
    allow::with_tokens(config.routes.clone())?;
    if config.identity.with_secret().is_none() && secrets.jwt_secret.is_some() {
        output::warning("TOLLGATE_JWT_SECRET is set, but no way under [identity] verifies tokens with it");
    }
    Ok(())
}

/// What `tollgate run` would miss here. A bad secret is an error, a missing one may be set elsewhere.
fn warn_of_missing(config: &Config, secrets: &Secrets, role: Role) -> Result<()> {
    let catalog = config.catalog.as_ref();
    match (secrets.assertion_key()?, role) {
        (Some(_), _) => {}
        (None, Role::All) => output::warning(
            "TOLLGATE_ASSERTION_KEY is not set here: role all makes one for each start, other roles need it",
        ),
        (None, _) => bail!(
            "TOLLGATE_ASSERTION_KEY is not set: proxy and billing need the same key, made once with `openssl genpkey -algorithm ed25519`"
        ),
    }
    match &secrets.database_url {
        None if !role.has_billing() => {}
        Some(url) => billing::check_database_url("DATABASE_URL", url)?,
        None if cfg!(feature = "embedded") => {
            output::warning("DATABASE_URL is not set here: the embedded PostgreSQL is used");
        }
        None => bail!(
            "DATABASE_URL is not set: set it to the URL of a PostgreSQL database, such as postgres://user:password@host:5432/tollgate"
        ),
    }
    if let Some(url) = &secrets.migration_url {
        billing::check_database_url("DATABASE_MIGRATION_URL", url)?;
    }
    match &secrets.redis_url {
        Some(url) => drop(cache::Place::parse(url).context("REDIS_URL cannot be used")?),
        None if role == Role::All => {
            output::warning("REDIS_URL is not set here: without it Tollgate must stay one process");
        }
        None => output::warning(
            "REDIS_URL is not set here: without it this process hears of no change, so each is in force after cache.max_staleness only, and billing is \
             asked each time",
        ),
    }
    if !role.has_billing() {
        return Ok(());
    }
    billing::check_providers(&parts::unsigned_settings(config, secrets)?)?;
    catalog.map(|catalog| parts::unset(secrets, catalog)).into_iter().flatten().for_each(output::warning);
    Ok(())
}
