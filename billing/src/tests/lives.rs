//! Whole lives of subscriptions, made up by chance and lived at the simulated provider. Whatever of them is told in
//! whatever order, twice, late or never: what is left is what the provider would answer.
//!
//! A failure names the seed of its life.

use chrono::Duration;
use demo::provider::{CancelAt, Card, Exhausted, PauseBehavior, Proration, Provider, Shape};
use entitlement::Timestamp;
use entitlement::account::AccountId;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::{World, billing_on, settings, shop};
use crate::Billing;
use crate::reconcile::{Force, Kind};

/// Lives in each test.
const LIVES: u64 = 6;

/// Things that happen in one life.
const STEPS: usize = 10;

/// One life: a customer of an account, and chance.
struct Life {
    seed: u64,
    random: StdRng,
    customer: String,
    subscriptions: Vec<String>,
}

impl Life {
    fn begin(seed: u64, provider: &Provider, account: &AccountId) -> Self {
        let (customer, subscription) = shop::subscribe(provider, account, "price_monthly");
        Self { seed, random: StdRng::seed_from_u64(seed), customer, subscriptions: vec![subscription] }
    }

    /// Something happens, if it can. Then time passes: two things of one second cannot be told apart by what is told.
    fn step(&mut self, provider: &Provider, account: &AccountId) {
        let subscription = self.subscriptions.choose(&mut self.random).expect("there is one").clone();
        let paid: Vec<String> = {
            let invoices = provider.invoices();
            let mine = invoices.iter().filter(|invoice| {
                invoice["customer"] == *self.customer && invoice["status"] == "paid" && invoice["amount_paid"] != 0
            });
            mine.filter_map(|invoice| invoice["id"].as_str().map(str::to_owned)).collect()
        };
        // What is refused, because the subscription is over or there is nothing to refund, does not happen.
        let _ = match self.random.random_range(0..14) {
            0 => provider.cancel(&subscription, CancelAt::PeriodEnd),
            1 => provider.cancel(&subscription, CancelAt::Now),
            2 => provider.reactivate(&subscription),
            3 => provider.set_card(&self.customer, Card::Declined),
            4 => provider.set_card(&self.customer, Card::Good),
            5 => provider.pause_collection(&subscription, PauseBehavior::Void, None),
            6 => provider.unpause_collection(&subscription),
            7 => provider.change_price(&subscription, "price_team", Proration::None),
            8 => provider.set_quantity(&subscription, "price_monthly", 3),
            9 => paid.last().map_or(Ok(()), |invoice| provider.refund(invoice, None).map(drop)),
            10 => paid.first().map_or(Ok(()), |invoice| provider.refund(invoice, Some(100)).map(drop)),
            11 => paid.last().map_or(Ok(()), |invoice| provider.dispute(invoice, "needs_response").map(drop)),
            12 => paid.last().map_or(Ok(()), |invoice| {
                let end = if self.random.random_bool(0.5) { "won" } else { "lost" };
                provider.dispute(invoice, end).map(drop)
            }),
            _ => {
                self.subscriptions.push(shop::subscribe_customer(provider, account, &self.customer, "price_team"));
                Ok(())
            }
        };
        let exhausted = [Exhausted::Cancel, Exhausted::Unpaid, Exhausted::LeavePastDue];
        provider.set_exhausted(*exhausted.choose(&mut self.random).expect("there are three"));
        let seconds = [1, 60, 86_400, 9 * 86_400, 33 * 86_400];
        let passed = *seconds.choose(&mut self.random).expect("there are some");
        provider.advance(std::time::Duration::from_secs(passed)).expect("time passes");
    }
}

/// Puts events into the inbox as they arrive at `now`, and has them worked off one by one.
async fn tell(world: &World, billing: &Billing, events: &[Value], now: Timestamp) {
    for event in events {
        world.receive_at(event, now).await;
        billing.apply_due(now).await.expect("the inbox is worked on");
        assert_no_return(world).await;
    }
}

/// A subscription that has ended stays so: the trigger below would have refused anything else.
async fn assert_no_return(world: &World) {
    // An event of an account that seems to pay twice was applied, and is looked at again in a few seconds.
    const STUCK: &str = "select count(*) from webhook_events where state = 'dead'
        or (state = 'pending' and coalesce(reason, '') not like 'applied; it is looked at again%')";
    let stuck: i64 = sqlx::query_scalar(STUCK).fetch_one(&world.pool).await.expect("a count");
    assert_eq!(stuck, 0, "every event is applied, ignored or parked");
}

/// Makes the database refuse to bring an ended subscription back.
const NO_RETURN: &str = "
    create function refuse_return() returns trigger language plpgsql as $$ begin
        if old.state = 'ended' and new.state <> 'ended' then raise exception 'an ended subscription came back'; end if;
        return new;
    end $$;
    create trigger no_return before update on subscriptions for each row execute function refuse_return();
";

/// The account of a life. Metadata names it, so that no event waits for another.
fn account(world: &World, seed: u64) -> AccountId {
    AccountId::parse(&format!("{}-{seed}", world.account)).expect("an id")
}

