//! One person invites another, who pays: both read on it, and both see what they have.

use demo::site::seeded_users;

use super::{Visit, eyes};
use crate::world::eventually;

#[tokio::test]
async fn who_invites_a_buyer_sees_it_and_both_have_days_on_their_account() {
    let visit = Visit::start().await;
    let browser = &visit.browser;
    visit.open_as(0, "/billing").await;
    browser.sees("Your plan").await;
    let link = browser.find("#link").await.value().await.expect("an answer").expect("a link");
    let forget = browser.driver.delete_all_cookies().await;
    forget.expect("another browser");

    visit.open(link.strip_prefix(&visit.world.url).expect("a link to the site")).await;
    let invited = "You were invited: after your first payment you get 45 days of paid access on top.";
    visit.open("/billing/pricing").await;
    assert_eq!(browser.text(".notice").await, invited, "before signing in");
    visit.open_as(1, "/billing/pricing").await;
    browser.sees("Pricing").await;
    assert_eq!(browser.text(".notice").await, invited);
    eyes::audit(browser, "pricing for who was invited").await;
    visit.order_a_month().await;
    browser.click("Pay").await;
    browser.sees("Your plan").await;
    visit.comes_to_say("#credit", "+45 days on your account").await;
    assert!(browser.text("[aria-labelledby=credit]").await.contains("it begins when your subscription ends"));
    assert_eq!(browser.text("[data-status]").await, "Active");
    let invoices = browser.text(".invoices").await;
    assert!(invoices.contains("£7") && invoices.contains("Paid"), "{invoices}");
    let document = browser.find(".invoices a").await.attr("href").await.expect("an answer").expect("a link");
    assert!(document.starts_with("http"), "{document}");
    eyes::audit(browser, "the plan of who was invited").await;
    eyes::picture(browser, "account-invited").await;

    visit.open("/logout").await;
    visit.open_as(0, "/billing").await;
    eventually("the invitation has counted", async || {
        browser.driver.refresh().await.ok()?;
        let told = browser.driver.find(thirtyfour::By::Css("[data-conversions]")).await.ok()?.text().await.ok()?;
        told.starts_with("1 friend has joined").then_some(())
    })
    .await;
    assert_eq!(browser.text("#credit").await, "+45 days on your account");
    assert_eq!(browser.text("[data-status]").await, "Credit");
    assert!(
        browser.driver.find_all(thirtyfour::By::Css("form")).await.expect("an answer").is_empty(),
        "nothing to manage"
    );
    assert_eq!(browser.text(".actions").await, "See the plans");
    eyes::audit(browser, "the plan of who invites").await;
    let article = demo::site::paid_paths().next().expect("a paid article");
    visit.open(&article).await;
    assert_eq!(browser.path().await, article, "{} reads on credit", seeded_users()[0].name);
    visit.end().await;
}
