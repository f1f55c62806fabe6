//! From a closed page to an open one, with a month or with a year.

use demo::site::seeded_users;

use super::forms::sent;
use super::{ANNUAL, MONTHLY, Visit, eyes};
use crate::world::{Arrangement, token};

#[tokio::test]
async fn a_person_signs_in_agrees_pays_and_reads() {
    let visit = Visit::start().await;
    let browser = &visit.browser;
    let article = demo::site::paid_paths().next().expect("a paid article");
    visit.open("/billing/pricing").await;
    browser.sees("Pricing").await;
    eyes::audit(browser, "pricing for the anonymous").await;
    eyes::picture(browser, "pricing-anonymous").await;

    visit.open("/").await;
    let title = browser.text(&format!("a[href='{article}']")).await;
    browser.click(&title).await;
    browser.sees("Sign in").await;
    browser.click(&seeded_users()[0].name).await;
    browser.sees("Pricing").await;
    assert!(browser.path().await.contains("next="), "the page remembers where the buyer comes from");
    eyes::audit(browser, "pricing for the free").await;
    eyes::picture(browser, "pricing").await;
    eyes::picture_in_a_hand(browser, "pricing").await;

    browser.find("[data-tier=paid] [data-cadence=monthly] > button").await.click().await.expect("the sheet opens");
    eyes::audit(browser, "the order").await;
    eyes::picture(browser, "pricing-order").await;
    let button = browser.find(&format!("{MONTHLY} button")).await;
    assert!(button.is_enabled().await.expect("a state"), "it looks like what can be bought");
    button.click().await.expect("it is pressed");
    assert!(browser.path().await.starts_with("/billing/pricing"), "nothing is bought without the consent");
    let consent = browser.find(&format!("{MONTHLY} input[name=consent]")).await;
    consent.click().await.expect("it is ticked");
    button.click().await.expect("the checkout opens");
    browser.click("Card is declined").await;
    assert!(browser.text("[role=alert]").await.contains("declined"));
    browser.click("Pay").await;

    browser.sees(&title).await;
    assert_eq!(browser.path().await, article, "back on the page that was asked for");
    assert!(browser.text("footer").await.contains("paid"), "the site is told");

    visit.open("/billing/pricing").await;
    browser.sees("Pricing").await;
    let own = browser.text("[data-tier=paid]").await;
    assert!(own.contains("Your plan") && own.contains("£7\na month") && !own.contains("£70"), "its own price: {own}");
    assert!(browser.driver.find_all(thirtyfour::By::Css(MONTHLY)).await.expect("an answer").is_empty());
    eyes::audit(browser, "pricing for subscribers").await;
    eyes::picture(browser, "pricing-subscribed").await;

    // Another window still shows the form that sells.
    let (world, buyer) = (&visit.world, token(&seeded_users()[0].id));
    let again = [("tier", "paid"), ("cadence", "annual")];
    let answer = sent(world, "/billing/checkout", Some(&buyer), &[("origin", &world.url)], &again).await;
    assert_eq!(answer.status, 409, "{answer:?}");
    let ways_on = ["You have a subscription already", "Manage subscription"];
    assert!(ways_on.iter().all(|text| answer.body.contains(text)), "{answer:?}");

    visit.open(&article).await;
    browser.click("Sign out").await;
    visit.open(&article).await;
    browser.sees("Sign in").await;
    visit.end().await;
}

crate::journeys::in_every_arrangement!(a_month_is_bought_managed_and_ended_in_a_browser);

async fn a_month_is_bought_managed_and_ended_in_a_browser(arrangement: Arrangement) {
    let visit = Visit::in_arrangement(arrangement).await;
    let browser = &visit.browser;
    let article = demo::site::paid_paths().next().expect("a paid article");
    visit.open_as(2, &article).await;
    browser.sees("Pricing").await;
    visit.order_a_month().await;
    browser.click("Pay").await;
    browser.find("article").await;
    assert_eq!(browser.path().await, article, "back on the page that was asked for");
    visit.open("/billing").await;
    assert_eq!(browser.text("[data-status]").await, "Active");
    browser.find("details > summary").await.click().await.expect("it opens");
    browser.click("Cancel at the end of the period").await;
    visit.comes_to_say("[data-status]", "Not renewing").await;
    browser.click("Keep the subscription").await;
    visit.comes_to_say("[data-status]", "Active").await;
    visit.end().await;
}

#[tokio::test]
async fn a_year_begins_with_a_trial_that_counts_down() {
    let visit = Visit::start().await;
    let browser = &visit.browser;
    visit.open_as(1, "/billing/pricing").await;
    browser.sees("Pricing").await;
    visit.shows("annual").await;
    assert!(browser.text("[data-tier=paid]").await.contains("14 days free, then £70 a year."));
    assert_eq!(
        browser.find(&format!("{ANNUAL} button")).await.is_enabled().await.ok(),
        Some(true),
        "no consent needed"
    );
    visit.start_trial().await;
    assert!(browser.path().await.contains("upgraded=1"));
    assert_eq!(browser.text("[role=status]").await, "Thank you. Your plan is active.");
    assert_eq!(browser.text("[data-tier]").await, "Paid");
    assert_eq!(browser.text("[data-status]").await, "Free trial");
    assert_eq!(browser.text(".countdown").await, "Free trial: 14 days remaining");
    assert!(browser.text(".subscription").await.starts_with("Then £70 a year, from "));
    let link = browser.find("#link").await.value().await.expect("an answer").expect("a link");
    assert!(link.starts_with(&format!("{}/billing/r/", visit.world.url)), "{link}");
    eyes::audit(browser, "the plan in its trial").await;
    visit.open("/billing").await;
    browser.sees("Your plan").await;
    eyes::picture(browser, "account-trial").await;
    visit.end().await;
}