/// What the provider would answer is what is known: comparing everything finds no difference.
async fn assert_no_drift(world: &World, now: Timestamp, seed: u64) {
    let reports = world.billing.reconcile(Kind::Full, Force::No, now, |_| {}).await.expect("it is compared");
    if reports[0].drift > 0 {
        let changes: Vec<(String, String)> =
            sqlx::query_as("select account, cause || ': ' || detail from audit_log order by id desc limit 12")
                .fetch_all(&world.pool)
                .await
                .expect("the audit log");
        panic!("seed {seed}: {reports:?}; the last changes were {changes:#?}");
    }
}

/// Lives that are told in any order and some of it twice, under other ids, to a billing that can ask nobody.
async fn told_without_a_key(options: PgPoolOptions, connect: PgConnectOptions, shape: Shape) {
    let (world, provider) = shop::world_in(options, connect, shape).await;
    sqlx::raw_sql(NO_RETURN).execute(&world.pool).await.expect("a trigger");
    let keyless = billing_on(&world.pool, settings(), None);
    for seed in 0..LIVES {
        let account = account(&world, seed);
        let before = provider.events().len();
        let mut life = Life::begin(seed, &provider, &account);
        for _ in 0..STEPS {
            life.step(&provider, &account);
        }
        let mut events: Vec<Value> = provider.events().split_off(before);
        let again: Vec<Value> = events.iter().filter(|_| life.random.random_bool(0.3)).map(again).collect();
        events.extend(again);
        events.shuffle(&mut life.random);
        let now = provider.now() + Duration::seconds(1);
        tell(&world, &keyless, &events, now).await;
        assert_no_drift(&world, now, life.seed).await;
    }
}

/// A second Event object for the same change.
fn again(event: &Value) -> Value {
    let mut event = event.clone();
    event["id"] = format!("{}_again", event["id"].as_str().unwrap_or_default()).into();
    event
}

/// Lives that are told late, in any order, or never, to a billing that asks; and then compared.
async fn told_with_a_key(options: PgPoolOptions, connect: PgConnectOptions, shape: Shape) {
    let (world, provider) = shop::world_in(options, connect, shape).await;
    sqlx::raw_sql(NO_RETURN).execute(&world.pool).await.expect("a trigger");
    for seed in 100..100 + LIVES {
        let account = account(&world, seed);
        let mut told = provider.events().len();
        let mut waiting: Vec<Value> = Vec::new();
        let mut life = Life::begin(seed, &provider, &account);
        for _ in 0..STEPS {
            life.step(&provider, &account);
            let events = provider.events();
            waiting.extend(events[told..].iter().cloned());
            told = events.len();
            waiting.shuffle(&mut life.random);
            // Some arrive now, some later, and the last of them never.
            let now: Vec<Value> = waiting.split_off(waiting.len() / 2);
            tell(&world, &world.billing, &now, provider.now() + Duration::seconds(1)).await;
        }
        let now = provider.now() + Duration::seconds(1);
        world.billing.reconcile(Kind::Full, Force::No, now, |_| {}).await.expect("it is compared");
        assert_no_drift(&world, now, life.seed).await;
        tell(&world, &world.billing, &waiting, now).await;
        assert_no_drift(&world, now, life.seed).await;
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn lives_in_the_shape_of_2020_without_a_key(options: PgPoolOptions, connect: PgConnectOptions) {
    told_without_a_key(options, connect, Shape::Old2020).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn lives_in_the_shape_of_acacia_without_a_key(options: PgPoolOptions, connect: PgConnectOptions) {
    told_without_a_key(options, connect, Shape::Acacia).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn lives_in_the_shape_of_basil_without_a_key(options: PgPoolOptions, connect: PgConnectOptions) {
    told_without_a_key(options, connect, Shape::Basil).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn lives_in_the_shape_of_clover_without_a_key(options: PgPoolOptions, connect: PgConnectOptions) {
    told_without_a_key(options, connect, Shape::Clover).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn lives_in_the_shape_of_endive_without_a_key(options: PgPoolOptions, connect: PgConnectOptions) {
    told_without_a_key(options, connect, Shape::Endive).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn lives_in_the_shape_of_2020_with_a_key(options: PgPoolOptions, connect: PgConnectOptions) {
    told_with_a_key(options, connect, Shape::Old2020).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn lives_in_the_shape_of_acacia_with_a_key(options: PgPoolOptions, connect: PgConnectOptions) {
    told_with_a_key(options, connect, Shape::Acacia).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn lives_in_the_shape_of_basil_with_a_key(options: PgPoolOptions, connect: PgConnectOptions) {
    told_with_a_key(options, connect, Shape::Basil).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn lives_in_the_shape_of_clover_with_a_key(options: PgPoolOptions, connect: PgConnectOptions) {
    told_with_a_key(options, connect, Shape::Clover).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn lives_in_the_shape_of_endive_with_a_key(options: PgPoolOptions, connect: PgConnectOptions) {
    told_with_a_key(options, connect, Shape::Endive).await;
}
