//! `tollgate link`: whose a customer of a provider is, by a person's word.

use anyhow::{Context, Result, bail};
use entitlement::account::AccountId;
use entitlement::catalog::Provider;

use super::confirm::{Answer, confirm};
use super::parts;
use crate::config::Config;
use crate::config::secrets::Secrets;
use crate::{ConfigFile, logging, output};

/// Longest id of a customer, in bytes.
const CUSTOMER_BYTES_MAX: usize = 255;

/// Link a customer of a provider to an account
///
/// Its subscriptions go with it, but for those that a checkout bought for another account, and no checkout overrules it. Events that
/// waited for the customer go on, and its provider is asked what it has bought. A customer that its provider does not have, and an account of which nothing is known, are asked about first; --yes answers.
#[derive(clap::Args)]
pub struct Arguments {
    /// The account id: the `sub` of its token
    account: AccountId,
    /// The customer, such as stripe:cus_123
    #[arg(value_name = "PROVIDER:CUSTOMER")]
    customer: String,
    #[command(flatten)]
    answer: Answer,
    #[command(flatten)]
    file: ConfigFile,
}

/// Links, and says whose it was.
pub fn run(arguments: &Arguments) -> Result<()> {
    logging::start_quiet();
    let (provider, customer) = parsed(&arguments.customer)?;
    let config = Config::load(&arguments.file.config)?;
    let account = &arguments.account;
    parts::runtime()?.block_on(async {
        let billing = parts::operator_billing(&config, &Secrets::from_env()?).await?;
        let (mut is_there, mut doubts) = (false, Vec::new());
        match billing.has_customer(provider, customer).await {
            Ok(Some(true)) => is_there = true,
            Ok(None) => {
                output::warning(format_args!(
                    "{provider} cannot be asked without a key of it here: what {customer} has bought comes with its next event, or with the next comparison"
                ));
            }
            Ok(Some(false)) => {
                doubts.push(format!("{provider} has no customer {customer}: is it the right one, and the right key?"));
            }
            Err(error) => {
                output::warning(format_args!("whether {provider} has the customer {customer} cannot be said, so what it has bought comes with its next event, or with the next comparison: {error}"));
            }
        }
        if !billing.is_known(account).await? {
            doubts.push(format!("Nothing is known of the account {account}: is it the right one?"));
        }
        if let Some(owner) = billing.account_of(provider, customer).await?.filter(|owner| owner != account) {
            doubts.push(format!("The customer {customer} is {owner}, which loses what it pays for."));
        }
        if arguments.answer.yes {
            doubts.iter().for_each(output::warning);
        } else if !doubts.is_empty() {
            confirm(&doubts.join(" "), arguments.answer)?;
        }
        let linked = billing.link_customer(account, provider, customer).await?;
        if is_there && let Err(error) = billing.reconcile_customer(provider, customer, parts::now()).await {
            output::warning(format_args!(
                "{provider} does not say what {customer} has bought: {error}. `tollgate reconcile --account {account}` asks again"
            ));
        }
        output::json(&linked)?;
        match linked.from {
            Some(from) => output::line(format_args!("linked: {provider}:{customer} is {account}, and was {from}")),
            None => output::line(format_args!("linked: {provider}:{customer} is {account}")),
        }
        if !linked.published {
            output::warning("the cache does not know yet: a running billing tells it");
        }
        Ok(())
    })
}

fn parsed(text: &str) -> Result<(Provider, &str)> {
    let (provider, customer) =
        text.split_once(':').with_context(|| format!("\"{text}\" names no provider: write it like stripe:cus_123"))?;
    let provider = provider.parse().map_err(|error| anyhow::anyhow!("{error}"))?;
    if let Some(why) = billing::no_customer(provider, customer) {
        bail!("{why}");
    }
    if customer.len() > CUSTOMER_BYTES_MAX {
        bail!("the id of a customer has at most {CUSTOMER_BYTES_MAX} bytes");
    }
    Ok((provider, customer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_is_named_with_its_provider() {
        assert_eq!(parsed("stripe:cus_1").expect("a customer"), (Provider::Stripe, "cus_1"));
        assert_eq!(parsed("polar:a-b").expect("a customer"), (Provider::Polar, "a-b"));
        for text in ["cus_1", "stripe:", "paypal:cus_1", "stripe:a\nb", "stripe:sub_1", "polar:cus_1", ""] {
            assert!(parsed(text).is_err(), "{text:?}");
        }
    }
}
