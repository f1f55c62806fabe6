//! The three states of the pricing page, and catalogs of several shapes.

use entitlement::subscription::State as SubscriptionState;
use proptest::prelude::*;

use super::*;
use crate::api::standing::examples::{CATALOG, on, standing, subscription};
use crate::pages::examples;
use crate::pages::look::Pages;
use crate::pages::tests::{claims, elements, hostile, marked, read_out};

/// Five tiers that no page was drawn for.
const WORST: &str = include_str!("../../../../tests/browser/worst.toml");

/// The marketplace: four tiers, of which one has no price.
const MARKET: &str = include_str!("../../../../tests/browser/market.toml");

fn frame(look: &Pages) -> Frame<'_> {
    Frame::of(look, "/billing/pricing", &look.texts.pricing.title, links::PRICING_PATH)
}

fn catalog(text: &str) -> Catalog {
    toml::from_str(text).expect("a catalog")
}

/// The page of somebody signed in.
fn of(look: &Pages, standing: &Standing, next: Option<&str>) -> String {
    let tier = standing.segment.plan.tier.clone();
    let viewer = viewer(&look.texts, standing, on(3, 10));
    let held = standing.held(on(3, 10)).first().map(|live| live.price);
    let page = page(frame(look), viewer, &Sold { held, ..by_month(standing.catalog()) }, Some(&tier));
    Page { next: next.map(Into::into), ..page }.render().expect("a page")
}

fn by_month(catalog: &Catalog) -> Sold<'_> {
    Sold { catalog, sellers: &[Provider::Stripe], shown: Cadence::Monthly, held: None }
}

fn sold(look: &Pages, catalog: &Catalog, viewer: Viewer) -> String {
    page(frame(look), viewer, &by_month(catalog), None).render().expect("a page")
}

fn free() -> Viewer {
    Viewer::Free { trial: Trial::Offered }
}

fn forms(html: &str) -> Vec<&str> {
    html.split("<form").skip(1).filter_map(|form| form.split("</form>").next()).collect()
}

