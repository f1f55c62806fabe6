//! Numbers, days and money as the language of the pages writes them (Unicode CLDR, by ICU4X).

use std::fmt;
use std::sync::Arc;

use chrono::Datelike;
use entitlement::Timestamp;
use entitlement::catalog::Price;
use icu_calendar::{Date, Gregorian};
use icu_datetime::FixedCalendarDateTimeFormatter;
use icu_datetime::fieldsets::YMD;
use icu_decimal::DecimalFormatter;
use icu_decimal::input::Decimal;

/// Currencies of which the providers count whole units (<https://docs.stripe.com/currencies#zero-decimal>). Not those of ISO 4217:
/// there `mga` has two decimals, and `isk` and `ugx` have none, which are counted in hundredths here; Polar charges through Stripe.
const NO_DECIMALS: [&str; 15] =
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"];

/// Currencies of which the providers count thousandths (<https://docs.stripe.com/currencies#three-decimal>).
const THREE_DECIMALS: [&str; 5] = ["bhd", "jod", "kwd", "omr", "tnd"];

/// Between a number and its currency, where no line may break.
const NO_BREAK: char = '\u{a0}';

/// How a language writes.
#[derive(Clone)]
pub struct Locale {
    inner: Arc<Inner>,
}

struct Inner {
    tag: String,
    numbers: Option<DecimalFormatter>,
    days: Option<FixedCalendarDateTimeFormatter<Gregorian, YMD>>,
    money: Place,
}

/// Where a currency stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// `£7`
    Before,
    /// `€ 7`
    BeforeAndApart,
    /// `7 €`
    After,
}

impl fmt::Debug for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Locale").field(&self.inner.tag).finish()
    }
}

impl Default for Locale {
    fn default() -> Self {
        Self::of("en")
    }
}

impl Locale {
    /// How a language writes (BCP 47); English where its tag says nothing.
    #[must_use]
    pub fn of(tag: &str) -> Self {
        // English of the whole world: the day before the month.
        let tag = if tag.eq_ignore_ascii_case("en") { "en-001" } else { tag };
        let locale = icu_locale_core::Locale::try_from_str(tag).unwrap_or(icu_locale_core::locale!("en-001"));
        let region = locale.id.region.map(|region| region.to_string());
        let inner = Inner {
            tag: tag.to_owned(),
            numbers: DecimalFormatter::try_new(
                (&locale).into(),
                icu_decimal::options::DecimalFormatterOptions::default(),
            )
            .ok(),
            days: FixedCalendarDateTimeFormatter::try_new((&locale).into(), YMD::long()).ok(),
            money: place(locale.id.language.as_str(), region.as_deref()),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A whole number.
    #[must_use]
    pub fn number(&self, number: u64) -> String {
        self.decimal(Decimal::from(number))
    }

    fn decimal(&self, decimal: Decimal) -> String {
        match &self.inner.numbers {
            Some(numbers) => numbers.format(&decimal).to_string(),
            None => decimal.to_string(),
        }
    }

    /// The day of a moment (UTC).
    #[must_use]
    pub fn day(&self, at: Timestamp) -> String {
        let numbers = (u8::try_from(at.month()), u8::try_from(at.day()));
        let (Ok(month), Ok(day)) = numbers else { return at.date_naive().to_string() };
        match (Date::try_new_gregorian(at.year(), month, day), &self.inner.days) {
            (Ok(date), Some(days)) => days.format(&date).to_string(),
            _ => at.date_naive().to_string(),
        }
    }

    /// A price without its cadence: `£7`, `9,50 €`, `CHF 12`.
    #[must_use]
    pub fn price(&self, price: &Price) -> String {
        self.money(price.amount, &price.currency)
    }

    /// An amount of a currency in lower case, in minor units. Whole amounts have no decimals.
    #[must_use]
    pub fn money(&self, amount: i64, currency: &str) -> String {
        let decimals: u32 = match currency {
            _ if NO_DECIMALS.contains(&currency) => 0,
            _ if THREE_DECIMALS.contains(&currency) => 3,
            _ => 2,
        };
        let unit = 10_u64.pow(decimals);
        let (sign, amount) = (if amount < 0 { "−" } else { "" }, amount.unsigned_abs());
        let number = if amount.is_multiple_of(unit) {
            self.number(amount / unit)
        } else {
            let mut number = Decimal::from(amount);
            number.multiply_pow10(-i16::try_from(decimals).unwrap_or(0));
            self.decimal(number)
        };
        let symbol = match currency {
            "gbp" => Some("£"),
            "eur" => Some("€"),
            "usd" => Some("$"),
            _ => None,
        };
        let code = currency.to_ascii_uppercase();
        match (self.inner.money, symbol) {
            (Place::Before, Some(symbol)) => format!("{sign}{symbol}{number}"),
            (Place::Before, None) => format!("{sign}{code} {number}"),
            (Place::BeforeAndApart, symbol) => format!("{sign}{}{NO_BREAK}{number}", symbol.unwrap_or(&code)),
            (Place::After, symbol) => format!("{sign}{number}{NO_BREAK}{}", symbol.unwrap_or(&code)),
        }
    }
}

/// Where CLDR has a currency in a language (its standard pattern); after the number where nothing else is named.
fn place(language: &str, region: Option<&str>) -> Place {
    match (language, region) {
        ("de", Some("AT" | "CH" | "LI")) | ("it", Some("CH")) | ("nl" | "id" | "ms", _) => Place::BeforeAndApart,
        ("pt", region) if region != Some("PT") => Place::BeforeAndApart,
        ("es", Some(region)) if !matches!(region, "ES" | "GQ") => Place::Before,
        ("en" | "ja" | "zh" | "ko" | "th" | "tr" | "hi" | "mr" | "ta" | "te" | "cy" | "ga" | "mt" | "fil", _) => {
            Place::Before
        }
        _ => Place::After,
    }
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
            ("inr", 999_999_999, "INR 9,999,999.99"),
            ("cop", 9_999_999_999, "COP 99,999,999.99"),
            ("lbp", 99_999_999_900, "LBP 999,999,999"),
            ("idr", 999_999_999_999, "IDR 9,999,999,999.99"),
            ("jpy", 999_999_999_999, "JPY 999,999,999,999"),
            ("eur", 0, "€0"),
            ("eur", -950, "−€9.50"),
        ];
        let english = Locale::default();
        for (currency, minor, expected) in cases {
            assert_eq!(english.money(minor, currency), expected);
        }
    }

