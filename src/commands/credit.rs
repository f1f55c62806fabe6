//! `tollgate grant` and `tollgate revoke`: access that no subscription pays for.

use anyhow::Result;
use billing::Term;
use chrono::{DateTime, Utc};
use entitlement::account::AccountId;

use super::{moment, parts};
use crate::config::Config;
use crate::config::secrets::Secrets;
use crate::{ConfigFile, logging, output};

/// Give an account a tier without a subscription
///
/// It begins now. With --until it stands beside whatever the account pays for; days follow those that it has already, and are spent only while nothing else gives as much. The reason and the end are kept, and `explain account` shows them.
#[derive(clap::Args)]
pub struct Grant {
    /// The account id: the `sub` of its token
    account: AccountId,
    /// The tier to give
    tier: String,
    /// Why: somebody will ask
    #[arg(long)]
    reason: String,
    /// For how many days
    #[arg(long, value_name = "N", conflicts_with = "until", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: Option<u32>,
    /// Until when, such as 2027-01-31, which is midnight in UTC, or 2027-01-31T09:30:00Z; without --until and --days it does not end
    #[arg(long, value_name = "TIME", value_parser = moment::moment)]
    until: Option<DateTime<Utc>>,
    /// An id of your own for this: done once, however often it is run
    #[arg(long, value_name = "TEXT")]
    id: Option<String>,
    #[command(flatten)]
    file: ConfigFile,
}

/// Take back what `grant` gave
///
/// What the account pays for stays.
#[derive(clap::Args)]
pub struct Revoke {
    /// The account id
    account: AccountId,
    /// One credit, by the number that `grant` printed; without it all of the account's
    #[arg(long, value_name = "N")]
    credit: Option<i64>,
    /// An id of your own for this: done once, however often it is run
    #[arg(long, value_name = "TEXT")]
    id: Option<String>,
    #[command(flatten)]
    file: ConfigFile,
}

/// Gives, and says what and until when.
pub fn grant(arguments: &Grant) -> Result<()> {
    logging::start_quiet();
    let term = arguments.days.map_or_else(|| Term::from(arguments.until), Term::Days);
    let config = Config::load(&arguments.file.config)?;
    parts::runtime()?.block_on(async {
        let billing = parts::operator_billing(&config, &Secrets::from_env()?).await?;
        let Grant { account, tier, reason, id, .. } = arguments;
        let granted = billing.grant(account, tier, reason, term, id.as_deref()).await?;
        if granted.new_account {
            output::warning(format_args!("nothing was known of the account {account} before: is it the right one?"));
        }
        let end = match term {
            Term::Until(until) => format!("until {}", output::moment(until)),
            Term::Days(days) => format!("for {}, after those that it has", output::count(days, "day")),
            Term::Open => "without end".to_owned(),
        };
        if granted.revoked {
            output::line(format_args!("credit {} of {account} was taken back since: it gives nothing", granted.credit));
        } else {
            output::line(format_args!("credit {}: {account} has {tier} {end}", granted.credit));
        }
        output::json(&granted)?;
        say_if_repeated(granted.repeated);
        parts::say_when_it_holds(granted.published);
        Ok(())
    })
}

/// Takes back, and says what.
pub fn revoke(arguments: &Revoke) -> Result<()> {
    logging::start_quiet();
    let config = Config::load(&arguments.file.config)?;
    parts::runtime()?.block_on(async {
        let billing = parts::operator_billing(&config, &Secrets::from_env()?).await?;
        let revoked = billing.revoke(&arguments.account, arguments.credit, arguments.id.as_deref()).await?;
        for credit in &revoked.credits {
            output::line(format_args!("credit {credit} of {} is taken back", arguments.account));
        }
        output::json(&revoked)?;
        say_if_repeated(revoked.repeated);
        parts::say_when_it_holds(revoked.published);
        Ok(())
    })
}

fn say_if_repeated(repeated: bool) {
    if repeated {
        output::line("it was done before, under the same id: nothing has changed now");
    }
}
