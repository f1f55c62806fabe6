//! The page of one's own plan, in every state that a plan can be in.

use askama::Template;
use entitlement::Timestamp;
use entitlement::catalog::Provider;
use entitlement::subscription::{State, Subscription, SubscriptionId};
use proptest::prelude::*;

use super::*;
use crate::api::standing::examples::{on, standing, subscription};
use crate::pages::examples;
use crate::pages::look::Pages;
use crate::pages::tests::{claims, elements, hostile, marked, read_out};

mod words;

const PAID: State = State::Active { paid_until: None };

fn nobody() -> Inviting {
    Inviting {
        code: "abc2345678".into(),
        link: "https://read.example/billing/r/abc2345678".into(),
        converted: 0,
        credit_days: 45,
        credit_days_left: 0,
    }
}

fn page<'a>(look: &'a Pages, standing: &Standing, inviting: &Inviting) -> Page<'a> {
    page_of(look, standing, inviting, &crate::provider::ALL)
}

fn page_of<'a>(look: &'a Pages, standing: &Standing, inviting: &Inviting, sellers: &[Provider]) -> Page<'a> {
    Page {
        frame: Frame::of(look, "/billing/pricing", &look.texts.account.title, links::ACCOUNT_PATH),
        done: None,
        plan: Plan::of(&look.texts, standing, sellers, on(3, 10)),
        not_a_buyer: None,
        blocked: None,
        credit: Credit::of(&look.texts, inviting, standing, on(3, 10)),
        invitation: invitation(&look.texts, inviting),
        invoices: Invoices::None,
    }
}

fn rendered(subscriptions: Vec<Subscription>) -> String {
    page(&examples::pages(), &standing(subscriptions, on(3, 10)), &nobody()).render().expect("a page")
}

fn paid() -> Subscription {
    subscription("price_monthly", State::Active { paid_until: Some(on(4, 1)) })
}

fn ending(end: Timestamp) -> Subscription {
    Subscription { cancel_at: Some(end), ..paid() }
}

#[test]
fn each_subscription_is_told_in_one_line() {
    use State::{Active, PastDue, Paused, Trialing, Unpaid};
    let active = Active { paid_until: Some(on(4, 1)) };
    let cases = [
        (active, None, "£7 a month. Next payment on 1 April 2026."),
        (active, Some(on(4, 1)), "£7 a month. Ends on 1 April 2026."),
        (PAID, None, "£7 a month."),
        (Trialing { ends_at: on(3, 15) }, None, "Then £7 a month, from 15 March 2026."),
        (Trialing { ends_at: on(3, 11) }, Some(on(3, 11)), "Ends on 11 March 2026."),
        (PastDue { since: on(3, 9) }, None, "£7 a month."),
        (Unpaid, None, "£7 a month."),
        (Paused, None, "£7 a month. Paused."),
    ];
    for (state, cancel_at, expected) in cases {
        let html = rendered(vec![Subscription { cancel_at, ..subscription("price_monthly", state) }]);
        assert!(html.contains(&format!("{expected}</p>")), "{expected}: {html}");
    }
}

#[test]
fn an_add_on_is_shown_beside_the_plan_and_managed_like_it() {
    let domain = || subscription("price_domain", State::Active { paid_until: Some(on(4, 1)) });
    let line = "<strong>Domain</strong> £15 a year. Next payment on 1 April 2026.</p>";
    let alone = rendered(vec![domain()]);
    for text in [line, "See the plans", "Manage subscription", r#"data-tier="free""#] {
        assert!(alone.contains(text), "{text}: {alone}");
    }
    assert!(!alone.contains("Cancel at the end of the period"), "that is of a plan: {alone}");
    let beside = rendered(vec![paid(), domain()]);
    assert!(beside.contains(line) && !beside.contains("See the plans"), "{beside}");
    assert_eq!(beside.matches("Manage subscription").count(), 1, "{beside}");
    let over = subscription("price_domain", State::Ended { at: on(3, 9) });
    assert!(!rendered(vec![over]).contains("Domain"));
}

#[test]
fn a_subscription_whose_price_nobody_knows_is_shown_and_can_be_ended() {
    let unnamed = |cancel_at| Subscription {
        cancel_at,
        ..subscription("price_of_old", State::Active { paid_until: Some(on(4, 1)) })
    };
    let html = rendered(vec![unnamed(None)]);
    for text in [
        "<strong>A subscription that is not sold any more.</strong> Next payment on 1 April 2026.",
        "Cancel at the end of the period",
    ] {
        assert!(html.contains(text), "{text}: {html}");
    }
    let ending = rendered(vec![unnamed(Some(on(4, 1)))]);
    assert!(ending.contains("Ends on 1 April 2026.") && ending.contains("Keep the subscription"), "{ending}");
    let beside = rendered(vec![
        paid(),
        Subscription { id: SubscriptionId { id: "sub_2".into(), ..unnamed(None).id }, ..unnamed(None) },
    ]);
    assert!(beside.contains("not sold any more") && beside.contains("<strong>Paid</strong>"), "{beside}");
    let over = rendered(vec![subscription("price_of_old", State::Ended { at: on(3, 9) })]);
    assert!(!over.contains("not sold any more"), "{over}");
}