    #[test]
    fn each_language_writes_in_its_own_way() {
        let at = crate::api::standing::examples::on(3, 9);
        let cases = [
            ("en", "1,234,567", "€1,234.50", "9 March 2026"),
            ("en-US", "1,234,567", "€1,234.50", "March 9, 2026"),
            ("en-GB", "1,234,567", "€1,234.50", "9 March 2026"),
            ("de", "1.234.567", "1.234,50\u{a0}€", "9. März 2026"),
            ("de-AT", "1\u{a0}234\u{a0}567", "€\u{a0}1\u{a0}234,50", "9. März 2026"),
            ("fr", "1\u{202f}234\u{202f}567", "1\u{202f}234,50\u{a0}€", "9 mars 2026"),
            ("es", "1.234.567", "1234,50\u{a0}€", "9 de marzo de 2026"),
            ("es-MX", "1,234,567", "€1,234.50", "9 de marzo de 2026"),
            ("pt-BR", "1.234.567", "€\u{a0}1.234,50", "9 de março de 2026"),
            ("nl", "1.234.567", "€\u{a0}1.234,50", "9 maart 2026"),
            ("pl", "1\u{a0}234\u{a0}567", "1234,50\u{a0}€", "9 marca 2026"),
            ("sv", "1\u{a0}234\u{a0}567", "1\u{a0}234,50\u{a0}€", "9 mars 2026"),
            ("ja", "1,234,567", "€1,234.50", "2026年3月9日"),
            ("hi", "12,34,567", "€1,234.50", "9 मार्च, 2026"),
        ];
        for (tag, number, money, day) in cases {
            let locale = Locale::of(tag);
            let written = (locale.number(1_234_567), locale.money(123_450, "eur"), locale.day(at));
            assert_eq!(written, (number.into(), money.into(), day.into()), "{tag}");
        }
    }

    #[test]
    fn a_language_that_nobody_knows_still_writes_numbers() {
        for tag in ["xx", "tlh", "not a tag", ""] {
            let locale = Locale::of(tag);
            assert!(locale.number(1_234).contains("234") && locale.money(700, "eur").contains('7'), "{tag}");
            assert!(locale.day(crate::api::standing::examples::on(3, 9)).contains("2026"), "{tag}");
        }
    }
}
