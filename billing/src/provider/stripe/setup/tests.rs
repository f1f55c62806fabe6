//! The plan of what is to be done: a table, and that it comes to an end from every state in between.

use std::collections::BTreeMap;

use entitlement::catalog::{Cadence, Catalog};

use super::plan::{Foreign, Plan, Secret, Step, Wanted, Wishes, plan};
use super::seen::{Seen, SeenPrice, SeenProduct, former_of};
use super::{NEEDED, is_reachable};
use crate::provider::client::Endpoint;
use crate::provider::offer::Offer;

const URL: &str = "https://read.example/api/stripe/webhook";

fn wanted(amount: i64, secret: Secret) -> Wanted {
    let text = format!(
        r#"
        [[tier]]
        code = "paid"
        name = "Paid"
        rank = 1
        [[tier.price]]
        provider = "stripe"
        lookup_key = "paid_monthly"
        cadence = "monthly"
        amount = {amount}
        currency = "gbp"
        [[tier.price]]
        provider = "stripe"
        id = "price_by_hand"
        cadence = "annual"
        amount = 1
        currency = "gbp"
        [[addon]]
        code = "domain"
        name = "Domain"
        [[addon.price]]
        provider = "stripe"
        lookup_key = "domain"
        cadence = "annual"
        amount = 1500
        currency = "gbp"
        "#
    );
    let catalog: Catalog = toml::from_str(&text).expect("a catalog");
    Wanted::new("read.example", &catalog, URL, Wishes { secret, ..Wishes::default() })
}

/// Plays a step; an endpoint that is made gets a number.
fn done(seen: &mut Seen, step: &Step) {
    let number = seen.prices.len() + seen.unarchived.len() + seen.endpoints.len();
    match step {
        Step::MakeProduct { id, name } => {
            let product = SeenProduct { name: name.clone(), is_active: true, made_by: ours() };
            assert!(seen.products.insert(id.clone(), product).is_none(), "a product is made once");
        }
        Step::RenameProduct { id, to, .. } => seen.products.get_mut(id).expect("it is there").name.clone_from(to),
        Step::ReviveProduct { id, .. } => seen.products.get_mut(id).expect("it is there").is_active = true,
        Step::MakePrice { product, price, old } => {
            assert!(seen.products.contains_key(product), "the product comes first");
            let word = crate::api::standing::cadence(price.cadence).to_owned();
            let amounts = BTreeMap::from([(price.currency.clone(), Some(price.amount))]);
            let made = SeenPrice {
                id: format!("price_{number}"),
                product: product.clone(),
                currency: price.currency.clone(),
                made_by: ours(),
                offer: Offer { amounts, cadence: word, is_active: true, is_metered: false, ..Offer::default() },
                former: old.as_deref().map(former_of).unwrap_or_default(),
            };
            if let Some(old) = seen.prices.insert(price.key.clone(), made) {
                seen.unarchived.extend(old.offer.is_active.then_some(old.id));
            }
        }
        Step::RevivePrice { key, .. } => seen.prices.get_mut(key).expect("it is there").offer.is_active = true,
        Step::ArchivePrice { id } => seen.unarchived.retain(|one| one != id),
        Step::MakeEndpoint { url, replaces } => {
            let made = endpoint(&format!("we_{number}"), url, &NEEDED);
            seen.endpoints.push(Endpoint { replaces: replaces.clone(), is_kept: true, ..made });
        }
        Step::ChangeEndpoint { id, .. } => {
            let place = seen.endpoints.iter().position(|one| one.id == *id).expect("it is there");
            seen.endpoints[place] = endpoint(id, URL, &NEEDED);
        }
        Step::DeleteEndpoint { id, .. } => seen.endpoints.retain(|one| one.id != *id),
        Step::MakePortal => seen.has_portal = true,
    }
}

fn ours() -> Option<String> {
    Some("read.example".to_owned())
}

fn endpoint(id: &str, url: &str, events: &[&str]) -> Endpoint {
    let events = events.iter().map(ToString::to_string).collect();
    Endpoint { id: id.into(), url: url.into(), is_enabled: true, events, replaces: Vec::new(), is_kept: false }
}

fn told(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(Step::told).collect()
}

