//! After the storm: everything is healed, what still waits is delivered, what was lost is made good, and what is left is
//! compared with the provider.

use std::collections::BTreeMap;
use std::time::Duration;

use demo::provider::Provider;
use serde_json::Value;
use sqlx::PgConnection;

use crate::world::servers::execute;
use crate::world::wait::{DEADLINE, within};
use crate::world::{Tollgate, World, send, token};

use super::absent::Absent;
use super::life::{Account, Lives};
use super::post::{LAST, Network, Post, bodies};
use super::truth;
use super::weather::Weather;

/// How long the inbox may take to be empty: what failed a few times is tried again after some seconds.
const DRAIN: Duration = Duration::from_secs(90);

/// Writes down every subscription that comes back from its end; it refuses nothing, so that everything goes on as it
/// would.
const WATCH: &str = "
    create table returned (subscription_id text not null, became text not null);
    create function note_return() returns trigger language plpgsql as $$ begin
        if old.state = 'ended' and new.state <> 'ended' then
            insert into returned values (old.subscription_id, new.state);
        end if;
        return new;
    end $$;
    create trigger note_return before update on subscriptions for each row execute function note_return();
";

pub async fn watch_for_returns(world: &World) {
    execute(&mut connect(world).await, WATCH.to_owned()).await;
}

/// Heals everything, delivers what still waits, compares as an operator does, and waits until the inbox is worked off.
pub async fn settle(world: &mut World, provider: &Provider, post: &mut Post, absent: &mut Absent) {
    Weather::end(world, provider);
    absent.settle(world).await;
    within(DRAIN, "everything is delivered", async || {
        post.round(LAST, provider, &world.url, Network::Disturbed, |_| {}).await;
        (post.waiting() == 0).then_some(())
    })
    .await;
    let mut connection = connect(world).await;
    // Before anything that was lost could be made good.
    acknowledged(&mut connection, post).await;
    reconcile(world).await;
    within(DRAIN, "the inbox is worked off", async || {
        let pending = "select count(*) from webhook_events where state = 'pending'";
        let pending: i64 = sqlx::query_scalar(pending).fetch_one(&mut connection).await.expect("it can be counted");
        (pending == 0).then_some(())
    })
    .await;
}

/// Every report of one full comparison.
async fn reconcile(world: &World) -> Vec<Value> {
    let report = world.tollgate(&["reconcile", "--json"]).await.success();
    let reports: Vec<Value> = serde_json::from_str(&report).expect("reports in JSON");
    let kinds: Vec<&Value> = reports.iter().map(|report| &report["kind"]).collect();
    assert!(kinds.len() == 2 && reports.iter().all(|report| report["is_complete"] == true), "{report}");
    reports
}

/// What is left is what the provider says.
pub async fn compare(world: &World, provider: &Provider, lives: &Lives) {
    let mut connection = connect(world).await;
    inbox(&mut connection, provider, lives).await;
    ended(&mut connection, provider).await;
    gates(world, provider, lives).await;
    for report in reconcile(world).await {
        assert_eq!(report["drift"], 0, "a second comparison finds nothing: {report}");
    }
    gates(world, provider, lives).await;
}

/// Whatever was acknowledged is there.
async fn acknowledged(connection: &mut PgConnection, post: &Post) {
    let kept: Vec<String> = sqlx::query_scalar("select event_id from webhook_events")
        .fetch_all(connection)
        .await
        .expect("the inbox can be read");
    for id in &post.acknowledged {
        assert!(kept.contains(id), "{id} was acknowledged, and is lost");
    }
}

/// Whatever is there is whole, and nothing is stuck.
async fn inbox(connection: &mut PgConnection, provider: &Provider, lives: &Lives) {
    type Row = (String, String, Option<String>, Option<String>, Vec<u8>);
    let rows: Vec<Row> = sqlx::query_as("select event_id, state, reason, customer_id, body from webhook_events")
        .fetch_all(connection)
        .await
        .expect("the inbox can be read");
    let made = bodies(provider);
    for (id, state, reason, customer, body) in rows {
        let is_done = state == "applied" || state == "ignored";
        let waits = state == "parked" && is_unheard_of(provider, lives, customer.as_deref().unwrap_or_default());
        assert!(is_done || waits, "{id} is {state}: {reason:?}\n{}", made[&id]);
        // An event that was worked off while nobody was known for its customer leaves no body.
        if body.is_empty() {
            assert!(is_done, "{id} is {state} and has no body: {reason:?}");
            continue;
        }
        let body: Value = serde_json::from_slice(&body).expect("the whole body");
        assert_eq!(body, made[&id], "{id} is kept as it was sent");
    }
}

/// The one reason for which an event may wait for ever: its customer was made in silence, bought nothing, and is gone, so
/// that nobody says any more whose it was.
fn is_unheard_of(provider: &Provider, lives: &Lives, customer: &str) -> bool {
    let is_gone = lives.accounts.iter().any(|account| account.gone.iter().any(|gone| gone == customer));
    is_gone && provider.subscriptions().iter().all(|subscription| subscription["customer"] != customer)
}

/// What is over at the provider is over here, and nothing else; and nothing ever came back.
async fn ended(connection: &mut PgConnection, provider: &Provider) {
    let returned: Vec<(String, String)> = sqlx::query_as("select subscription_id, became from returned")
        .fetch_all(&mut *connection)
        .await
        .expect("the table can be read");
    assert_eq!(returned, [], "subscriptions that had ended came back");
    let rows: Vec<(String, bool)> = sqlx::query_as("select subscription_id, state = 'ended' from subscriptions")
        .fetch_all(connection)
        .await
        .expect("the subscriptions can be read");
    let rows: BTreeMap<String, bool> = rows.into_iter().collect();
    for subscription in provider.subscriptions() {
        let is_over = matches!(subscription["status"].as_str(), Some("canceled" | "incomplete_expired"));
        let id = subscription["id"].as_str().unwrap_or_default();
        assert_eq!(rows.get(id), Some(&is_over), "whether it is over: {subscription}");
    }
}

/// Every proxy answers for every account what the provider's objects say.
async fn gates(world: &World, provider: &Provider, lives: &Lives) {
    for account in &lives.accounts {
        let pages = [
            ("/premium/one", truth::opens(provider, account, &["price_monthly", "price_annual", "price_business"])),
            ("/business/one", truth::opens(provider, account, &["price_business"])),
        ];
        for (path, is_open) in pages {
            for proxy in world.proxies() {
                answers(world, provider, account, (proxy, path), if is_open { 200 } else { 402 }).await;
            }
        }
    }
}

/// What a proxy answers, at once or soon; if it does not, everything that is known is told.
async fn answers(world: &World, provider: &Provider, account: &Account, at: (&Tollgate, &str), expected: u16) {
    let ((proxy, path), token) = (at, token(&account.name));
    let answer = async || send(world.request_to(proxy, "GET", path, Some(&token))).await.status;
    let first = answer().await;
    if first == expected {
        return;
    }
    let explained = world.tollgate(&["explain", "account", &account.name]).await.stdout;
    let told: Vec<Value> = account.subscriptions.iter().filter_map(|id| provider.subscription(id).ok()).collect();
    let what = format!(
        "{path} answers {} {expected}, not {first}, on {}\n{explained}\n{told:#?}\n{:?}\n{:?}",
        account.name, proxy.process.name, account.refunds, account.disputes
    );
    within(DEADLINE, &what, async || (answer().await == expected).then_some(())).await;
}

async fn connect(world: &World) -> PgConnection {
    world.database.as_ref().expect("this world has a database").connect().await
}
