//! A person with a browser: signs in, meets the gate, pays, reads, and changes their mind.

mod changes;
mod dunning;
mod eyes;
mod forms;
mod invitations;
mod keyboard;
mod market;
mod purchase;
mod scriptless;
mod windows;
mod worst;

use demo::provider::Shape;
use demo::site::{Settings, Site, seeded_users};

use crate::world::browser::Browser;
use crate::world::token::{AUDIENCE, ISSUER, SECRET};
use crate::world::{Arrangement, Setup, World, eventually, ports};

const CATALOG: &str = include_str!("../../config/catalog.toml");
const ROUTES: &str = "[[route]]\npath = \"/premium/**\"\nrequire = { tier = \"paid\" }\n";

/// The form that sells a month, and the one that sells a year.
const MONTHLY: &str = "form[action='/billing/checkout']:has(input[value=monthly])";
const ANNUAL: &str = "form[action='/billing/checkout']:has(input[value=annual])";

/// A person at the sample site behind the gate, with the shipped catalog and the simulated provider.
struct Visit {
    world: World,
    browser: Browser,
    site: Site,
}

impl Visit {
    async fn start() -> Self {
        Self::in_arrangement(Arrangement::AllPostgresRedis).await
    }

    async fn in_arrangement(arrangement: Arrangement) -> Self {
        let setup = Setup::new(arrangement).key("pages.site_name", "\"The Reader\"");
        Self::with(Setup { catalog: CATALOG.to_owned(), ..setup.routes(ROUTES) }).await
    }

    async fn with(setup: Setup) -> Self {
        let address = ports::free();
        // A browser does not ask again: billing has more time than usual, as the tests share their machine.
        let setup = setup.key("cache.billing_deadline", "\"3s\"");
        let world = World::with(setup.provider(Shape::Endive).upstream(address)).await;
        let settings = Settings {
            listen: address,
            issuer: ISSUER.to_owned(),
            audience: AUDIENCE.to_owned(),
            ..Settings::new(&world.url, SECRET)
        };
        let site = Site::start(settings).await.expect("the site starts");
        eventually("the site answers through the gate", async || {
            (world.get("/", None).await.status == 200).then_some(())
        })
        .await;
        let browser = Browser::start(world.dir()).await;
        Self { world, browser, site }
    }

    /// Opens a path of the site.
    async fn open(&self, path: &str) {
        self.browser.driver.goto(format!("{}{path}", self.world.url)).await.expect("a page");
    }

    /// Opens a path that asks to sign in first, and does.
    async fn open_as(&self, user: usize, path: &str) {
        self.open(&format!("/login?next={path}")).await;
        self.browser.click(&seeded_users()[user].name).await;
    }

    /// Waits until the page says this in a place, loading it again and again.
    async fn comes_to_say(&self, css: &str, text: &str) {
        eventually(&format!("{css} says {text:?}"), async || {
            self.browser.driver.refresh().await.expect("the page again");
            (self.browser.text(css).await == text).then_some(())
        })
        .await;
    }

    /// Has the pricing page show the prices of a cadence.
    async fn shows(&self, cadence: &str) {
        self.browser.find(&format!("label[for=shown-{cadence}]")).await.click().await.expect("other prices");
    }

    /// Orders a month, from the pricing page on, with the consent that it asks for.
    async fn order_a_month(&self) {
        self.browser.find("[data-tier=paid] [data-cadence=monthly] > button").await.click().await.expect("a sheet");
        self.browser.find(&format!("{MONTHLY} input[name=consent]")).await.click().await.expect("it is ticked");
        self.browser.find(&format!("{MONTHLY} button")).await.click().await.expect("the checkout opens");
    }

    /// Buys a year with its free trial, from the pricing page on, and ends on the page of the plan.
    async fn start_trial(&self) {
        self.shows("annual").await;
        self.browser.find(&format!("{ANNUAL} button")).await.click().await.expect("the checkout opens");
        self.browser.click("Start trial").await;
        self.browser.sees("Your plan").await;
    }

    async fn end(self) {
        self.browser.driver.clone().quit().await.expect("the browser ends");
        self.site.shutdown().await;
    }
}
