//! The words of the page in every state: each says why there is no access and how it comes back, and none says two things at once.

use entitlement::subscription::Setback;

use super::*;
use crate::api::standing::examples::set_back;

/// Every state that a subscription can be in on 10 March.
fn states() -> Vec<State> {
    vec![
        State::Incomplete,
        State::Trialing { ends_at: on(3, 15) },
        State::Active { paid_until: Some(on(4, 1)) },
        State::Active { paid_until: None },
        // No renewal was told.
        State::Active { paid_until: Some(on(3, 2)) },
        State::PastDue { since: on(3, 9) },
        State::PastDue { since: on(2, 1) },
        State::Unpaid,
        State::Paused,
        State::Unknown,
        State::WrittenOff { at: on(3, 9) },
        State::Ended { at: on(3, 9) },
    ]
}

fn setbacks() -> Vec<Vec<Setback>> {
    let refunded = Setback::Refunded { at: on(3, 8), covers_from: on(3, 1) };
    let disputed = Setback::Disputed { since: on(3, 8) };
    let lost = Setback::Lost { at: on(3, 8), covers_from: on(3, 1) };
    let written_off = Setback::WrittenOff { at: on(3, 8), covers_from: on(3, 1) };
    vec![vec![], vec![refunded], vec![disputed], vec![lost], vec![refunded, disputed], vec![written_off]]
}

fn shown(standing: &Standing) -> String {
    page(&examples::pages(), standing, &nobody()).render().expect("a page")
}

/// The words that say why there is no access, each for a state of its own.
const REASONS: [&str; 11] = [
    "no new card is charged for it",
    "no longer knows you as a customer",
    "Your last payment was given back",
    "Your bank has taken your last payment back",
    "Your bank asks about a payment",
    "Your subscription is paused",
    "Your subscription is not paid",
    "Your first payment has not gone through",
    "has not been renewed yet",
    "is being looked into",
    "The payment of ",
];

/// Two words of which one page must not have both.
const CONTRADICTIONS: [(&str, &str); 16] = [
    ("then runs until", "You have no access"),
    ("No subscription", "Cancel at the end"),
    ("No subscription", "Keep the subscription"),
    ("No subscription", "Manage subscription"),
    ("has ended", "Cancel at the end"),
    ("has ended", "Keep the subscription"),
    ("Next payment on", "Ends on"),
    ("Next payment on", "You have no access"),
    ("Next payment on", "is paused"),
    (" remaining<", "You have no access"),
    (" remaining<", "is paused"),
    ("Keep the subscription", "Let it go on"),
    ("Keep the subscription", "Buy again"),
    ("Nothing more is charged. You can buy it again.", "Cancel at the end"),
    ("Nothing more is charged. You can buy it again.", "otherwise it goes on"),
    ("You have access until", "You have no access"),
];

