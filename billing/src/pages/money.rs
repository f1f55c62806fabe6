//! Amounts as buyers read them.

use entitlement::catalog::{Cadence, Price};

/// Currencies whose minor unit is the whole one (ISO 4217).
const NO_DECIMALS: [&str; 16] =
    ["bif", "clp", "djf", "gnf", "isk", "jpy", "kmf", "krw", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf"];

/// Currencies with a thousandth as minor unit (ISO 4217).
const THREE_DECIMALS: [&str; 5] = ["bhd", "jod", "kwd", "omr", "tnd"];

/// The price without its cadence: `£7`, `€9.50`, `CHF 12`.
#[must_use]
pub fn amount(price: &Price) -> String {
    let currency = price.currency.as_str();
    let decimals = match currency {
        _ if NO_DECIMALS.contains(&currency) => 0,
        _ if THREE_DECIMALS.contains(&currency) => 3,
        _ => 2,
    };
    let unit = 10_i64.pow(decimals);
    let (whole, rest) = (price.amount / unit, price.amount % unit);
    let number = if rest == 0 {
        grouped(whole)
    } else {
        format!("{}.{rest:0width$}", grouped(whole), width = decimals as usize)
    };
    match currency {
        "gbp" => format!("£{number}"),
        "eur" => format!("€{number}"),
        "usd" => format!("${number}"),
        _ => format!("{} {number}", currency.to_ascii_uppercase()),
    }
}

/// How often it is charged, after the amount.
#[must_use]
pub const fn per(cadence: Cadence) -> &'static str {
    match cadence {
        Cadence::Monthly => "a month",
        Cadence::Annual => "a year",
    }
}

/// A number with a comma between thousands.
#[must_use]
pub fn grouped(number: impl std::fmt::Display) -> String {
    let digits = number.to_string();
    let length = digits.len();
    let mut text = String::with_capacity(length + length / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (length - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use entitlement::catalog::Provider;

    use super::*;

    #[test]
    fn amounts_read_as_the_currency_is_written() {
        let cases = [
            ("gbp", 700, "£7"),
            ("eur", 950, "€9.50"),
            ("usd", 5, "$0.05"),
            ("usd", 123_456_789, "$1,234,567.89"),
            ("chf", 1_200, "CHF 12"),
            ("jpy", 1_500, "JPY 1,500"),
            ("kwd", 1_250, "KWD 1.250"),
            ("eur", 0, "€0"),
        ];
        for (currency, minor, expected) in cases {
            let price = Price {
                provider: Provider::Stripe,
                id: "price_1".into(),
                cadence: Cadence::Monthly,
                amount: minor,
                currency: currency.into(),
                consent: None,
                trial_days: 0,
            };
            assert_eq!(amount(&price), expected);
        }
    }
}