fn set_up(amount: i64) -> Seen {
    let mut seen = Seen::default();
    plan(&wanted(amount, Secret::Known), &seen).steps.iter().for_each(|step| done(&mut seen, step));
    seen
}

#[test]
fn everything_is_made_once_and_in_order() {
    let first = plan(&wanted(700, Secret::Missing), &Seen::default());
    let steps: Vec<&str> = first.steps.iter().map(Step::right).collect();
    let expected = [
        "Products: Write",
        "Prices: Write",
        "Products: Write",
        "Prices: Write",
        "Webhook Endpoints: Write",
        "Customer portal: Write",
    ];
    assert_eq!(steps, expected, "{:?}", told(&first));
    assert!(told(&first)[1].starts_with("+ price paid_monthly: 700 gbp monthly"), "{:?}", told(&first));
    assert_eq!(first.open, [""; 0], "the secret comes with the endpoint");
    assert_eq!(plan(&wanted(700, Secret::Known), &set_up(700)), Plan::default());
    assert_eq!(Wanted::products_of("a", &Catalog::empty()), []);
}

#[test]
fn another_amount_is_a_new_price_and_the_old_one_is_archived() {
    let mut seen = set_up(700);
    let old = seen.prices["paid_monthly"].id.clone();
    let changed = plan(&wanted(900, Secret::Known), &seen);
    let expected = [
        format!("+ price paid_monthly: 900 gbp monthly, in place of {old}, which gives the key to it"),
        format!("- price {old}: archived; its subscriptions go on"),
    ];
    assert_eq!(told(&changed), expected);
    done(&mut seen, &changed.steps[0]);
    assert_eq!(told(&plan(&wanted(900, Secret::Known), &seen)), expected[1..], "after a failure in between");
    assert_eq!(seen.prices["paid_monthly"].former[0].amount, 700);
    assert_eq!(seen.prices["paid_monthly"].former[0].cadence, Cadence::Monthly);
}

#[test]
fn a_price_of_another_installation_is_left_alone_until_a_person_says_so() {
    let mut seen = set_up(700);
    for price in seen.prices.values_mut() {
        price.made_by = Some("other.example".into());
    }
    assert_eq!(plan(&wanted(700, Secret::Known), &seen), Plan::default(), "it is the same: both may sell it");
    let refused = plan(&wanted(900, Secret::Known), &seen);
    assert!(refused.steps.is_empty() && refused.open[0].contains("was made for other.example"), "{refused:?}");
    let mut taken = wanted(900, Secret::Known);
    taken.wishes.foreign = Foreign::TakeOver;
    assert_eq!(plan(&taken, &seen).steps.len(), 2);
    seen.prices.values_mut().for_each(|price| price.made_by = None);
    assert_eq!(plan(&wanted(900, Secret::Known), &seen).steps.len(), 2, "made by hand");
}

#[test]
fn what_was_archived_renamed_or_switched_off_is_put_right() {
    let mut seen = set_up(700);
    let product = seen.prices["paid_monthly"].product.clone();
    seen.prices.get_mut("paid_monthly").expect("a price").offer.is_active = false;
    let changed = SeenProduct { name: "Old".into(), is_active: false, made_by: ours() };
    seen.products.insert(product.clone(), changed);
    seen.endpoints =
        vec![Endpoint { is_enabled: false, ..endpoint("we_9", URL, &["charge.captured", "invoice.paid"]) }];
    let fixed = plan(&wanted(700, Secret::Missing), &seen);
    let steps = told(&fixed);
    assert!(steps[0].contains("Old is no longer archived") && steps[1].contains("Old is called Paid"), "{steps:?}");
    assert!(
        steps[2].contains("paid_monthly") && steps[3].contains("27 events added, 1 taken away, switched on"),
        "{steps:?}"
    );
    assert!(fixed.open.iter().any(|open| open.contains("--new-secret")), "{fixed:?}");
    let by_hand = SeenProduct { name: "Old".into(), is_active: true, made_by: None };
    seen.products.insert(product, by_hand);
    assert!(!told(&plan(&wanted(700, Secret::Known), &seen)).iter().any(|step| step.contains("called")));
}

