//! Which catalogs are valid, and what they mean.

use super::*;

fn parse(text: &str) -> Result<Catalog, String> {
    toml::from_str::<Catalog>(text).map_err(|e| e.message().to_owned())
}

const PAID: &str = r#"
    [[tier]]
    code = "paid"
    name = "Paid"
    rank = 1
    features = ["archive"]
    [[tier.price]]
    provider = "stripe"
    id = "price_monthly"
    cadence = "monthly"
    amount = 700
    currency = "gbp"
"#;

#[test]
fn a_catalog_without_a_rank_0_tier_gets_free() {
    let catalog = parse(PAID).expect("a valid catalog");
    assert_eq!(catalog.base().code, "free");
    assert_eq!(catalog.tiers().len(), 2);
    let Some(Sold::Tier(tier)) = catalog.sold(Provider::Stripe, "price_monthly") else { panic!("not sold") };
    assert_eq!(tier.code, "paid");
    assert_eq!(catalog.sold(Provider::Polar, "price_monthly"), None, "another provider's id buys nothing");
}

#[test]
fn a_catalog_survives_being_stored() {
    let catalog = parse(PAID).expect("a valid catalog");
    let stored = serde_json::to_string(&catalog).expect("it encodes");
    assert_eq!(serde_json::from_str::<Catalog>(&stored).expect("it decodes"), catalog);
}

#[test]
fn a_renamed_tier_is_found_by_both_codes_and_a_retired_price_is_known_but_not_sold() {
    let text = PAID.replace("name = \"Paid\"", "name = \"Paid\"\nrenamed_from = \"basic\"") + "retired = true\n";
    let catalog = parse(&text).expect("a valid catalog");
    assert_eq!(catalog.tier("basic"), catalog.tier("paid"));
    assert_eq!(catalog.renamed().collect::<Vec<_>>(), [("basic", "paid")]);
    let paid = catalog.tier("paid").expect("it is there");
    assert_eq!((paid.prices.len(), paid.offers().count()), (1, 0));
    assert_eq!(catalog.sold(Provider::Stripe, "price_monthly"), Some(Sold::Tier(paid)), "its subscriptions go on");
    let stored = serde_json::to_string(&catalog).expect("it encodes");
    assert_eq!(serde_json::from_str::<Catalog>(&stored).expect("it decodes"), catalog);
}

#[test]
fn features_are_kept_as_they_were_written_and_once_each() {
    let text = PAID.replace("[\"archive\"]", "[\"zeal\", \"archive\", \"zeal\"]");
    let text = text
        .replace("name = \"Paid\"", "name = \"Paid\"\ndescription = \"For readers.\"\nhighlight = true\nhidden = true");
    let catalog = parse(&text).expect("a valid catalog");
    let paid = catalog.tier("paid").expect("it is there");
    assert_eq!(paid.features, ["zeal", "archive"]);
    assert!(paid.has_feature("archive") && !paid.has_feature("arch"));
    let stored = serde_json::to_string(&catalog).expect("it encodes");
    assert_eq!(serde_json::from_str::<Catalog>(&stored).expect("it decodes"), catalog);
    let plain = serde_json::to_string(&parse(PAID).expect("a valid catalog")).expect("it encodes");
    for key in ["description", "highlight", "hidden"] {
        assert!(!plain.contains(key), "builds that do not know it can read a catalog without it: {plain}");
    }
}

#[test]
fn what_a_person_agreed_to_is_no_part_of_what_is_sold() {
    let accepted = format!("accept = \"0123456789abcdef\"\n{PAID}");
    assert_eq!(parse(&accepted), parse(PAID));
    let draft: Draft = toml::from_str(&accepted).expect("a draft");
    assert_eq!(draft.accept.as_deref(), Some("0123456789abcdef"));
}

#[test]
fn an_invalid_catalog_says_what_to_change() {
    let price = |id: &str| {
        format!(
            "[[tier.price]]\nprovider = \"stripe\"\nid = \"{id}\"\ncadence = \"annual\"\namount = 1\ncurrency = \"gbp\"\n"
        )
    };
    let tier = |code: &str, rank: u32| format!("[[tier]]\ncode = \"{code}\"\nname = \"T\"\nrank = {rank}\n");
    let cases = [
        (tier("Paid", 1), "`Paid` is not a usable code"),
        (tier("a", 1) + &tier("a", 2), "tier `a` is there twice"),
        (tier("a", 1) + &tier("b", 1), "both have rank 1"),
        (tier("a", 1) + "highlight = true\n" + &tier("b", 2) + "highlight = true\n", "both have highlight = true"),
        (tier("a", 1) + &tier("b", 2) + "renamed_from = \"a\"\n", "there is a tier of that code"),
        (tier("a", 1) + "renamed_from = \"a\"\n", "there is a tier of that code"),
        (tier("a", 1) + "renamed_from = \"c\"\n" + &tier("b", 2) + "renamed_from = \"c\"\n", "or another that was"),
        (tier("a", 0) + &price("p"), "rank 0, which everybody has"),
        (tier("a", 1) + &price("p") + &tier("b", 2) + &price("p"), "named twice, by `a` and by `b`"),
        (tier("a", 1) + &price("p") + &price("p"), "named twice, by `a` and by `a`"),
        (tier("a", 1) + &price(""), "without an id"),
        (tier("a", 1) + &price("p").replace("gbp", "GBP"), "three lower-case letters"),
        (tier("a", 1) + &price("p").replace("amount = 1", "amount = -1"), "negative amount"),
        ("[[tear]]\ncode = \"a\"\n".to_owned(), "unknown field `tear`"),
    ];
    for (text, expected) in cases {
        let error = parse(&text).expect_err(&text);
        assert!(error.contains(expected), "{error:?} should contain {expected:?}");
    }
}
