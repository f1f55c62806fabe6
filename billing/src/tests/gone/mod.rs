//! Accounts that are gone: compared with every table that the schema has, so that a table that is added later is thought of.

mod beside;
mod later;
mod named;

use std::collections::{BTreeMap, BTreeSet};

use entitlement::account::AccountId;
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool};

use super::World;
use crate::ops::{
    AccountError, Asker, Cancel, EraseWish, Erased, Merge, MoveWish, MovedAccount, OperatorError, Rehearsal,
};

/// Rows about one account in every table that can have any, beside an account that has to do with it. Each name of it has `subject` in it.
const FILL: &str = r#"
insert into accounts (account, version, created_at)
    values ('subject-account', 7, now()), ('subject-former', 3, now()), ('other', 1, now());
insert into account_aliases (alias, account, since) values ('subject-former', 'subject-account', now());
insert into provider_customers (provider, customer_id, account, created_at)
    values ('stripe', 'cus_subject', 'subject-account', now()), ('stripe', 'cus_other', 'other', now());
insert into subscriptions (provider, subscription_id, account, customer_id, prices, state, ended_at, started_at, as_of, updated_at)
    values ('stripe', 'sub_subject', 'subject-account', 'cus_subject', '{price_monthly}', 'ended', now(), now(), now(), now()),
        ('stripe', 'sub_subject_claimed', 'subject-account', 'cus_other', '{price_monthly}', 'ended', now(), now(), now(), now());
insert into subscription_claims (provider, subscription_id, account, created_at)
    values ('stripe', 'sub_subject_claimed', 'subject-account', now());
insert into credits (account, tier, reason, starts_at, created_at)
    values ('subject-account', 'paid', 'invited other', now(), now()), ('other', 'paid', 'invited by subject-account', now(), now());
insert into referral_codes (code, account, created_at) values ('codesubject', 'subject-account', now());
insert into referrals (referee, referrer, bound_at, converted_at, window_ends_at, referee_credit, referrer_credit)
    select 'other', 'subject-account', now(), now(), now(), max(id), min(id) from credits;
insert into webhook_events (provider, event_id, type, received_at, state, attempts, next_attempt_at, reason, account, customer_id, body, finished_at)
    values ('stripe', 'evt_1', 'a', now(), 'applied', 0, null, null, 'subject-account', 'cus_subject', '{"subject": 1}', now()),
        ('stripe', 'evt_2', 'a', now(), 'ignored', 0, null, 'nothing of cus_subject', null, 'cus_subject', 'subject', now()),
        ('stripe', 'evt_3', 'a', now(), 'dead', 0, null, 'unreadable', null, 'cus_subject', 'subject', null),
        ('stripe', 'evt_4', 'a', now(), 'parked', 0, now(), 'not known: cus_subject', null, 'cus_subject', 'subject', null),
        ('stripe', 'evt_5', 'a', now(), 'applied', 0, null, null, 'other', 'cus_other', 'other', now());
insert into outbox (account, version, committed_at, next_attempt_at) values ('subject-account', 7, now(), now() + interval '1 day');
insert into audit_log (at, account, version, cause, detail)
    values (now(), 'subject-account', 7, 'evt_1', 'customer cus_x went from account subject-account to other'),
        (now(), 'other', 1, 'evt_1', 'customer cus_x went from account subject-account to other');
insert into checkouts (account, leased_until, lease, attempt, provider, session_id, price_id, trial_days, url, seen_at)
    values ('subject-account', now(), 1, 1, 'stripe', 'cs_subject', 'price_monthly', 0, 'https://subject', now() - interval '2 days');
insert into consents (account, text, provider, price_id, attempt, agreed_at, acted_by)
    values ('subject-account', 'waiver', 'stripe', 'price_monthly', 0, now(), 'subject-user'),
        ('subject-account', 'waiver', 'stripe', 'price_monthly', 1, now(), '');
insert into trials (account, provider, subscription_id, started_at) values ('subject-account', 'stripe', 'sub_subject', now());
insert into addon_orders (account, addon, details, attempt, ordered_at)
    values ('subject-account', 'domain', '{"domain_name": "subject.example"}', 0, now());
