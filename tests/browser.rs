//! A person with a browser: signs in, meets the gate, pays, reads, and changes their mind.

use demo::provider::Shape;
use demo::site::{Settings, Site, seeded_users};

use crate::world::browser::Browser;
use crate::world::token::{AUDIENCE, ISSUER, SECRET};
use crate::world::{Arrangement, Setup, World, eventually, ports};

const CATALOG: &str = include_str!("../config/catalog.toml");
const ROUTES: &str = "[[route]]\npath = \"/premium/**\"\nrequire = { tier = \"paid\" }\n";

/// The sample site behind the gate, with the shipped catalog and the simulated provider.
async fn site() -> (World, Site) {
    let address = ports::free();
    let setup = Setup::new(Arrangement::AllPostgresRedis).provider(Shape::Endive).upstream(address);
    let world = World::with(Setup { catalog: CATALOG.to_owned(), ..setup.routes(ROUTES) }).await;
    let settings = Settings {
        listen: address,
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        ..Settings::new(&world.url, SECRET)
    };
    let site = Site::start(settings).await.expect("the site starts");
    eventually("the site answers through the gate", async || (world.get("/", None).await.status == 200).then_some(()))
        .await;
    (world, site)
}

#[tokio::test]
async fn a_person_signs_in_pays_reads_cancels_and_goes_on_reading() {
    let (world, site) = site().await;
    let article = demo::site::paid_paths().next().expect("a paid article");
    let browser = Browser::start(world.dir()).await;
    browser.driver.goto(&world.url).await.expect("the front page");
    let title = browser.text(&format!("a[href='{article}']")).await;

    browser.click(&title).await;
    browser.sees("Sign in").await;
    browser.click(&seeded_users()[0].name).await;
    browser.sees("Pricing").await;

    let monthly = "form[data-post]:has(input[name=cadence][value=monthly])";
    let button = browser.find(&format!("{monthly} button")).await;
    assert!(!button.is_enabled().await.expect("a state"), "nothing is bought without the consent");
    browser.find(&format!("{monthly} input[name=consent]")).await.click().await.expect("it is ticked");
    button.click().await.expect("the checkout opens");
    browser.click("Card is declined").await;
    assert!(browser.text("[role=alert]").await.contains("declined"));
    browser.click("Pay").await;

    browser.sees(&title).await;
    assert_eq!(browser.path().await, article, "back on the page that was asked for");
    assert!(browser.text("footer").await.contains("paid"), "the site is told");

    browser.click("Settings").await;
    browser.click("Subscription and invoices").await;
    browser.sees("Your plan").await;
    assert_eq!(browser.text("[data-tier]").await, "Paid");
    browser.click("Cancel at the end of the period").await;
    assert!(browser.text("[role=status]").await.contains("end with the paid period"));
    eventually("the page says that it ends", async || {
        browser.driver.refresh().await.expect("the page again");
        (browser.text("[data-status]").await == "Ends soon").then_some(())
    })
    .await;
    browser.driver.goto(format!("{}{article}", world.url)).await.expect("the article");
    browser.sees(&title).await;

    browser.click("Sign out").await;
    browser.driver.goto(format!("{}{article}", world.url)).await.expect("the article");
    browser.sees("Sign in").await;
    browser.driver.clone().quit().await.expect("the browser ends");
    site.shutdown().await;
}
