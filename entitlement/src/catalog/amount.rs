//! Amounts as they are written down: whole minor units. 7.00 is refused in words, as it would mean seven hundredths or seven hundred.

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};

/// Reads an amount in minor units.
///
/// # Errors
/// When it is no whole number.
pub(super) fn minor_units<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    deserializer.deserialize_any(Amount)
}

struct Amount;

impl Visitor<'_> for Amount {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount in minor units, such as 700 for 7.00")
    }

    fn visit_i64<E: Error>(self, amount: i64) -> Result<i64, E> {
        Ok(amount)
    }

    fn visit_u64<E: Error>(self, amount: u64) -> Result<i64, E> {
        i64::try_from(amount).map_err(|_| E::custom("an amount is larger than any money"))
    }

    fn visit_f64<E: Error>(self, amount: f64) -> Result<i64, E> {
        Err(E::custom(format!("`amount = {amount:.2}` is not in minor units: write {:.0}", (amount * 100.0).round())))
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::Price;

    #[test]
    fn an_amount_with_a_point_is_told_in_minor_units() {
        let price = |amount: &str| {
            let text = format!(
                "provider = \"stripe\"\nid = \"p\"\ncadence = \"monthly\"\ncurrency = \"gbp\"\namount = {amount}"
            );
            toml::from_str::<Price>(&text).map(|price| price.amount).map_err(|error| error.to_string())
        };
        assert_eq!(price("700"), Ok(700));
        for (amount, expected) in
            [("7.00", "write 700"), ("19.99", "write 1999"), ("\"7\"", "minor units, such as 700")]
        {
            assert!(price(amount).is_err_and(|error| error.contains(expected)), "{amount}: {:?}", price(amount));
        }
    }
}