#[test]
fn a_trial_counts_down() {
    let trial = |ends_at| rendered(vec![subscription("price_annual", State::Trialing { ends_at })]);
    let html = trial(on(3, 15));
    assert!(html.contains("Free trial: 5 days remaining"), "{html}");
    assert!(html.contains(r#"<progress max="14" value="5""#), "five of fourteen days are left: {html}");
    assert!(trial(on(3, 11)).contains("Free trial: 1 day remaining"));
    assert!(!rendered(vec![paid()]).contains("remaining"), "nothing counts down once it is paid for");
}

#[test]
fn a_payment_that_failed_is_said_with_what_to_do_and_until_when() {
    let html = rendered(vec![subscription("price_monthly", State::PastDue { since: on(3, 9) })]);
    assert!(
        html.contains("Your last payment failed") && html.contains("The payment of 9 March 2026 failed."),
        "{html}"
    );
    assert!(html.contains("You have access until 23 March 2026."), "{html}");
    let warning = html.split("notice warn").nth(1).and_then(|html| html.split("</section>").next()).expect("a warning");
    assert!(warning.contains(r#"action="/billing/portal""#) && warning.contains("Update payment method"), "{warning}");
    assert_eq!(html.matches("<button type=\"submit\">").count(), 1, "one button stands out: {html}");
    let html = rendered(vec![subscription("price_monthly", State::Unpaid)]);
    assert!(html.contains("and it gives access again") && !html.contains("You have access until"), "{html}");
    assert!(!rendered(vec![paid()]).contains("notice warn"));
}

#[test]
fn a_payment_that_failed_has_the_date_of_its_bill() {
    let look = examples::pages();
    let line = |date: &str, pay_url: Option<&str>| invoices::Line {
        date: date.into(),
        amount: "£7".into(),
        status: String::new(),
        pay_url: pay_url.map(Into::into),
        pdf_url: None,
    };
    let invoices = Invoices::Known(vec![line("8 March 2026", Some("https://x.example")), line("7 March 2026", None)]);
    let told = |state| {
        let standing = standing(vec![subscription("price_monthly", state)], on(3, 10));
        let plan = Plan::of(&look.texts, &standing, &crate::provider::ALL, on(3, 10));
        plan.with_open_bill(&look.texts, invoices.unpaid()).warning.map(|warning| warning.text)
    };
    let text = told(State::PastDue { since: on(3, 9) }).expect("a warning");
    assert!(text.starts_with("The payment of 8 March 2026 failed."), "{text}");
    assert!(!told(State::Unpaid).expect("a warning").contains("8 March"));
    assert_eq!(told(PAID), None);
}

#[test]
fn a_first_payment_that_has_not_gone_through_and_a_customer_that_is_gone_have_their_way_back() {
    let warning = |html: &str| {
        let parts = html.split("notice warn").nth(1).and_then(|html| html.split("</section>").next());
        parts.expect("a warning").to_owned()
    };
    let incomplete = || subscription("price_monthly", State::Incomplete);
    let html = rendered(vec![incomplete()]);
    assert!(warning(&html).contains("Your first payment has not gone through"), "{html}");
    assert!(warning(&html).contains(r#"action="/billing/portal""#), "{html}");
    assert!(html.contains("Payment failed") && !html.contains("No subscription"), "{html}");
    assert!(!html.contains("See the plans"), "it is not sold again: {html}");
    let other = SubscriptionId { id: "sub_2".into(), ..paid().id };
    let beside = rendered(vec![paid(), Subscription { id: other, ..incomplete() }]);
    assert!(!beside.contains("notice warn"), "what runs says more: {beside}");
    let mut gone = standing(vec![subscription("price_monthly", State::Ended { at: on(3, 9) })], on(3, 10));
    gone.withheld.insert(paid().id, entitlement::subscription::Withheld::CustomerGone);
    let html = page(&examples::pages(), &gone, &nobody()).render().expect("a page");
    assert!(
        warning(&html).contains("no longer knows you as a customer") && warning(&html).contains("Buy again"),
        "{html}"
    );
}

#[test]
fn who_has_no_access_is_not_told_to_keep_it() {
    let html = rendered(vec![subscription("price_monthly", State::PastDue { since: on(2, 1) })]);
    assert!(!html.contains("to keep your access") && html.contains("and it gives access again"), "{html}");
}

#[test]
fn the_end_is_named_before_it_is_asked_for_and_after() {
    let texts = &examples::pages().texts;
    let html = rendered(vec![paid()]);
    assert!(html.contains("Your subscription then ends on 1 April 2026, and nothing more is charged."), "{html}");
    let html = rendered(vec![subscription("price_monthly", State::PastDue { since: on(3, 9) })]);
    assert!(html.contains("then ends with its period"), "its end is not known: {html}");
    let asked = Asked { upgraded: None, done: Some("ending".into()) };
    let told = |own| done(texts, &asked, &standing(vec![own], on(3, 10)), on(3, 10));
    assert_eq!(
        told(ending(on(4, 1))).as_deref(),
        Some("Your subscription ends on 1 April 2026. Nothing more is charged.")
    );
    assert_eq!(told(paid()), None, "the rows say what is");
}

#[test]
fn nobody_is_thanked_for_what_is_not_paid() {
    let texts = &examples::pages().texts;
    let thanked = |subscriptions: Vec<Subscription>| {
        let asked = Asked { upgraded: Some("1".into()), done: None };
        done(texts, &asked, &standing(subscriptions, on(3, 10)), on(3, 10)).is_some()
    };
    let bought = || Subscription { started_at: on(3, 10), ..paid() };
    assert!(thanked(vec![bought()]));
    assert!(!thanked(vec![paid()]), "nothing was bought just now: the address alone says so");
    assert!(!thanked(vec![]), "nothing has come of it yet");
    assert!(!thanked(vec![subscription("price_monthly", State::PastDue { since: on(3, 9) })]), "an old address");
}

#[test]
fn what_can_be_done_follows_from_the_subscriptions() {
    let polar = SubscriptionId { provider: Provider::Polar, id: "polar_1".into() };
    let polar = Subscription { id: polar, prices: vec!["product_annual".into()], ..paid() };
    let over = subscription("price_monthly", State::Ended { at: on(3, 9) });
    let cases = [
        ("nothing", vec![], ["See the plans", "Free"]),
        ("over", vec![over], ["See the plans", "No subscription"]),
        ("goes on", vec![paid()], ["Cancel at the end of the period", "Manage subscription"]),
        ("ends", vec![ending(on(4, 1))], ["Keep the subscription", "Not renewing"]),
        ("one of two ends", vec![ending(on(4, 1)), paid()], ["Cancel at the end of the period", "Active"]),
        ("another provider", vec![polar.clone()], ["Cancel at the end of the period", "Paid"]),
    ];
    let actions = ["See the plans", "Cancel at the end", "Keep the subscription"];
    for (what, subscriptions, expected) in cases {
        let html = rendered(subscriptions);
        for text in expected {
            assert!(html.contains(text), "{what}: {text}: {html}");
        }
        let found = actions.iter().filter(|action| html.contains(**action)).count();
        assert_eq!(found, 1, "{what}: {html}");
        let is_subscribed = !html.contains("See the plans");
        assert_eq!(html.contains(r#"action="/billing/portal""#), is_subscribed, "{what}: nothing else to manage");
    }
    // Both are ended, or none.
    let both = standing(vec![polar, ending(on(4, 1))], on(3, 10));
    let html = page_of(&examples::pages(), &both, &nobody(), &[Provider::Stripe]).render().expect("a page");
    assert!(!actions.iter().any(|action| html.contains(action)), "one cannot be asked for: {html}");
    assert!(html.contains("Manage subscription"), "{html}");
}

#[test]
fn a_user_who_may_not_buy_sees_the_page_without_its_buttons() {
    let look = examples::pages();
    let member = claims("acme", Some("bob"), false);
    let states = [
        vec![],
        vec![paid()],
        vec![ending(on(4, 1))],
        vec![subscription("price_monthly", State::PastDue { since: on(3, 9) })],
        vec![subscription("price_monthly", State::Paused)],
    ];
    for subscriptions in states {
        let page = page(&look, &standing(subscriptions, on(3, 10)), &nobody());
        let html = Page { not_a_buyer: not_a_buyer(&look.texts, &member), ..page.clone() }.render().expect("a page");
        assert!(!html.contains("<form") && !html.contains(r#"class="button"#), "{html}");
        assert!(html.contains("Only those who manage billing for acme can change this."), "{html}");
        let buyer = claims("acme", Some("ada"), true);
        let html = Page { not_a_buyer: not_a_buyer(&look.texts, &buyer), ..page }.render().expect("a page");
        assert!(!html.contains("Only those who manage billing"), "{html}");
        assert!(html.contains("<form") || html.contains("See the plans"), "{html}");
    }
}

#[test]
fn the_page_names_who_is_signed_in_and_for_which_account() {
    let look = examples::pages();
    for (claims, expected) in [
        (claims("user-1", None, true), "Signed in as user-1<"),
        (claims("acme", Some("ada"), true), "Signed in as ada, for acme<"),
        (claims("<b>", Some("<i>"), true), "Signed in as &#60;i&#62;, for &#60;b&#62;<"),
    ] {
        let page = page(&look, &standing(vec![], on(3, 10)), &nobody());
        let html = Page { frame: page.frame.clone().with_claims(&claims), ..page }.render().expect("a page");
        assert!(html.contains(expected), "{expected}: {html}");
    }
}

#[test]
fn credit_and_invitations_are_shown_when_there_are_any() {
    let look = examples::pages();
    let nothing = standing(vec![], on(3, 10));
    let told = |inviting: &Inviting| page(&look, &nothing, inviting).render().expect("a page");
    let html = told(&nobody());
    assert!(!html.contains("on your account"), "{html}");
    assert!(html.contains(r#"value="https://read.example/billing/r/abc2345678""#), "{html}");
    assert!(!html.contains("friends have joined") && html.contains("45 days of paid access"), "{html}");
    let html = told(&Inviting { converted: 1, credit_days_left: 44, ..nobody() });
    assert!(html.contains("+44 days on your account") && !html.contains("it begins when"), "{html}");
    let waiting = Inviting { credit_days_left: 45, ..nobody() };
    let html = page(&look, &standing(vec![paid()], on(3, 10)), &waiting).render().expect("a page");
    assert!(html.contains("it begins when your subscription ends"), "{html}");
    let html = told(&Inviting { converted: 1, credit_days_left: 44, ..nobody() });
    assert!(html.contains("1 friend has joined"), "{html}");
    assert!(!html.contains("Manage subscription"), "credit alone is nothing to manage");
    let html = told(&Inviting { credit_days: 0, ..nobody() });
    assert!(!html.contains("Invite"), "nobody is asked to invite for nothing: {html}");
}

#[test]
fn no_text_of_the_page_is_out_of_the_operators_reach() {
    let look = marked();
    let states = [
        vec![],
        vec![paid()],
        vec![ending(on(4, 1))],
        vec![subscription("price_annual", State::Trialing { ends_at: on(3, 15) })],
        vec![subscription("price_monthly", State::PastDue { since: on(3, 9) })],
    ];
    let line = || invoices::Line {
        date: "§".into(),
        amount: "£7".into(),
        status: "§".into(),
        pay_url: Some("/".into()),
        pdf_url: Some("/".into()),
    };
    for subscriptions in states {
        let inviting = Inviting { converted: 2, credit_days_left: 3, ..nobody() };
        let page = page(&look, &standing(subscriptions, on(3, 10)), &inviting);
        for invoices in [Invoices::Known(vec![line()]), Invoices::Unavailable] {
            let html = Page { invoices, done: Some("§".into()), ..page.clone() }.render().expect("a page");
            let claims = claims("acme", Some("bob"), false);
            let (frame, not_a_buyer) = (page.frame.clone().with_claims(&claims), not_a_buyer(&look.texts, &claims));
            let blocked = Some(look.texts.account.blocked.clone());
            let html = html + &Page { frame, not_a_buyer, blocked, ..page.clone() }.render().expect("a page");
            for text in read_out(&html) {
                let data = ["£", "Free", "Paid", "read.example"];
                assert!(text.contains('§') || data.iter().any(|data| text.starts_with(data)), "{text:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn nothing_that_is_shown_can_become_markup(text in hostile()) {
        let look = examples::pages();
        let rendered = |text: &str| {
            let inviting = Inviting { link: text.to_owned(), ..nobody() };
            let page = page(&look, &standing(vec![paid()], on(3, 10)), &inviting);
            let plan = Plan { tier_name: text.to_owned(), tier_code: text.to_owned(), ..page.plan.clone() };
            let line = invoices::Line {
                date: text.to_owned(),
                amount: text.to_owned(),
                status: text.to_owned(),
                pay_url: Some(text.to_owned()),
                pdf_url: Some(text.to_owned()),
            };
            let frame = page.frame.clone().with_error(Some(text.to_owned()));
            let invoices = Invoices::Known(vec![line]);
            Page { frame, done: Some(text.to_owned()), plan, invoices, ..page }.render().expect("a page")
        };
        let (plain, shown) = (rendered("x"), rendered(&text));
        prop_assert_eq!(elements(&shown), elements(&plain));
        prop_assert_eq!(shown.matches('"').count(), plain.matches('"').count(), "no attribute ends early");
    }
}
