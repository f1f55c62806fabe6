//! Which amounts a provider takes: a catalog with another one sells something that nobody can buy.

use entitlement::catalog::Provider;

/// The most that is charged in most currencies: eight digits (<https://docs.stripe.com/api/charges/object#charge_object-amount>, as in
/// the descriptions of `amount` in async-stripe).
const MOST: i64 = 99_999_999;

/// The currencies in which Stripe takes more digits, and the most of each (<https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts>).
/// A row only lets more pass: one that is wrong refuses nothing, and the provider says so when the price is made or compared.
const MORE: [(&str, i64); 6] = [
    ("cop", 9_999_999_999),
    ("huf", 9_999_999_999),
    ("idr", 999_999_999_999),
    ("inr", 999_999_999),
    ("jpy", 9_999_999_999),
    ("lbp", 999_999_999_999),
];

/// The currencies of which Stripe takes whole tens or hundreds of minor units: those with three decimals (ISO 4217), of which the last
/// digit has to be 0 (<https://docs.stripe.com/currencies#three-decimal>), and `isk`, which is counted in hundredths and has no decimals
/// (<https://docs.stripe.com/currencies#special-cases>). Of `ugx` a step is not told as plainly, so none is refused.
const STEPS: [(&str, i64); 6] = [("bhd", 10), ("isk", 100), ("jod", 10), ("kwd", 10), ("omr", 10), ("tnd", 10)];

/// Why a provider charges no such amount, as the rest of a sentence about it.
#[must_use]
pub fn no_amount(provider: Provider, currency: &str, amount: i64) -> Option<String> {
    let of = |table: &[(&str, i64)]| table.iter().find(|(code, _)| *code == currency).map(|(_, number)| *number);
    let most = match provider {
        Provider::Stripe => of(&MORE).unwrap_or(MOST),
        Provider::Polar => MOST,
    };
    if amount > most {
        return Some(format!("{provider} takes {most} at most: write minor units, 700 for 7.00"));
    }
    let step = of(&STEPS).filter(|step| amount % step != 0)?;
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
            (Provider::Stripe, "gbp", 100_000_000, "stripe takes 99999999 at most"),
            (Provider::Stripe, "usd", i64::MAX, "stripe takes 99999999 at most"),
            (Provider::Stripe, "idr", 999_999_999_999, ""),
            (Provider::Stripe, "idr", 1_000_000_000_000, "stripe takes 999999999999 at most"),
            (Provider::Stripe, "jpy", 9_999_999_999, ""),
            (Provider::Polar, "usd", 99_999_999, ""),
            (Provider::Polar, "idr", 100_000_000, "polar takes 99999999 at most"),
            (Provider::Stripe, "isk", 150_000, ""),
            (Provider::Stripe, "isk", 1_550, "whole multiples of 100 in isk, such as 1500 or 1600"),
            (Provider::Stripe, "ugx", 50, ""),
            (Provider::Stripe, "kwd", 7_120, ""),
            (Provider::Stripe, "kwd", 7_125, "such as 7120 or 7130"),
            (Provider::Stripe, "mga", 1_505, ""),
        ] {
            let told = no_amount(provider, currency, amount).unwrap_or_default();
            assert!(if expected.is_empty() { told.is_empty() } else { told.contains(expected) }, "{amount}: {told}");
        }
    }
}
