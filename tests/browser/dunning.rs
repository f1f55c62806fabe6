//! A renewal that fails: what is said of it, until when there is access all the same, and how it is mended.

use std::time::Duration;

use chrono::{DateTime, Utc};
use demo::provider::Card;
use demo::site::seeded_users;
use thirtyfour::By;

use super::{Visit, eyes};
use crate::world::wait::DEADLINE;
use crate::world::{now, token};

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn a_payment_that_failed_is_said_with_what_to_do_and_is_mended_in_the_portal() {
    let visit = Visit::start().await;
    let browser = &visit.browser;
    let provider = visit.world.provider.as_ref().expect("this world has one");
    let later = async |days: u32| {
        provider.advance(DAY * days).expect("later");
        provider.settled(DEADLINE).await.expect("told");
    };
    visit.open_as(0, "/billing/pricing").await;
    browser.sees("Pricing").await;
    visit.order_a_month().await;
    browser.click("Pay").await;
    browser.sees("Your plan").await;
    assert_eq!(browser.text("[data-status]").await, "Active");

    let customer = provider.customers()[0]["id"].as_str().expect("an id").to_owned();
    provider.set_card(&customer, Card::Declined).expect("the card has expired");
    later(32).await;
    visit.open("/billing").await;
    visit.comes_to_say("[data-status]", "Payment failed").await;
    let until = access_until(&visit).await;
    assert!((13..=14).contains(&(until - now()).num_days()), "the grace of the configuration: {until}");
    let warning = browser.text(".notice.warn").await;
    let day = until.format("%-d %B %Y");
    for text in ["Your last payment failed", &format!("You have access until {day}."), "Update payment method"] {
        assert!(warning.contains(text), "{text}: {warning}");
    }
    let open = browser.text(".invoices li").await;
    let (bill, _) = open.split_once('\n').or(open.split_once(" £")).expect("a date first");
    assert!(open.contains("Open") && open.contains("Pay"), "it can be paid: {open}");
    assert!(warning.contains(&format!("The payment of {bill} failed.")), "{bill}: {warning}");
    eyes::audit(browser, "the plan whose payment failed").await;
    eyes::picture(browser, "account-past-due").await;
    let article = demo::site::paid_paths().next().expect("a paid article");
    visit.open(&article).await;
    assert_eq!(browser.path().await, article, "there is access all the same");

    visit.open("/billing").await;
    browser.click("Update payment method").await;
    browser.sees("Your subscriptions").await;
    browser.click("Use a card that works").await;
    browser.click("Return to the site").await;
    browser.sees("Your plan").await;
    // The provider tries again after some days.
    later(8).await;
    visit.comes_to_say("[data-status]", "Active").await;
    assert!(browser.driver.find_all(By::Css(".notice")).await.expect("an answer").is_empty(), "nothing is amiss");
    let invoices = browser.text(".invoices").await;
    assert_eq!(invoices.matches("Paid").count(), 2, "{invoices}");
    visit.end().await;
}

async fn access_until(visit: &Visit) -> DateTime<Utc> {
    let standing = visit.world.get("/api/billing/subscription", Some(&token(&seeded_users()[0].id))).await.json();
    assert_eq!(standing["status"], "past_due", "{standing}");
    standing["valid_until"].as_str().and_then(|until| until.parse().ok()).unwrap_or_else(|| panic!("{standing}"))
}