#[test]
fn a_new_secret_is_another_endpoint_and_the_others_of_this_address_go() {
    let mut seen = set_up(700);
    seen.endpoints.push(endpoint("we_other", "https://other.example/api/stripe/webhook", &NEEDED));
    seen.endpoints.push(endpoint("we_left_over", URL, &NEEDED));
    let known = plan(&wanted(700, Secret::Known), &seen);
    assert!(known.steps.is_empty() && known.notes[0].starts_with("2 webhook endpoints"), "{known:?}");
    let renewed = plan(&wanted(700, Secret::Renew), &seen);
    assert!(matches!(&renewed.steps[0], Step::MakeEndpoint { url, .. } if url == URL));
    renewed.steps.iter().for_each(|step| done(&mut seen, step));
    let left: Vec<&str> = seen.endpoints.iter().map(|one| one.url.as_str()).collect();
    assert_eq!(left, ["https://other.example/api/stripe/webhook", URL]);
}

#[test]
fn a_new_secret_that_is_half_done_is_gone_on_with_and_no_third_endpoint_is_made() {
    let start = set_up(700);
    let old = start.endpoints[0].id.clone();
    let renewed = plan(&wanted(700, Secret::Renew), &start);
    for (is_kept, secret, left) in [
        (true, Secret::Renew, "we_3"),
        (true, Secret::Known, "we_3"),
        (false, Secret::Renew, "we_3"),
        (false, Secret::Known, old.as_str()),
    ] {
        let mut seen = start.clone();
        done(&mut seen, &renewed.steps[0]);
        seen.endpoints[1].is_kept = is_kept;
        let next = plan(&wanted(700, secret), &seen);
        for step in &next.steps {
            done(&mut seen, step);
            assert!(seen.endpoints.len() <= 2, "{:?}", told(&next));
        }
        let ids: Vec<&str> = seen.endpoints.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(ids, [left], "secret kept: {is_kept}, {secret:?}: {:?}", told(&next));
        assert_eq!(plan(&wanted(700, Secret::Known), &seen), Plan::default());
        let has_new_secret = next.steps.iter().any(|step| matches!(step, Step::MakeEndpoint { .. }));
        assert_eq!(has_new_secret, !is_kept && secret == Secret::Renew);
    }
}

#[test]
fn from_every_state_in_between_the_same_end_is_reached() {
    let reach = |mut seen: Seen, amount: i64| {
        for _ in 0..2 {
            plan(&wanted(amount, Secret::Known), &seen).steps.iter().for_each(|step| done(&mut seen, step));
        }
        assert_eq!(plan(&wanted(amount, Secret::Known), &seen), Plan::default());
        let prices: Vec<(String, i64)> =
            seen.prices.iter().map(|(key, price)| (key.clone(), price.offer.amounts["gbp"].unwrap_or(0))).collect();
        assert_eq!(prices, [("domain".to_owned(), 1500), ("paid_monthly".to_owned(), amount)]);
        assert_eq!((seen.products.len(), seen.endpoints.len(), seen.unarchived.len()), (2, 1, 0));
    };
    for (start, amount) in [(Seen::default(), 700), (set_up(700), 900), (set_up(900), 700)] {
        let steps = plan(&wanted(amount, Secret::Known), &start).steps;
        for stopped_after in 0..=steps.len() {
            let mut seen = start.clone();
            steps[..stopped_after].iter().for_each(|step| done(&mut seen, step));
            reach(seen, amount);
        }
    }
}

#[test]
fn only_what_stripe_can_reach_gets_an_endpoint() {
    for (url, expected) in [
        ("https://read.example/hook", true),
        ("http://203.0.113.9/hook", true),
        ("http://localhost:8080/hook", false),
        ("http://app.localhost/hook", false),
        ("http://127.0.0.1:8080/hook", false),
        ("http://10.0.0.5/hook", false),
        ("http://[::1]/hook", false),
        ("http://tollgate/hook", false),
        ("no url", false),
    ] {
        assert_eq!(is_reachable(url), expected, "{url}");
    }
    let local = Wanted::new("n", &Catalog::empty(), "http://localhost/hook", Wishes::default());
    let plan = plan(&local, &Seen { has_portal: true, ..Seen::default() });
    assert!(plan.steps.is_empty() && plan.notes[0].contains("stripe listen"), "{plan:?}");
}
