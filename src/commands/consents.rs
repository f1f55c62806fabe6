//! `tollgate consents`: what buyers agreed to, as proof.

use anyhow::Result;
use entitlement::account::AccountId;

use super::parts;
use crate::config::Config;
use crate::config::secrets::Secrets;
use crate::{ConfigFile, logging, output};

/// List what buyers agreed to, the newest first
///
/// One line each: its number, when, the account, the id of the wording, and the provider's price that was then bought.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only of this account
    #[arg(long, value_name = "ID")]
    account: Option<AccountId>,
    /// Only consents with a smaller number: the page after the one that ended with it
    #[arg(long, value_name = "N")]
    before: Option<i64>,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: ConfigFile,
}

/// Lists them.
pub fn run(arguments: &Arguments) -> Result<()> {
    logging::start_quiet();
    let config = Config::load(&arguments.file.config)?;
    parts::runtime()?.block_on(async {
        let billing = parts::operator_billing(&config, &Secrets::from_env()?).await?;
        let consents = billing.consents(arguments.account.as_ref(), arguments.before, arguments.limit).await?;
        if arguments.json {
            output::line(serde_json::to_string_pretty(&consents)?);
            return Ok(());
        }
        for consent in &consents {
            let billing::Consent { id, account, text, provider, price, agreed_at } = consent;
            output::line(format_args!("{id} {} {account} {text} {provider}:{price}", agreed_at.to_rfc3339()));
        }
        match consents.last() {
            None => output::progress("nobody agreed to anything"),
            Some(last) if u32::try_from(consents.len()).is_ok_and(|count| count == arguments.limit) => {
                output::progress(format_args!("there may be more: --before {}", last.id));
            }
            Some(_) => {}
        }
        Ok(())
    })
}
