//! A purchase in a browser that runs no scripts.

use super::{MONTHLY, Visit, eyes};

#[tokio::test]
async fn a_month_is_bought_ended_and_kept_without_a_script() {
    let visit = Visit::start().await;
    let browser = &visit.browser;
    eyes::without_scripts(browser).await;
    visit.open_as(0, "/billing/pricing?next=/premium/lighthouses").await;
    browser.sees("Pricing").await;
    let opens = "[data-tier=paid] [data-cadence=monthly] > button";
    browser.find(opens).await.click().await.expect("the sheet opens");
    let button = browser.find(&format!("{MONTHLY} button")).await;
    button.click().await.expect("it is pressed");
    assert_eq!(browser.path().await, "/billing/pricing?next=/premium/lighthouses", "the browser asks for the tick");

    // A browser that does not ask sends the form, and is answered with the page.
    let lax = "document.querySelector('input[name=consent]').required = false";
    browser.driver.execute(lax, vec![]).await.expect("it asks no more");
    button.click().await.expect("it is pressed");
    assert!(browser.text("[role=alert]").await.contains("Please agree first"));
    eyes::audit(browser, "pricing without the consent").await;
    browser.find(opens).await.click().await.expect("the sheet opens");
    browser.find(&format!("{MONTHLY} input[name=consent]")).await.click().await.expect("it is ticked");
    browser.find(&format!("{MONTHLY} button")).await.click().await.expect("the checkout opens");
    browser.click("Pay").await;
    browser.sees("The keepers who never left").await;

    visit.open("/billing").await;
    browser.click("Manage subscription").await;
    browser.sees("Your subscriptions").await;
    visit.open("/billing").await;
    browser.find("details > summary").await.click().await.expect("it opens");
    browser.click("Cancel at the end of the period").await;
    assert!(browser.text("[role=status]").await.starts_with("Your subscription ends on "));
    visit.comes_to_say("[data-status]", "Not renewing").await;
    browser.click("Keep the subscription").await;
    visit.comes_to_say("[data-status]", "Active").await;
    visit.end().await;
}
