//! Invitations: who was brought by whom, and what both get for it, once, when money was paid.

use chrono::TimeDelta;
use entitlement::Timestamp;
use entitlement::account::AccountId;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::{World, active, checkout, event, settings, with};
use crate::Settings;
use crate::referral::bind::Bound;
use crate::referral::{Standing, bind, standing};
use crate::settings::{ConvertOn, Referral};

/// Somebody who invites, and how the world asks about it.
struct Host<'a> {
    world: &'a World,
    account: AccountId,
    code: String,
}

impl<'a> Host<'a> {
    async fn new(world: &'a World) -> Self {
        let account = world.account.clone();
        let code = standing(&world.billing, &account, world.now).await.expect("a standing").code;
        Self { world, account, code }
    }

    /// A guest who follows the invitation.
    async fn guest(&self, n: usize) -> Guest {
        let account = self.world.other(n);
        let bound = bind(&self.world.billing, &account, &self.code, self.world.now).await.expect("an answer");
        assert_eq!(bound, Bound::New);
        Guest { account, n, now: self.world.now }
    }

    async fn standing(&self, now: Timestamp) -> Standing {
        standing(&self.world.billing, &self.account, now).await.expect("a standing")
    }

    /// Days of credit that the host has left.
    async fn days(&self) -> u64 {
        self.standing(self.world.now).await.credit_days_left
    }
}

/// Somebody who was invited, and what their provider tells.
struct Guest {
    account: AccountId,
    n: usize,
    now: Timestamp,
}

impl Guest {
    fn id(&self, prefix: &str) -> String {
        format!("{prefix}_{}", self.n)
    }

    fn completed(&self) -> Value {
        checkout(&self.id("evt_checkout"), &self.id("cus"), &self.id("sub"), &self.account, self.now)
    }

    fn subscribed(&self) -> Value {
        let object = active(&self.id("cus"), &self.id("sub"), "price_monthly", self.now);
        event(&self.id("evt_sub"), "customer.subscription.created", self.now, &object)
    }

    /// The bill for a period that began some days from now.
    fn paid(&self, amount: i64, day: i64) -> Value {
        let at = self.now + TimeDelta::days(day);
        let object = json!({
            "id": format!("in_{}_{day}", self.n), "object": "invoice", "customer": self.id("cus"),
            "billing_reason": if day == 0 { "subscription_create" } else { "subscription_cycle" },
            "created": at.timestamp(), "amount_paid": amount, "attempt_count": 1,
            "parent": { "subscription_details": { "subscription": self.id("sub") } },
            "lines": { "data": [{ "period": { "start": at.timestamp() } }] },
            "payments": { "data": [{
                "payment": { "type": "payment_intent", "payment_intent": format!("pi_{}_{day}", self.n) },
            }] },
        });
        event(&format!("evt_in_{}_{day}_{amount}", self.n), "invoice.paid", at, &object)
    }

    fn refunded(&self, amount: i64, day: i64) -> Value {
        let at = self.now + TimeDelta::days(day);
        let object = json!({
            "id": self.id("ch"), "object": "charge", "customer": self.id("cus"), "amount": 700, "amount_captured": 700,
            "payment_intent": format!("pi_{}_0", self.n), "amount_refunded": amount, "created": self.now.timestamp(),
        });
        event(&format!("evt_refund_{}_{amount}_{day}", self.n), "charge.refunded", at, &object)
    }

    fn purchase(&self) -> Vec<Value> {
        vec![self.completed(), self.subscribed(), self.paid(700, 0)]
    }
}

async fn world(options: PgPoolOptions, connect: PgConnectOptions, referral: Referral) -> World {
    World::with(options, connect, Settings { referral, ..settings() }).await
}

