//! Managing what was bought, ending it, and taking the end back.

use super::{Visit, eyes};

#[tokio::test]
async fn a_subscriber_manages_ends_and_goes_on() {
    let visit = Visit::start().await;
    let browser = &visit.browser;
    visit.open_as(0, "/billing").await;
    browser.sees("Your plan").await;
    assert_eq!(browser.text("[data-tier]").await, "Free");
    eyes::audit(browser, "the plan of the free").await;
    browser.click("See the plans").await;
    browser.sees("Pricing").await;
    visit.start_trial().await;

    browser.click("Manage subscription").await;
    browser.sees("Your subscriptions").await;
    browser.click("Return to the site").await;
    browser.sees("Your plan").await;
    assert_eq!(browser.path().await, "/billing");

    let cancel = browser.find("details > summary").await;
    assert_eq!(cancel.text().await.expect("a text"), "Cancel subscription");
    cancel.click().await.expect("it opens");
    eyes::audit(browser, "the plan, about to be ended").await;
    let told = browser.text(".confirm p").await;
    let (_, day) = told.split_once("then ends on ").expect("a date");
    let ending =
        format!("Your subscription ends on {}. Nothing more is charged.", day.split(',').next().expect("a day"));
    browser.click("Cancel at the end of the period").await;
    assert_eq!(browser.text("[role=status]").await, ending);
    visit.comes_to_say("[data-status]", "Not renewing").await;
    assert!(browser.text(".subscription").await.starts_with("Ends on "));
    let article = demo::site::paid_paths().next().expect("a paid article");
    visit.open(&article).await;
    assert_eq!(browser.path().await, article, "it is paid for");

    visit.open("/billing").await;
    eyes::picture(browser, "account-ending").await;
    browser.click("Keep the subscription").await;
    assert_eq!(browser.text("[role=status]").await, "Your subscription goes on.");
    visit.comes_to_say("[data-status]", "Free trial").await;
    visit.end().await;
}
