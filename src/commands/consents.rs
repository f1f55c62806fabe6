//! `tollgate consents`: what buyers agreed to, as proof.

use anyhow::Result;
use chrono::{DateTime, Utc};
use entitlement::account::AccountId;

use super::{moment, parts};
use crate::config::Config;
use crate::config::secrets::Secrets;
use crate::{ConfigFile, logging, output};

/// List what buyers agreed to, the newest first
///
/// One line each: its number, when, the account, the id of the wording, the provider's price that was then bought, and the
/// user who agreed, where that is another than the account.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only of this account
    #[arg(long, value_name = "ID")]
    account: Option<AccountId>,
    /// Only consents with a smaller number: the page after the one that ended with it
    #[arg(long, value_name = "N")]
    before: Option<i64>,
    /// Only consents since then: a date, a date with a time, or how long ago, such as 24h
    #[arg(long, value_name = "TIME", value_parser = moment::since)]
    since: Option<DateTime<Utc>>,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    #[command(flatten)]
    file: ConfigFile,
}

/// Lists them.
pub fn run(arguments: &Arguments) -> Result<()> {
    logging::start_quiet();
    let config = Config::load(&arguments.file.config)?;
    parts::runtime()?.block_on(async {
        let billing = parts::operator_billing(&config, &Secrets::from_env()?).await?;
        let consents =
            billing.consents(arguments.account.as_ref(), (arguments.since, arguments.before), arguments.limit).await?;
        output::json(&consents)?;
        if !consents.is_empty() {
            output::line("id agreed account text price");
        }
        for consent in &consents {
            let billing::Consent { id, account, user, text, provider, price, agreed_at, .. } = consent;
            let user = user.as_ref().map(|user| format!(" by {user}")).unwrap_or_default();
            output::line(format_args!("{id} {} {account} {text} {provider}:{price}{user}", output::moment(*agreed_at)));
        }
        match consents.last() {
            None => {
                if let Some(account) = &arguments.account {
                    parts::say_if_unknown(&billing, account.as_str()).await?;
                }
                output::progress("no consent is recorded");
            }
            Some(last) if u32::try_from(consents.len()).is_ok_and(|count| count == arguments.limit) => {
                output::progress(format_args!("there may be more: --before {}", last.id));
            }
            Some(_) => {}
        }
        Ok(())
    })
}
