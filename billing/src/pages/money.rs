//! Amounts as buyers read them.

use entitlement::catalog::Price;

/// Currencies of which the providers count whole units (<https://docs.stripe.com/currencies#zero-decimal>). Not those of ISO 4217:
/// there `mga` has two decimals, and `isk` and `ugx` have none, which are counted in hundredths here; Polar charges through Stripe.
const NO_DECIMALS: [&str; 15] =
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"];

/// Currencies of which the providers count thousandths (<https://docs.stripe.com/currencies#three-decimal>).
const THREE_DECIMALS: [&str; 5] = ["bhd", "jod", "kwd", "omr", "tnd"];

/// The price without its cadence: `£7`, `€9.50`, `CHF 12`.
#[must_use]
pub fn amount(price: &Price) -> String {
    sum(price.amount, &price.currency)
}

/// An amount of a currency in lower case, in minor units.
#[must_use]
pub fn sum(amount: i64, currency: &str) -> String {
    let decimals = match currency {
        _ if NO_DECIMALS.contains(&currency) => 0,
        _ if THREE_DECIMALS.contains(&currency) => 3,
        _ => 2,
    };
    let unit = 10_u64.pow(decimals);
    let (sign, amount) = (if amount < 0 { "−" } else { "" }, amount.unsigned_abs());
    let (whole, rest) = (amount / unit, amount % unit);
    let number = if rest == 0 {
        grouped(whole)
    } else {
        format!("{}.{rest:0width$}", grouped(whole), width = decimals as usize)
    };
    match currency {
        "gbp" => format!("{sign}£{number}"),
        "eur" => format!("{sign}€{number}"),
        "usd" => format!("{sign}${number}"),
        _ => format!("{sign}{} {number}", currency.to_ascii_uppercase()),
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
            ("isk", 150_000, "ISK 1,500"),
            ("ugx", 500, "UGX 5"),
            ("mga", 1_500, "MGA 1,500"),
            ("huf", 150_000, "HUF 1,500"),
            ("twd", 50_000, "TWD 500"),
            ("eur", 0, "€0"),
            ("eur", -950, "−€9.50"),
        ];
        for (currency, minor, expected) in cases {
            assert_eq!(sum(minor, currency), expected);
        }
    }
}
