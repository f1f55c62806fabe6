//! A catalog with four tiers, by the month and by the year, on pages that look and speak as their operator wants.

use super::{Visit, eyes};
use crate::world::{Arrangement, Setup};

const MARKET: &str = include_str!("market.toml");

/// A visit to a marketplace that has its own name, colours and words.
pub async fn visit() -> Visit {
    let file = |name: &str| format!("\"{}/tests/browser/{name}\"", env!("CARGO_MANIFEST_DIR"));
    let setup = Setup::new(Arrangement::AllPostgresRedis)
        .routes("[[route]]\npath = \"/premium/**\"\nrequire = { tier = \"essential\" }\n")
        .key("pages.site_name", "\"Tidewater Market\"")
        .key("pages.logo", &file("market.svg"))
        .key("pages.stylesheet", &file("market.css"))
        .key("pages.texts.pricing.title", "\"Plans for every shop\"")
        .key("pages.contact_url", "\"mailto:sales@market.example\"");
    Visit::with(Setup { catalog: MARKET.to_owned(), ..setup }).await
}

#[tokio::test]
async fn four_tiers_stand_beside_each_other() {
    let visit = visit().await;
    let browser = &visit.browser;
    visit.open_as(1, "/billing/pricing").await;
    browser.sees("Plans for every shop").await;
    eyes::audit(browser, "pricing of four tiers").await;
    eyes::picture(browser, "pricing-tiers").await;
    let logo = browser.find(".brand img").await;
    assert_eq!(logo.attr("alt").await.expect("an answer").as_deref(), Some("Tidewater Market"));
    let drawn = browser.driver.execute("return document.querySelector('.brand img').naturalWidth", vec![]).await;
    assert!(drawn.expect("an answer").convert::<u32>().expect("a width") > 0, "the policy lets the logo through");
    let button = browser.find("[data-tier=essential] button").await;
    let colour = button.css_value("background-color").await.expect("a colour");
    assert!(colour.contains("15, 98, 84"), "the operator's own: {colour}");
    assert!(browser.text("[data-tier=enterprise]").await.contains("Contact us"));
    browser.find("label[for=shown-annual]").await.click().await.expect("the other prices");
    assert!(browser.text("[data-tier=business]").await.contains("€1,980 a year"));
    eyes::audit(browser, "pricing of four tiers by the year").await;

    // The simulated provider does not know these prices: its refusal is shown where the buyer is.
    browser.find("[data-tier=essential] [data-cadence=annual] button").await.click().await.expect("it is pressed");
    assert!(browser.text("[role=alert]").await.contains("That did not work"));
    let alert = browser.driver.active_element().await.expect("a focus");
    assert_eq!(alert.attr("role").await.expect("an answer").as_deref(), Some("alert"), "it is read out first");
    assert!(browser.driver.title().await.expect("a title").starts_with("Problem: "));
    assert!(browser.text("[data-tier=essential]").await.contains("€490 a year"), "the choice stays");
    eyes::audit(browser, "pricing with a problem").await;
    eyes::picture(browser, "pricing-problem").await;

    visit.open("/billing/none").await;
    eyes::audit(browser, "a page that is not there").await;
    // Nothing was bought, and the page says so; it asks no more by itself.
    visit.open("/billing/return?tries=99").await;
    browser.sees("No payment is known here yet").await;
    eyes::audit(browser, "the page that waits").await;
    eyes::picture(browser, "return").await;
    visit.end().await;
}
