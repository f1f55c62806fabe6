//! Selling, from the outside: the interface, what it makes at the provider, and what it writes down.

mod addons;
mod asks;
mod again;
mod alarms;
mod beside;
mod compressed;
mod consent;
mod invitations;
mod late;
mod own_forms;
mod polar;
mod prices;
mod refusals;
mod restored;
mod scheduled;
mod time;
mod turns;
mod two;

use demo::provider::{Provider, Shape};
use serde_json::{Value, json};

use crate::world::setup::CATALOG;
use crate::world::stripe::unique;
use crate::world::wait::DEADLINE;
use crate::world::{Answer, Arrangement, Setup, World, eventually, token};

/// The text that a buyer by the month agrees to.
const WAIVER: &str = "monthly-waiver-1";

/// The catalog of every world, with a text to agree to before paying by the month.
fn catalog() -> String {
    CATALOG.replacen("amount = 700\n", &format!("amount = 700\nconsent = \"{WAIVER}\"\n"), 1)
}

fn setup(arrangement: Arrangement) -> Setup {
    Setup { catalog: catalog(), ..Setup::new(arrangement).provider(Shape::Endive) }
}

async fn shop(arrangement: Arrangement) -> World {
    World::with(setup(arrangement)).await
}

fn provider(world: &World) -> &Provider {
    world.provider.as_ref().expect("this world has one")
}

fn monthly() -> Value {
    json!({ "cadence": "monthly", "consent": WAIVER })
}

fn annual() -> Value {
    json!({ "cadence": "annual" })
}

/// Somebody who buys.
struct Buyer<'a> {
    world: &'a World,
    account: String,
    token: String,
}

impl<'a> Buyer<'a> {
    fn new(world: &'a World) -> Self {
        let account = unique("buyer");
        Self { world, token: token(&account), account }
    }

    async fn orders(&self, order: &Value) -> Answer {
        self.world.post("/api/billing/checkout", &self.token, order).await
    }

    /// Opens a checkout; the id of its session.
    async fn opens(&self, order: &Value) -> String {
        let opened = self.orders(order).await;
        assert_eq!(opened.status, 200, "{opened:?}");
        let url = opened.json()["url"].as_str().expect("a URL").to_owned();
        let sessions = provider(self.world).sessions();
        let session = sessions.iter().find(|session| session["url"] == url.as_str()).expect("it is the provider's");
        text(session, "id")
    }

    /// Opens a checkout and pays.
    async fn buys(&self, order: &Value) -> String {
        let session = self.opens(order).await;
        provider(self.world).complete_checkout(&session).expect("paid");
        provider(self.world).settled(DEADLINE).await.expect("told");
        session
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.world.get(path, Some(&self.token)).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    async fn standing(&self) -> Value {
        self.get("/api/billing/subscription").await
    }

    async fn becomes(&self, status: &str) -> Value {
        eventually(&format!("{} becomes {status}", self.account), async || {
            let standing = self.standing().await;
            (standing["status"] == status).then_some(standing)
        })
        .await
    }

    /// The buyer's subscription at the provider that began last.
    fn subscription(&self) -> Value {
        let all = provider(self.world).subscriptions();
        let own = all.into_iter().rev().find(|own| own["metadata"]["account"] == self.account.as_str());
        own.expect("a subscription")
    }
}

fn text(object: &Value, name: &str) -> String {
    object[name].as_str().unwrap_or_else(|| panic!("a text: {name} of {object}")).to_owned()
}

/// The cookie that a browser keeps, which no script can read.
fn kept(answer: &Answer) -> String {
    let cookie = answer.header("set-cookie");
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(attribute), "{attribute}: {cookie}");
    }
    cookie.split(';').next().expect("a pair").to_owned()
}

async fn with_cookie(world: &World, path: &str, token: Option<&str>, cookie: &str) -> Answer {
    crate::world::send(world.request("GET", path, token).header("cookie", cookie)).await
}
