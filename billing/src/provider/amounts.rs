//! Which amounts a provider takes: a catalog with another one sells something that nobody can buy.

use entitlement::catalog::Provider;

/// The most that Stripe takes, whatever the currency: twelve digits, by card. Other ways of paying take eight, nine in `inr`, ten in `cop` and
/// twelve in `idr`; card networks and single ways may take less
/// (<https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts>, read in 2026). By which way a buyer pays is not known before, so
/// that only what none of them takes is refused.
const MOST_OF_STRIPE: i64 = 999_999_999_999;

/// The most of a price at Polar: eight digits, as it once was at Stripe, by which it charges.
const MOST_OF_POLAR: i64 = 99_999_999;

/// The currencies of which Stripe takes whole tens or hundreds of minor units: those with three decimals (ISO 4217), of which the last
/// digit has to be 0 (<https://docs.stripe.com/currencies#three-decimal>), and `isk` and `ugx`, which are counted in hundredths and have no
/// decimals (<https://docs.stripe.com/currencies#special-cases>).
const STEPS: [(&str, i64); 7] =
    [("bhd", 10), ("isk", 100), ("jod", 10), ("kwd", 10), ("omr", 10), ("tnd", 10), ("ugx", 100)];

/// Why a provider charges no such amount, as the rest of a sentence about it.
#[must_use]
pub fn no_amount(provider: Provider, currency: &str, amount: i64) -> Option<String> {
    let most = match provider {
        Provider::Stripe => MOST_OF_STRIPE,
        Provider::Polar => MOST_OF_POLAR,
    };
    if amount > most {
        return Some(format!("{provider} takes {most} at most: write minor units, 700 for 7.00"));
    }
    let step = STEPS.iter().find(|(code, _)| *code == currency).map(|(_, step)| *step);
    let step = step.filter(|step| amount % step != 0)?;
    let whole = amount - amount % step;
    Some(format!("{provider} takes whole multiples of {step} in {currency}, such as {whole} or {}", whole + step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_that_no_provider_charges_is_told() {
        for (provider, currency, amount, expected) in [
            (Provider::Stripe, "gbp", 0, ""),
            (Provider::Stripe, "gbp", 99_999_999, ""),
            (Provider::Stripe, "gbp", 100_000_000, ""),
            (Provider::Stripe, "usd", i64::MAX, "stripe takes 999999999999 at most"),
            (Provider::Stripe, "idr", 999_999_999_999, ""),
            (Provider::Stripe, "idr", 1_000_000_000_000, "stripe takes 999999999999 at most"),
            (Provider::Stripe, "inr", 999_999_999, ""),
            (Provider::Stripe, "cop", 9_999_999_999, ""),
            (Provider::Stripe, "huf", 99_999_999_900, ""),
            (Provider::Stripe, "jpy", 999_999_999_999, ""),
            (Provider::Stripe, "lbp", 1_000_000_000_000, "stripe takes 999999999999 at most"),
            (Provider::Polar, "usd", 100_000_000, "polar takes 99999999 at most"),
            (Provider::Polar, "usd", 99_999_999, ""),
            (Provider::Polar, "idr", 100_000_000, "polar takes 99999999 at most"),
            (Provider::Stripe, "isk", 150_000, ""),
            (Provider::Stripe, "isk", 1_550, "whole multiples of 100 in isk, such as 1500 or 1600"),
            (Provider::Stripe, "ugx", 50, "whole multiples of 100 in ugx"),
            (Provider::Stripe, "ugx", 500, ""),
            (Provider::Stripe, "kwd", 7_120, ""),
            (Provider::Stripe, "kwd", 7_125, "such as 7120 or 7130"),
            (Provider::Stripe, "mga", 1_505, ""),
        ] {
            let told = no_amount(provider, currency, amount).unwrap_or_default();
            assert!(if expected.is_empty() { told.is_empty() } else { told.contains(expected) }, "{amount}: {told}");
        }
    }
}