#[test]
fn an_anonymous_visitor_is_led_to_sign_in_and_back() {
    let look = examples::pages();
    let viewer = Viewer::Anonymous { sign_in: "/login?next=%2Fbilling%2Fpricing".into() };
    let html = sold(&look, &catalog(CATALOG), viewer);
    assert_eq!(html.matches(r#"href="/login?next=%2Fbilling%2Fpricing""#).count(), 2, "{html}");
    assert!(html.contains("£7 <span>a month</span>") && html.contains("£70 <span>a year</span>"), "{html}");
    let free = html.split(r#"data-tier="free""#).nth(1).and_then(|html| html.split("</section>").next());
    let free = free.expect("a column for everybody");
    assert!(free.contains(r#"<p class="amount">£0</p>"#), "{free}");
    assert!(!free.contains("nlimited"), "nobody promises everything for nothing: {free}");
    assert!(!html.contains("<form"), "nothing to buy with");
}

#[test]
fn a_free_user_buys_and_ticks_the_box_first_where_one_is_asked_for() {
    let look = examples::pages();
    let html = of(&look, &standing(vec![], on(3, 10)), Some("/premium/a"));
    let forms = forms(&html);
    let [monthly, annual] = forms.as_slice() else { panic!("two prices of Stripe: {html}") };
    assert!(monthly.contains(r#"name="consent" value="monthly-waiver-1" required"#), "{monthly}");
    assert!(
        monthly.contains(r#"type="hidden" name="consent_digest" value=""#),
        "it says which text it shows: {monthly}"
    );
    assert!(monthly.contains("I want access to begin at once.") && monthly.contains("<label"), "{monthly}");
    assert!(!monthly.contains("disabled"), "without a script the server refuses, and says so");
    assert!(!annual.contains("consent"), "{annual}");
    for (form, cadence) in [(monthly, "monthly"), (annual, "annual")] {
        assert!(form.contains(r#"method="post" action="/billing/checkout""#), "{form}");
        assert!(form.contains(r#"name="tier" value="paid""#), "{form}");
        assert!(form.contains(&format!(r#"name="cadence" value="{cadence}""#)), "{form}");
        assert!(form.contains(r#"name="next" value="/premium/a""#), "{form}");
    }
    assert!(html.contains("14 days free, then £70 a year."), "{html}");
    assert!(!html.contains("Manage subscription"), "there is none");
}

#[test]
fn a_user_who_may_not_buy_sees_what_is_sold_without_a_button() {
    let look = examples::pages();
    let html = sold(&look, &catalog(CATALOG), member(&look.texts, &claims("acme", Some("bob"), false)));
    assert!(!html.contains("<form") && !html.contains(r#"class="button"#), "{html}");
    assert!(html.contains("£7 <span>a month</span>") && !html.contains("days free"), "{html}");
    assert!(html.contains("Plans are bought and changed by those who manage billing for acme."), "{html}");
}

#[test]
fn a_trial_is_not_promised_twice() {
    let look = examples::pages();
    let over = subscription("price_annual", SubscriptionState::Ended { at: on(3, 9) });
    let html = of(&look, &standing(vec![over], on(3, 10)), None);
    assert!(!html.contains("days free") && !html.contains("free trial"), "{html}");
}

#[test]
fn a_subscriber_manages_and_cannot_buy_a_second_time() {
    let look = examples::pages();
    let active = SubscriptionState::Active { paid_until: Some(on(4, 1)) };
    let html = of(&look, &standing(vec![subscription("price_monthly", active)], on(3, 10)), None);
    assert!(html.contains("Manage subscription") && html.contains(r#"action="/billing/portal""#), "{html}");
    assert!(!html.contains("/billing/checkout"), "{html}");
    let paid = html.split(r#"data-tier="paid""#).nth(1).expect("the column");
    assert!(paid.contains(r#"<p class="badge">Your plan</p>"#), "{html}");
    assert!(paid.contains("£7 <span>a month") && !paid.contains("£70"), "the price that is paid: {html}");
    assert_eq!(html.matches("Manage subscription").count(), 1, "{html}");
}

#[test]
fn a_subscriber_of_a_price_that_is_not_sold_any_more_manages_as_well() {
    let look = examples::pages();
    let active = SubscriptionState::Active { paid_until: Some(on(4, 1)) };
    let html = of(&look, &standing(vec![subscription("price_of_last_year", active)], on(3, 10)), None);
    assert!(html.contains("Manage subscription") && !html.contains("/billing/checkout"), "{html}");
}

#[test]
fn a_price_whose_text_is_not_known_is_not_sold_on_this_page() {
    let catalog = catalog(&CATALOG.replace("monthly-waiver-1", "of-the-site-1"));
    let html = sold(&examples::pages(), &catalog, free());
    assert!(html.contains("cannot be bought on this page"), "{html}");
    assert_eq!(forms(&html).len(), 1, "the annual price is still sold");
    let mut look = examples::look();
    look.consents.insert("of-the-site-1".into(), "I agree to that.".into());
    let html = sold(&Pages::new(look), &catalog, free());
    assert!(html.contains("I agree to that.") && forms(&html).len() == 2, "{html}");
}

#[test]
fn four_tiers_say_what_each_has_beyond_the_one_below() {
    let mut look = examples::look();
    look.contact_url = Some("mailto:sales@market.example".into());
    let html = sold(&Pages::new(look), &catalog(MARKET), free());
    let columns: Vec<&str> = html.split("<section").skip(1).collect();
    let [essential, professional, business, enterprise] = columns.as_slice() else { panic!("{html}") };
    for gain in ["Basic support", "Products: 200", "Orders: 100 per billing period", "Team members: 1"] {
        assert!(essential.contains(&format!("<li>{gain}</li>")), "{gain}: {essential}");
    }
    assert!(!essential.contains("Everything in"), "{essential}");
    assert!(professional.contains("Everything in Essential, and:"), "{professional}");
    assert!(professional.contains("<li>Products: unlimited</li>"), "{professional}");
    assert!(professional.contains("<li>Priority support</li>") && !professional.contains("Basic support"));
    assert!(business.contains("<li>API access</li>") && business.contains("<li>Orders: 2,000 per billing period</li>"));
    assert!(enterprise.contains(r#"href="mailto:sales@market.example""#), "{enterprise}");
    assert!(enterprise.contains("Custom") && !enterprise.contains("<form"), "{enterprise}");
    assert!(enterprise.contains("<li>Orders: unlimited</li>"), "{enterprise}");
}

#[test]
fn several_tiers_with_both_cadences_get_a_switch_that_says_what_the_year_saves() {
    let look = examples::pages();
    let market = catalog(MARKET);
    let html = sold(&look, &market, free());
    assert!(html.contains(r#"value="monthly" checked"#) && html.contains("save up to 17%"), "{html}");
    let annual = page(frame(&look), free(), &Sold { shown: Cadence::Annual, ..by_month(&market) }, None)
        .render()
        .expect("a page");
    assert!(annual.contains(r#"value="annual" checked"#), "{annual}");
    let single = sold(&look, &catalog(CATALOG), free());
    assert!(
        single.contains("<fieldset") && single.contains("save up to 16%"),
        "one tier with both is enough: {single}"
    );
    let monthly = catalog(&CATALOG.replace("cadence = \"annual\"", "cadence = \"monthly\""));
    assert!(!sold(&look, &monthly, free()).contains("<fieldset"), "there is nothing to switch");
}

#[test]
fn a_tier_says_what_it_is_for_whether_it_is_recommended_and_that_it_has_one_cadence() {
    let look = examples::pages();
    let html = sold(&look, &catalog(WORST), free());
    let column = |code: &str| {
        let column =
            html.split(&format!("data-tier=\"{code}\"")).nth(1).and_then(|html| html.split("</section>").next());
        column.unwrap_or_else(|| panic!("{code}: {html}"))
    };
    assert!(column("starter").contains("Billed monthly only") && !column("long").contains("only"), "{html}");
    assert!(column("long").contains(r#"<p class="badge">Most popular</p>"#), "{html}");
    assert!(column("starter").contains(r#"class="opens wide quiet""#), "another one stands out: {html}");
    assert!(column("long").contains(r#"class="opens wide""#), "{html}");
    assert!(column("long").contains(r#"<p class="about">For companies"#), "{html}");
    let gains: Vec<&str> =
        column("starter").split("<li>").skip(1).filter_map(|gain| gain.split("</li>").next()).collect();
    assert_eq!(gains, ["Weekly report", "CSV export", "API calls: 10,000 per billing period"], "as written");
    assert!(column("long").contains("<li>Vierundzwanzigstundenbereitschaftsdienst</li>\n<li>SSO SAML</li>"), "{html}");
    assert!(!html.contains("For one house"), "it is hidden");
    let own =
        page(frame(&look), Viewer::Subscribed, &by_month(&catalog(WORST)), Some("house")).render().expect("a page");
    assert!(own.contains("For one house"), "but not from those that have it: {own}");
}

#[test]
fn an_invitation_is_told_where_it_gives_something() {
    let look = examples::pages();
    let told = invited(&look.texts, 45).expect("a text");
    assert_eq!(told, "You were invited: after your first payment you get 45 days of paid access on top.");
    assert_eq!(invited(&look.texts, 0), None);
}

#[test]
fn no_text_of_the_page_is_out_of_the_operators_reach() {
    let look = marked();
    let active = SubscriptionState::Active { paid_until: Some(on(4, 1)) };
    let subscribed = standing(vec![subscription("price_monthly", active)], on(3, 10));
    let anonymous = Viewer::Anonymous { sign_in: "/login".into() };
    let pages = [
        of(&look, &subscribed, None),
        of(&look, &standing(vec![], on(3, 10)), None),
        sold(&look, &catalog(MARKET), free()),
        sold(&look, &catalog(MARKET), anonymous),
        sold(&look, &catalog(CATALOG), member(&look.texts, &claims("acme", Some("bob"), false))),
    ];
    for text in pages.iter().flat_map(|html| read_out(html)) {
        // Names and amounts of the catalog, codes without a word of their own, the name of the site.
        let data = ["£", "€", "Free", "Paid", "Enterprise", "Essential", "Professional", "Business", "read.example"];
        assert!(text.contains('§') || data.iter().any(|data| text.starts_with(data)), "{text:?}");
    }
}

proptest! {
    #[test]
    fn nothing_that_is_shown_can_become_markup(text in hostile(), next in hostile()) {
        let rendered = |name: &str, next: &str, error: &str, sign_in: &str| {
            let mut tiers: toml::Table = CATALOG.parse().expect("a catalog");
            tiers["tier"][1]["name"] = name.into();
            let catalog: Catalog = tiers.try_into().expect("a catalog");
            let mut look = examples::look();
            look.words.insert("archive".into(), name.into());
            look.site_name = name.into();
            let look = Pages::new(look);
            let frame = frame(&look).with_error(Some(error.to_owned()));
            let page = page(frame, free(), &by_month(&catalog), None);
            let buying = Page { next: Some(next.to_owned()), ..page }.render().expect("a page");
            let viewer = Viewer::Anonymous { sign_in: sign_in.to_owned() };
            buying + &sold(&look, &catalog, viewer)
        };
        let (plain, shown) = (rendered("x", "y", "z", "w"), rendered(&text, &next, &text, &next));
        prop_assert_eq!(elements(&shown), elements(&plain));
        prop_assert_eq!(shown.matches('"').count(), plain.matches('"').count(), "no attribute ends early");
    }
}