fn check(what: &str, html: &str) {
    for (one, other) in CONTRADICTIONS {
        assert!(!(html.contains(one) && html.contains(other)), "{what}: {one:?} and {other:?}: {html}");
    }
    let resumes = html.matches(r#"action="/billing/reactivate""#).count();
    assert!(resumes <= 1, "{what}: one button goes on: {html}");
}

#[test]
fn a4_each_state_that_takes_access_has_its_own_words_and_never_two_that_contradict() {
    let ends = [None, Some(on(4, 1))];
    for (state, collection_paused) in states().into_iter().flat_map(|state| [(state, false), (state, true)]) {
        for (cancel_at, setbacks) in ends.into_iter().flat_map(|end| setbacks().into_iter().map(move |set| (end, set)))
        {
            let own = Subscription { collection_paused, cancel_at, ..subscription("price_monthly", state) };
            let what = format!("{state:?}, paused {collection_paused}, ends {cancel_at:?}, {setbacks:?}");
            let standing = set_back(vec![own.clone()], &setbacks, on(3, 10));
            let html = shown(&standing);
            check(&what, &html);
            let has_access = standing.segment.status != Status::None;
            let withheld = standing.withheld(&own.id);
            let is_over = own.is_ended() || matches!(state, State::WrittenOff { .. });
            assert!(!(html.contains("You have no access") && has_access), "{what}: {html}");
            assert_eq!(withheld.is_some(), !has_access && !is_over, "{what}: what is not over says why: {html}");
            let reasons: Vec<&str> = REASONS.into_iter().filter(|reason| html.contains(reason)).collect();
            let warned = usize::from(withheld.is_some() || (has_access && matches!(state, State::PastDue { .. })));
            assert_eq!(reasons.len(), warned, "{what}: {reasons:?}: {html}");
            let is_running = is_running(&own, on(3, 10));
            let told = html.replace("Your subscription then ends on", "");
            assert_eq!(told.contains("nds on 1 April 2026"), is_running && cancel_at.is_some(), "{what}: {html}");
            assert_eq!(html.contains("No subscription"), is_over, "{what}: {html}");
            let ways = ["Update payment method</button>", "Let it go on</button>", "Buy again</a>"];
            let found: Vec<&str> = ways.into_iter().filter(|way| html.contains(way)).collect();
            let expected = match withheld.map(entitlement::subscription::Withheld::way_back) {
                Some(WayBack::UpdateCard) => vec![ways[0]],
                Some(WayBack::Resume) => vec![ways[1]],
                Some(WayBack::BuyAgain) => vec![ways[2]],
                Some(WayBack::PayInvoice | WayBack::Wait) => vec![],
                None => ways[..warned].to_vec(),
            };
            assert_eq!(found, expected, "{what}: {html}");
            // A provider charges what runs and has no end: there is a way to end it.
            let can_end = html.contains("Cancel at the end");
            assert_eq!(can_end, is_running && cancel_at.is_none(), "{what}: {html}");
        }
    }
}

#[test]
fn a4_two_subscriptions_of_which_one_gives_access_do_not_say_that_there_is_none() {
    for (state, collection_paused) in states().into_iter().flat_map(|state| [(state, false), (state, true)]) {
        for cancel_at in [None, Some(on(4, 1))] {
            let other = SubscriptionId { id: "sub_2".into(), ..paid().id };
            let own = subscription("price_annual", state);
            let own = Subscription { id: other, collection_paused, cancel_at, started_at: on(3, 2), ..own };
            let what = format!("{state:?}, paused {collection_paused}, ends {cancel_at:?}");
            let standing = standing(vec![paid(), own.clone()], on(3, 10));
            let html = shown(&standing);
            assert!(!html.contains("You have no access") && !html.contains("No subscription"), "{what}: {html}");
            assert!(html.contains("Cancel at the end"), "{what}: one goes on: {html}");
            let is_told = standing.withheld(&own.id).is_some() && is_running(&own, on(3, 10));
            let reasons = REASONS.into_iter().filter(|reason| html.contains(reason)).count();
            assert!(!is_told || reasons == 1, "{what}: {html}");
        }
    }
}

#[test]
fn a6_what_another_account_pays_for_leads_to_no_portal() {
    for state in states() {
        let own = subscription("price_monthly", state);
        let mut standing = standing(vec![own.clone()], on(3, 10));
        (standing.has_portal, _) = (false, standing.elsewhere.insert(own.id.clone()));
        let html = shown(&standing);
        check(&format!("{state:?}"), &html);
        assert!(!html.contains("/billing/portal") && !html.contains("Update how you pay"), "{state:?}: {html}");
        let is_shown = is_running(&own, on(3, 10)) || state == State::Incomplete;
        assert_eq!(html.contains("paid for by another account"), is_shown, "{state:?}: {html}");
        assert_ne!(standing.way_back(&own, on(3, 10)), Some(WayBack::UpdateCard), "{state:?}");
    }
}

#[test]
fn a4_buying_again_is_promised_where_checkout_does_it() {
    let refunded = [Setback::Refunded { at: on(3, 8), covers_from: on(3, 1) }];
    let back = || Subscription { id: SubscriptionId { id: "sub_2".into(), ..paid().id }, ..paid() };
    for state in states() {
        let beside = subscription("price_annual", state);
        let mut both = set_back(vec![beside.clone()], &[], on(3, 10));
        let given_back = set_back(vec![back()], &refunded, on(3, 10));
        both.withheld.extend(given_back.withheld);
        both.subscriptions.push(back());
        let is_sold = both.obstacle(entitlement::catalog::Sold::Tier(both.catalog().base()), on(3, 10)).is_none()
            && both.unpaid().is_none();
        let html = shown(&both);
        let is_promised = html.contains("Buy again</a>") || html.contains("uy it again");
        assert_eq!(is_promised, is_sold, "{state:?}: {html}");
        assert_eq!(both.way_back(&back(), on(3, 10)) == Some(WayBack::BuyAgain), is_sold, "{state:?}");
    }
    let mut blocked = set_back(vec![back()], &refunded, on(3, 10));
    blocked.segment = entitlement::timeline::Timeline::blocked(blocked.catalog()).at(on(3, 10)).clone();
    let html = shown(&blocked);
    assert!(
        html.contains("was given back") && !html.contains("Buy again</a>") && !html.contains("uy it again"),
        "{html}"
    );
}

#[test]
fn a4_of_two_that_end_the_one_that_gives_something_is_kept() {
    let refunded = [Setback::Refunded { at: on(3, 8), covers_from: on(3, 1) }];
    let ends = |id: &str, price: &str, end: Option<Timestamp>| Subscription {
        id: SubscriptionId { id: id.into(), ..paid().id },
        cancel_at: end,
        started_at: if id == "sub_back" { on(3, 5) } else { on(3, 1) },
        ..subscription(price, State::Active { paid_until: Some(on(4, 1)) })
    };
    for (own_ends, back_ends, keeps, cancels) in
        [(true, true, true, false), (false, true, false, true), (true, false, true, true), (false, false, false, true)]
    {
        let end = |ends: bool| ends.then(|| on(4, 1));
        let own = ends("sub_own", "price_monthly", end(own_ends));
        let back = ends("sub_back", "price_annual", end(back_ends));
        let mut both = set_back(vec![own.clone()], &[], on(3, 10));
        both.withheld.extend(set_back(vec![back.clone()], &refunded, on(3, 10)).withheld);
        both.subscriptions.push(back);
        let html = shown(&both);
        assert_eq!(html.contains("Keep the subscription"), keeps, "{own_ends} {back_ends}: {html}");
        assert_eq!(html.contains("Cancel at the end"), cancels, "{own_ends} {back_ends}: {html}");
        for (is_ending, name, id) in
            [(own_ends, "Paid, £7 a month", "sub_own"), (back_ends, "Paid, £70 a year", "sub_back")]
        {
            let (named, button) = (format!("Cancel subscription: {name}<"), format!(r#"value="stripe:{id}""#));
            let shown = (html.contains(&named), html.contains(&button));
            assert_eq!(shown, (!is_ending, !is_ending), "each button says what it ends: {named}: {html}");
        }
        assert_eq!(both.to_go_on(on(3, 10)).map(|own| own.id.id.as_str()), Some("sub_own"));
        let told = |done: &str| {
            let asked = Asked { upgraded: None, done: Some(done.into()) };
            super::done(&examples::pages().texts, &asked, &both, on(3, 10)).is_some()
        };
        assert_eq!((told("ending"), told("kept")), (own_ends && back_ends, !own_ends), "{own_ends} {back_ends}");
    }
}

#[test]
fn a4_an_add_on_that_gives_nothing_says_why() {
    let refunded = [Setback::Refunded { at: on(3, 8), covers_from: on(3, 1) }];
    let domain = subscription("price_domain", State::Active { paid_until: Some(on(4, 1)) });
    let html = shown(&set_back(vec![domain], &refunded, on(3, 10)));
    assert!(html.contains("Domain</strong> £15 a year. Your last payment was given back"), "{html}");
    assert!(!html.contains("Next payment"), "{html}");
    assert!(html.contains("No plan") && !html.contains("No subscription"), "an add-on is one: {html}");
}