insert into takings (what, account, noted_at, taken_at) values ('comparison', 'subject-account', now(), now()), ('catalog', 'subject-account', now(), null);
insert into operator_wishes (id, wish, credits, version, made_at, account) values ('w-subject', 'grant subject-account paid', '{}', 1, now(), 'subject-account');
insert into invoices (provider, invoice_id, subscription_id, customer_id, renews, covers_from, paid, attempts)
    values ('stripe', 'in_1', 'sub_subject', 'cus_subject', true, now(), 700, 1),
        ('stripe', 'in_2', 'sub_subject_claimed', 'cus_other', true, now(), 700, 1), ('stripe', 'in_3', 'sub_x', 'cus_other', true, now(), 700, 1);
insert into payments (provider, payment_id, customer_id, invoice_id, amount, refunded)
    values ('stripe', 'pi_1', 'cus_subject', 'in_1', 700, 700), ('stripe', 'pi_2', 'cus_subject', 'in_unknown', 700, 0), ('stripe', 'pi_3', 'cus_other', 'in_3', 700, 0);
insert into refunds (provider, refund_id, payment_id, amount, state, at) values ('stripe', 're_1', 'pi_1', 700, 'made', now());
insert into disputes (provider, dispute_id, payment_id, state, opened_at, as_of) values ('stripe', 'dp_1', 'pi_1', 'won', now(), now());
insert into events_for_key (event, provider) select id, 'stripe' from webhook_events where event_id = 'evt_1';
"#;

/// Tables of which no row is about an account.
const OF_NOBODY: [&str; 14] = [
    "_sqlx_migrations",
    "account_naming",
    "caches",
    "catalogs",
    "catch_ups",
    "consent_texts",
    "database_identity",
    "erased",
    "erasure_key",
    // Of customers that are of no account: a link takes them away.
    "foreign_customers",
    "live_modes",
    "reconciliations",
    // Of a payment alone: counted by hand.
    "disputes",
    "refunds",
];

/// Columns that name an account, or something that belongs to one.
const NAMING: [&str; 8] =
    ["account", "alias", "referee", "referrer", "customer_id", "subscription_id", "acted_by", "event"];

async fn fill(pool: &PgPool) {
    let mut conn = pool.acquire().await.expect("a connection");
    for statement in FILL.split_inclusive(";\n") {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut *conn).await.expect(statement);
    }
}

/// The columns of every table.
async fn tables(pool: &PgPool) -> BTreeMap<String, BTreeSet<String>> {
    let query = "select table_name::text, column_name::text from information_schema.columns
        join information_schema.tables using (table_schema, table_name) where table_schema = 'public' and table_type = 'BASE TABLE'";
    let rows: Vec<(String, String)> = sqlx::query_as(query).fetch_all(pool).await.expect("a catalog");
    let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (table, column) in rows {
        tables.entry(table).or_default().insert(column);
    }
    assert!(tables.len() > 25, "{tables:?}");
    tables
}

async fn count(pool: &PgPool, query: String) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(query.clone()))
        .fetch_one(pool)
        .await
        .unwrap_or_else(|error| panic!("{query}: {error}"))
}

fn subject() -> AccountId {
    AccountId::parse("subject-account").expect("an id")
}

async fn erase(world: &World, account: &AccountId, rehearsal: Rehearsal) -> Result<Erased, AccountError> {
    let (cancel, asker) = (Cancel::Refuse, Asker::Application);
    world.billing.erase_account(EraseWish { account, cancel, id: None, asker, rehearsal }).await
}

async fn relocate(world: &World, from: &AccountId, to: &AccountId, merge: Merge) -> Result<MovedAccount, AccountError> {
    let (asker, rehearsal) = (Asker::Operator, Rehearsal::No);
    world.billing.move_account(MoveWish { from, to, merge, id: None, asker, rehearsal }).await
}