#[sqlx::test(migrations = "../migrations")]
async fn both_sides_get_their_days_once_when_money_was_paid(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let host = Host::new(&world).await;
    let guest = host.guest(1).await;
    world.apply(&[guest.completed(), guest.subscribed(), guest.paid(0, 0)]).await;
    assert_eq!((host.days().await, host.standing(world.now).await.converted), (0, 0), "nothing was paid yet");
    world.apply(&[guest.paid(700, 0)]).await;
    assert_eq!(world.has(&host.account, world.now).await, "paid credit", "at once");
    assert_eq!(host.days().await, 45);
    let of_guest = standing(&world.billing, &guest.account, world.now).await.expect("a standing");
    assert_eq!(of_guest.credit_days_left, 45, "the guest too");
    let again = with(&guest.paid(700, 0), &json!({ "id": "evt_again" }));
    world.apply(&[again, guest.paid(700, 30), guest.paid(700, 60)]).await;
    assert_eq!(host.days().await, 45, "neither a second telling nor a renewal adds anything");
    let later = host.standing(world.now + TimeDelta::days(44)).await;
    assert_eq!((later.converted, later.credit_days_left), (1, 1));
    let over = host.standing(world.now + TimeDelta::days(46)).await;
    assert_eq!((over.converted, over.credit_days_left), (0, 0));
}

