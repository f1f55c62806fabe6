//! The forms of the ids of a provider's objects: by its beginning one is told from another.

use entitlement::catalog::Provider;

/// The kind of an id that cannot be that of a price, and what to write instead: by its beginning. With the id, but for a secret.
#[must_use]
pub fn no_price(provider: Provider, id: &str) -> Option<String> {
    const KINDS: [(&str, &str); 8] = [
        ("prod_", "a product of Stripe: write the id of its price, price_…"),
        ("cus_", "a customer of Stripe: write the id of a price, price_…"),
        ("sub_", "a subscription of Stripe: write the id of its price, price_…"),
        ("sk_", "a secret key of Stripe: write the id of a price, price_…"),
        ("rk_", "a restricted key of Stripe: write the id of a price, price_…"),
        ("pk_", "a publishable key of Stripe: write the id of a price, price_…"),
        ("whsec_", "a webhook secret of Stripe: write the id of a price, price_…"),
        ("plink_", "a payment link of Stripe: write the id of its price, price_…"),
    ];
    const SECRETS: [&str; 3] = ["sk_", "rk_", "whsec_"];
    const IDS_OF_STRIPE: [&str; 2] = ["price_", "plan_"];
    let begins = |start: &str| id.starts_with(start);
    let what = match provider {
        Provider::Stripe if is_uuid(id) => Some("a product of Polar: write provider = \"polar\""),
        Provider::Polar if IDS_OF_STRIPE.into_iter().any(begins) => {
            Some("a price of Stripe: write provider = \"stripe\"")
        }
        _ => KINDS.iter().find(|(start, _)| begins(start)).map(|(_, what)| *what),
    };
    let shown = if SECRETS.into_iter().any(begins) { String::new() } else { format!("{id:?}, ") };
    what.map(|what| format!("{shown}that of {what}"))
}

/// As Polar writes its ids.
fn is_uuid(id: &str) -> bool {
    let lengths = id.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && id.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

/// Why a text cannot be the id of a provider's customer, with what to write instead; none where it may be. Ids that begin with anything but what
/// Stripe gives to its other objects are taken: older accounts have some without `cus_`.
#[must_use]
pub fn no_customer(provider: Provider, id: &str) -> Option<String> {
    const OTHERS: [&str; 18] = [
        "acct_", "ch_", "cs_", "di_", "evt_", "ii_", "il_", "in_", "pi_", "plink_", "pm_", "price_", "prod_", "py_",
        "re_", "seti_", "si_", "sub_",
    ];
    const WORDS: [&str; 5] = ["null", "nil", "none", "undefined", "nan"];
    let begins = |start: &&str| id.starts_with(*start);
    let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    let like = match provider {
        Provider::Stripe => "cus_123",
        Provider::Polar => "992fae2a-2a17-4b7a-8d9e-e287cf90131b",
    };
    let what = match provider {
        _ if id.is_empty() || !is_plain || WORDS.iter().any(|word| id.eq_ignore_ascii_case(word)) => "is no id",
        _ if OTHERS.iter().any(begins) => "is the id of something else of Stripe",
        Provider::Stripe if is_uuid(id) => "is an id of Polar",
        Provider::Polar if id.starts_with("cus_") => "is a customer of Stripe",
        _ => return None,
    };
    Some(format!("{id:?} {what}: a customer of {provider} is written like {like}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_is_told_from_what_is_none() {
        use Provider::{Polar, Stripe};
        const UUID: &str = "992fae2a-2a17-4b7a-8d9e-e287cf90131b";
        for (provider, id) in [(Stripe, "cus_1"), (Stripe, "gcus_1"), (Stripe, "8423"), (Polar, UUID), (Polar, "a-b")] {
            assert_eq!(no_customer(provider, id), None, "{id}");
        }
        for (provider, id, words) in [
            (Stripe, "sub_9", "of something else"),
            (Stripe, "price_1", "of something else"),
            (Stripe, "NULL", "is no id"),
            (Stripe, "\\N", "is no id"),
            (Stripe, "", "is no id"),
            (Stripe, "a@example.com", "is no id"),
            (Stripe, "stripe:cus_1", "is no id"),
            (Stripe, "=HYPERLINK(1)", "is no id"),
            (Stripe, "-1+1", "is no id"),
            (Stripe, UUID, "of Polar"),
            (Polar, "cus_1", "of Stripe"),
            (Polar, "none", "is no id"),
        ] {
            assert!(no_customer(provider, id).is_some_and(|told| told.contains(words)), "{id}");
        }
    }
}