#[sqlx::test(migrations = "../migrations")]
async fn a_copy_has_every_row_of_every_table(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    fill(&world.pool).await;
    let exported = world.billing.export_account(&subject()).await.expect("a copy");
    assert_eq!(exported.aliases, ["subject-former"]);
    assert_eq!(exported.unassigned_events, 0);
    for (table, columns) in tables(&world.pool).await {
        if OF_NOBODY.contains(&table.as_str()) {
            continue;
        }
        let naming: Vec<&str> = NAMING.into_iter().filter(|column| columns.contains(*column)).collect();
        assert!(!naming.is_empty(), "{table}: does it hold anything of an account? Then give it out, and erase it");
        let named =
            naming.iter().map(|column| format!("{column}::text like '%subject%'")).collect::<Vec<_>>().join(" or ");
        let named = match table.as_str() {
            "events_for_key" => "true".to_owned(),
            "payments" => format!("{named} or invoice_id in ('in_1', 'in_2')"),
            _ => named,
        };
        let rows = count(&world.pool, format!("select count(*) from {table} where {named}")).await;
        assert!(rows > 0, "{table}: this test has no row of it");
        let copied = exported.tables.get(table.as_str()).map(Vec::len);
        assert_eq!(copied, usize::try_from(rows).ok(), "{table}: rows that are given out");
    }
    assert_eq!((exported.tables["refunds"].len(), exported.tables["disputes"].len()), (1, 1));
    let event = &exported.tables["webhook_events"][0];
    assert_eq!(
        (&event["event_id"], &event["body"]),
        (&json!("evt_1"), &json!({ "subject": 1 })),
        "as its provider wrote it"
    );
    let unknown = world.billing.export_account(&world.account).await.expect_err("nothing is known of it");
    assert!(unknown.to_string().contains("nothing is known of the account"), "{unknown}");
    let former = AccountId::parse("subject-former").expect("an id");
    let moved = world.billing.export_account(&former).await.expect_err("it goes by another id");
    assert!(matches!(moved, AccountError::Operator(OperatorError::Moved { .. })), "{moved}");
}

#[sqlx::test(migrations = "../migrations")]
async fn nothing_of_an_erased_account_is_left_in_any_table(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    fill(&world.pool).await;
    let before = tables(&world.pool).await;
    let trial = erase(&world, &subject(), Rehearsal::Yes).await.expect("it would go");
    assert_eq!(count(&world.pool, "select count(*) from credits".into()).await, 2, "it was only tried out");
    let erased = erase(&world, &subject(), Rehearsal::No).await.expect("it goes");
    assert_eq!((&erased.erasure, erased.changed, erased.published), (&trial.erasure, true, true));
    for table in before.keys() {
        // As a text, and as the bytes of one.
        let left =
            format!("select count(*) from {table} t where t::text like '%subject%' or t::text like '%7375626a656374%'");
        assert_eq!(count(&world.pool, left).await, 0, "{table}");
    }
    let pseudonym = &erased.erasure.pseudonym;
    assert!(pseudonym.starts_with("erased:"), "{pseudonym}");
    for (table, kept) in [
        ("invoices where customer_id =", 2),
        ("invoices where paid = 700 and customer_id =", 2),
        ("payments where customer_id =", 2),
        ("consents where erased_at is not null and account =", 2),
        ("consents where acted_by like 'erased:%' and account =", 1),
        ("referrals where referrer_credit is null and referee_credit is not null and referrer =", 1),
        ("audit_log where cause = 'application' and account =", 1),
        ("credits where account = 'other' and reason = 'invited by ' ||", 1),
        (
            "audit_log where account = 'other' and detail = 'customer cus_x went from account ' || split_part(detail, ' ', 6) || ' to other' and split_part(detail, ' ', 6) =",
            1,
        ),
    ] {
        assert_eq!(count(&world.pool, format!("select count(*) from {table} '{pseudonym}'")).await, kept, "{table}");
    }
    for (kept, rows) in [("refunds", 1), ("disputes", 1), ("webhook_events where state in ('applied', 'ignored')", 5)] {
        assert_eq!(count(&world.pool, format!("select count(*) from {kept}")).await, rows, "{kept}");
    }
    let others = "select count(*) from webhook_events where account = 'other' and octet_length(body) > 0".to_owned();
    assert_eq!(count(&world.pool, others).await, 1, "others keep what is theirs");
    let again = erase(&world, &subject(), Rehearsal::No).await.expect("it is so already");
    assert!(!again.changed && again.published);
    assert_eq!(world.has(&subject(), world.now).await, "free none");
    assert_eq!(
        world.billing.compute(&subject(), world.now).await.expect("rows").record.entitlement.version,
        8,
        "as it was told"
    );
    let unknown = erase(&world, &world.account, Rehearsal::No).await.expect_err("nothing is known of it");
    assert!(matches!(unknown, AccountError::Operator(_)), "{unknown}");
}