#[sqlx::test(migrations = "../migrations")]
async fn credit_waits_for_the_end_of_what_is_paid_for(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let host = Host::new(&world).await;
    let guest = host.guest(1).await;
    world.apply(&guest.purchase()).await;
    let at = |day| world.now + TimeDelta::days(day);
    // A month that is paid for, three days in which its renewal may be told, then 45 days.
    for (day, expected) in
        [(1, "paid active"), (32, "paid active"), (34, "paid credit"), (77, "paid credit"), (79, "free none")]
    {
        assert_eq!(world.has(&guest.account, at(day)).await, expected, "day {day}");
    }
    let left = |day| standing(&world.billing, &guest.account, at(day));
    assert_eq!(left(29).await.expect("a standing").credit_days_left, 45, "not a day is burnt");
    assert_eq!(left(43).await.expect("a standing").credit_days_left, 35);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_suspended_subscription_burns_no_day_of_what_it_gave(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let host = Host::new(&world).await;
    let guest = host.guest(1).await;
    world.apply(&guest.purchase()).await;
    let object = active(&guest.id("cus"), &guest.id("sub"), "price_monthly", world.now);
    let paused = with(&object, &json!({ "pause_collection": { "behavior": "void", "resumes_at": null } }));
    let later = world.now + TimeDelta::days(20);
    world.receive_at(&event("evt_pause", "customer.subscription.updated", later, &paused), later).await;
    world.billing.apply_due(later).await.expect("applied");
    assert_eq!(
        world.has(&guest.account, later + TimeDelta::days(44)).await,
        "paid credit",
        "45 days from the pause on"
    );
    assert_eq!(world.has(&guest.account, later + TimeDelta::days(46)).await, "free none");
}

#[sqlx::test(migrations = "../migrations")]
async fn the_order_in_which_it_is_told_does_not_matter(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let host = Host::new(&world).await;
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for (n, order) in orders.into_iter().enumerate() {
        let guest = host.guest(n).await;
        let told = guest.purchase();
        for place in order {
            world.apply(std::slice::from_ref(&told[place])).await;
        }
        let expected = (n as u64 + 1) * 45;
        assert_eq!(host.days().await, expected, "{order:?}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn two_guests_at_once_credit_their_host_twice(options: PgPoolOptions, connect: PgConnectOptions) {
    let settings = Settings { pool_size: 6, ..settings() };
    let world = World::with(options, connect, settings).await;
    let host = Host::new(&world).await;
    let mut bills = Vec::new();
    for n in 0..6 {
        let guest = host.guest(n).await;
        world.apply(&[guest.completed(), guest.subscribed()]).await;
        bills.push(world.receive(&guest.paid(700, 0)).await);
    }
    let applied = bills.iter().map(|id| world.billing.apply_event(*id, world.now));
    for applied in futures_util::future::join_all(applied).await {
        applied.expect("applied");
    }
    world.billing.apply_due(world.at(60)).await.expect("what was put off");
    let standing = host.standing(world.at(60)).await;
    assert_eq!((standing.converted, standing.credit_days_left), (6, 6 * 45));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_full_refund_in_time_takes_the_days_back(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let host = Host::new(&world).await;
    for (n, (amount, day, taken)) in
        [(300, 5, 0), (700, 5, 2), (700, 50, 0), (699, 5, 2), (601, 5, 2), (600, 5, 0)].into_iter().enumerate()
    {
        let before = (host.standing(world.now).await.converted, taken_back(&world).await);
        let guest = host.guest(n).await;
        world.apply(&guest.purchase()).await;
        let at = world.now + TimeDelta::days(day);
        world.receive_at(&guest.refunded(amount, day), at).await;
        world.billing.apply_due(at).await.expect("applied");
        let converted = host.standing(world.now).await.converted - before.0;
        let expected = (u64::from(taken == 0), taken);
        assert_eq!((converted, taken_back(&world).await - before.1), expected, "{amount} on day {day}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a7_less_than_the_least_amount_brings_nothing(options: PgPoolOptions, connect: PgConnectOptions) {
    for (n, (min_amount, amount, expected)) in
        [(100, 1, 0), (100, 99, 0), (100, 100, 45), (0, 1, 45), (0, 0, 0), (1_000, 999, 0)].into_iter().enumerate()
    {
        let terms = Referral { min_amount, ..Referral::default() };
        let world = world(options.clone(), connect.clone(), terms).await;
        let host = Host::new(&world).await;
        let before = host.days().await;
        let guest = host.guest(n).await;
        world.apply(&[guest.completed(), guest.subscribed(), guest.paid(amount, 0)]).await;
        assert_eq!(host.days().await - before, expected, "{amount} of {min_amount}");
        // A later payment that is enough is the first one.
        world.apply(&[guest.paid(1_000, 30)]).await;
        assert_eq!(host.days().await - before, 45, "{amount} of {min_amount}, then enough");
    }
}

/// How many credits were taken back.
async fn taken_back(world: &World) -> i64 {
    let query = sqlx::query_scalar("select count(*) from credits where revoked_at is not null");
    query.fetch_one(&world.pool).await.expect("a count")
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refund_that_is_told_first_leaves_nothing(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let host = Host::new(&world).await;
    let guest = host.guest(1).await;
    world.apply(&[guest.completed(), guest.subscribed(), guest.refunded(700, 0), guest.paid(700, 0)]).await;
    assert_eq!((host.days().await, host.standing(world.now).await.converted), (0, 0));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refund_that_fails_gives_the_days_again(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let host = Host::new(&world).await;
    let guest = host.guest(1).await;
    world.apply(&guest.purchase()).await;
    let refund = |status: &str| {
        let object = json!({
            "id": "re_1", "object": "refund", "charge": "ch_1", "payment_intent": "pi_1_0", "amount": 700,
            "status": status, "created": world.at(9).timestamp(),
        });
        event(&format!("evt_re_{status}"), "refund.updated", world.at(9), &object)
    };
    world.apply(&[guest.refunded(700, 0), refund("succeeded")]).await;
    assert_eq!(host.days().await, 0);
    world.apply(&[refund("failed")]).await;
    assert_eq!(host.days().await, 45);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_host_who_is_gone_costs_the_guest_nothing(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let host = Host::new(&world).await;
    let guest = host.guest(1).await;
    sqlx::query("delete from referral_codes").execute(&world.pool).await.expect("gone");
    world.apply(&guest.purchase()).await;
    let of_guest = standing(&world.billing, &guest.account, world.now).await.expect("a standing");
    assert_eq!(of_guest.credit_days_left, 45);
    assert_eq!(world.has(&host.account, world.now).await, "free none");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_host_is_rewarded_as_often_as_the_terms_say(options: PgPoolOptions, connect: PgConnectOptions) {
    let terms = Referral { rewards_max: Some(2), credit_days: 10, ..Referral::default() };
    let world = world(options, connect, terms).await;
    let host = Host::new(&world).await;
    for (n, expected) in [10, 20, 20].into_iter().enumerate() {
        let guest = host.guest(n).await;
        world.apply(&guest.purchase()).await;
        assert_eq!(host.days().await, expected);
        let of_guest = standing(&world.billing, &guest.account, world.now).await.expect("a standing");
        assert_eq!(of_guest.credit_days_left, 10, "the guest always");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_trial_counts_only_where_the_terms_say_so(options: PgPoolOptions, connect: PgConnectOptions) {
    let trialing = |guest: &Guest| {
        let object = active(&guest.id("cus"), &guest.id("sub"), "price_monthly", guest.now);
        let trial = json!({ "status": "trialing", "trial_end": (guest.now + TimeDelta::days(14)).timestamp() });
        event(&guest.id("evt_sub"), "customer.subscription.created", guest.now, &with(&object, &trial))
    };
    for (convert_on, expected) in [(ConvertOn::Payment, 0), (ConvertOn::Tier, 45)] {
        let connect = connect.clone();
        let terms = Referral { convert_on, ..Referral::default() };
        let world = world(options.clone(), connect, terms).await;
        let host = Host::new(&world).await;
        let guest = host.guest(usize::from(expected > 0)).await;
        world.apply(&[guest.completed(), trialing(&guest), guest.paid(0, 0)]).await;
        assert_eq!(host.days().await, expected, "{convert_on:?}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_not_sold_here_brings_nothing(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let host = Host::new(&world).await;
    let guest = host.guest(1).await;
    let object = active(&guest.id("cus"), &guest.id("sub"), "price_of_another_shop", world.now);
    let subscribed = event("evt_sub", "customer.subscription.created", world.now, &object);
    world.apply(&[guest.completed(), subscribed, guest.paid(700, 0)]).await;
    assert_eq!(host.days().await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn nobody_brings_themselves_or_who_was_there_before(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let host = Host::new(&world).await;
    let bind = async |account: &AccountId, code: &str| {
        bind(&world.billing, account, code, world.now).await.expect("an answer")
    };
    assert_eq!(bind(&host.account, &host.code).await, Bound::OwnCode);
    assert_eq!(bind(&world.other(9), "zzzzzzzzzz").await, Bound::UnknownCode);
    let guest = host.guest(1).await;
    assert_eq!(bind(&guest.account, &host.code).await, Bound::Same);
    let of_guest = standing(&world.billing, &guest.account, world.now).await.expect("a standing").code;
    assert_eq!(bind(&host.account, &of_guest).await, Bound::OwnCode, "not by one's own guest");
    let other = standing(&world.billing, &world.other(8), world.now).await.expect("a standing").code;
    assert_eq!(bind(&guest.account, &other).await, Bound::BySomebodyElse);
    let buyer = Guest { account: world.other(7), n: 7, now: world.now };
    world.apply(&buyer.purchase()).await;
    assert_eq!(bind(&buyer.account, &host.code).await, Bound::NotNew);
}

#[sqlx::test(migrations = "../migrations")]
async fn who_pays_for_two_accounts_invites_nobody(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let host = Host::new(&world).await;
    let guest = Guest { now: world.at(-60), ..host.guest(1).await };
    // The customer of both stays the host's, whose checkout is the earlier one.
    let own = checkout("evt_own", &guest.id("cus"), "sub_own", &host.account, world.at(-120));
    world.apply(&[own]).await;
    world.apply(&guest.purchase()).await;
    assert_eq!(world.has(&guest.account, world.now).await, "paid active");
    assert_eq!((host.days().await, host.standing(world.now).await.converted), (0, 0));
}
