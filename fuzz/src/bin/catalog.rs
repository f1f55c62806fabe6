//! The catalog, as its file has it. Input: the file.

#![no_main]

use std::collections::BTreeSet;

use entitlement::catalog::{Catalog, Provider, Sold};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(catalog) = toml::from_str::<Catalog>(text) else { return };
    let kept = serde_json::to_string(&catalog).expect("it can be kept");
    assert_eq!(serde_json::from_str::<Catalog>(&kept).expect("what is kept can be read"), catalog);

    let tiers = catalog.tiers();
    assert_eq!(catalog.base().rank, 0);
    assert!(catalog.base().prices.is_empty(), "what everybody has is not sold");
    assert!(tiers.is_sorted_by(|a, b| a.rank < b.rank), "each rank once");
    let codes: BTreeSet<&str> = tiers.iter().map(|tier| tier.code.as_str()).collect();
    assert_eq!(codes.len(), tiers.len(), "each code once");
    for code in codes.into_iter().chain(tiers.iter().flat_map(|tier| &tier.features).map(String::as_str)) {
        assert!(!code.is_empty() && !code.contains(|c: char| c == ',' || !c.is_ascii_graphic()), "{code:?}");
    }
    for tier in tiers {
        for price in &tier.prices {
            let sold = catalog.sold(price.provider, &price.id);
            assert!(matches!(sold, Some(Sold::Tier(bought)) if bought == tier), "{} buys its own tier", price.id);
            assert_eq!(catalog.price(price.provider, &price.id), Some(price));
            assert!(price.amount >= 0);
        }
    }
    assert_eq!(catalog.sold(Provider::Polar, ""), None);
});
