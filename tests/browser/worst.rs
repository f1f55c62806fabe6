//! The pricing page with a catalog that no page was drawn for, at every width, by day and by night.

use super::{Visit, eyes};
use crate::world::{Arrangement, Setup};

const WORST: &str = include_str!("worst.toml");

#[tokio::test]
async fn the_worst_catalog_stays_in_its_cards() {
    let setup = Setup::new(Arrangement::AllPostgresRedis)
        .routes("[[route]]\npath = \"/premium/**\"\nrequire = { tier = \"starter\" }\n")
        .key("pages.site_name", "\"Tidewater\"")
        .key("pages.terms_url", "\"/terms\"")
        .key("pages.privacy_url", "\"/privacy\"")
        .key("pages.logout_url", "\"/logout\"")
        .key("pages.contact_url", "\"mailto:sales@market.example\"");
    let visit = Visit::with(Setup { catalog: WORST.to_owned(), ..setup }).await;
    let browser = &visit.browser;
    visit.open("/billing/pricing").await;
    browser.sees("Pricing").await;
    eyes::audit(browser, "the worst catalog for the anonymous").await;

    visit.open_as(1, "/billing/pricing").await;
    browser.sees("Pricing").await;
    eyes::audit(browser, "the worst catalog").await;
    eyes::picture(browser, "pricing-worst").await;
    let page = browser.text("main").await;
    assert!(!page.contains("For one house"), "it is hidden: {page}");
    assert!(browser.text("[data-tier=long] .badge").await.contains("Most popular"));
    let gains = browser.text("[data-tier=starter] .gains").await;
    assert!(gains.starts_with("Weekly report\nCSV export\n"), "as written: {gains}");
    for link in ["/terms", "/privacy"] {
        assert!(browser.find(&format!("footer a[href='{link}']")).await.is_displayed().await.expect("a state"));
    }
    assert_eq!(browser.text(".who a").await, "Sign out");

    visit.shows("annual").await;
    assert!(browser.text("[data-tier=starter]").await.contains("Billed monthly only"));
    eyes::audit(browser, "the worst catalog by the year").await;
    browser.find("[data-tier=long] [data-cadence=annual] > button").await.click().await.expect("the sheet opens");
    assert!(browser.text(".sheet:popover-open").await.contains("€12,345 a year"));
    eyes::audit(browser, "the sheet of an order").await;
    visit.end().await;
}
