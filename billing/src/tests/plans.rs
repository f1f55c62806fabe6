//! The plan of every statement, on tables as large as those of a site that has run for years: none reads a whole one.

use std::path::Path;

use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// Rows of each large table.
const ROWS: u32 = 100_000;

/// Half of the inbox is parked, one row in a hundred waits.
const FILL: &str = r"
insert into accounts (account, version, created_at) select 'a' || n, 1, now() from generate_series(1, $ROWS) n;
insert into provider_customers (provider, customer_id, account, created_at)
    select 'stripe', 'cus_' || n, 'a' || n, now() from generate_series(1, $ROWS) n;
insert into subscriptions (provider, subscription_id, account, customer_id, prices, state, ended_at, started_at, as_of, updated_at,
        livemode, provider_account, observation)
    select 'stripe', 'sub_' || n, 'a' || n, 'cus_' || n, '{price_monthly}', case when n % 3 = 0 then 'ended' else 'active' end,
        case when n % 3 = 0 then now() end, now(), now(), now(), true, 'acct_1', n from generate_series(1, $ROWS) n;
insert into webhook_events (provider, event_id, type, received_at, state, attempts, next_attempt_at, reason, account, customer_id, body, finished_at)
    select 'stripe', 'evt_' || n, 'customer.subscription.updated', now(),
        case when n % 2 = 0 then 'parked' when n % 100 = 1 then 'pending' else 'applied' end, 0,
        case when n % 2 = 0 or n % 100 = 1 then now() + n * interval '1 second' end, 'no account', 'a' || n, 'cus_' || n, 'x',
        case when n % 2 = 1 and n % 100 <> 1 then now() end from generate_series(1, $ROWS) n;
insert into audit_log (at, account, version, cause, detail)
    select now(), 'a' || n, 1, 'evt_' || n, 'x' from generate_series(1, $ROWS) n;
insert into invoices (provider, invoice_id, subscription_id, customer_id, renews, covers_from, paid, attempts)
    select 'stripe', 'in_' || n, 'sub_' || n, 'cus_' || n, true, now(), 700, 1 from generate_series(1, $ROWS) n;
insert into payments (provider, payment_id, customer_id, invoice_id, amount, refunded)
    select 'stripe', 'ch_' || n, 'cus_' || n, 'in_' || n, 700, 0 from generate_series(1, $ROWS) n;
insert into consents (account, text, provider, price_id, attempt, agreed_at)
    select 'a' || n, 'waiver', 'stripe', 'price_monthly', 0, now() from generate_series(1, $ROWS) n;
insert into credits (account, tier, reason, starts_at, created_at, days)
    select 'a' || n, 'paid', 'a reason', now(), now(), 45 from generate_series(1, $ROWS) n;
insert into outbox (account, version, committed_at, next_attempt_at)
    select 'a' || n, 1, now(), now() from generate_series(1, $ROWS) n;
insert into checkouts (account, leased_until, lease, attempt)
    select 'a' || n, now(), 1, 0 from generate_series(1, $ROWS) n;
insert into referral_codes (code, account, created_at) select 'code00' || n, 'a' || n, now() from generate_series(1, $ROWS) n;
insert into referrals (referee, referrer, bound_at)
    select 'a' || n, 'a' || (n % 1000 + 1), now() from generate_series(1, $ROWS) n where n > 2000;
";

/// The tables that are filled.
const LARGE: [&str; 13] = [
    "accounts",
    "audit_log",
    "checkouts",
    "consents",
    "credits",
    "invoices",
    "outbox",
    "payments",
    "provider_customers",
    "referral_codes",
    "referrals",
    "subscriptions",
    "webhook_events",
];

/// Statements that may read a whole table, by what stands in them.
const MAY: [&str; 7] = [
    // Planned for the values that an operator gives.
    "$1::text is null or",
    "$2::text is null or",
    // Asked when accounts would lose something, and for the report of a command.
    "as \"holders!\"",
    "select count(*) as \"count!\" from accounts",
    // Asked once, by a command.
    "exists (select from outbox where committed_at",
    // Ends with the first row, and nearly every row is one of these: otherwise the partial indexes serve.
    "exists (select from live_modes",
    // Asked step by step after an upgrade, until everything is done.
    "where name = 'subscription_modes'",
];

#[sqlx::test(migrations = "../migrations")]
async fn no_statement_reads_a_whole_table(options: PgPoolOptions, connect: PgConnectOptions) {
    let pool = options.max_connections(1).connect_with(connect).await.expect("a database");
    let mut conn = pool.acquire().await.expect("a connection");
    for statement in FILL.replace("$ROWS", &ROWS.to_string()).split_inclusive(';').chain(["analyze"]) {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut *conn).await.expect(statement);
    }
    sqlx::raw_sql("set plan_cache_mode = force_generic_plan").execute(&mut *conn).await.expect("a setting");
    let mut faults = Vec::new();
    for query in queries() {
        let plan = plan(&mut conn, &query).await;
        let may = MAY.iter().any(|words| query.contains(words));
        for node in nodes(&plan).filter(|_| !may) {
            let (kind, table) = (&node["Node Type"], &node["Relation Name"]);
            if kind == "Seq Scan" && LARGE.iter().any(|large| table == *large) {
                faults.push(format!("{table} is read whole by {query}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

/// All statements that are checked when they are compiled.
fn queries() -> Vec<String> {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.sqlx");
    let files = std::fs::read_dir(kept).expect("the statements are kept");
    let query = |path: &Path| {
        let kept: Value = serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON");
        kept["query"].as_str().expect("a statement").to_owned()
    };
    let queries: Vec<_> = files.map(|file| query(&file.expect("a file").path())).collect();
    assert!(queries.len() > 50, "{} statements", queries.len());
    queries
}

/// How Postgres would run it, whatever the values; null for what has no plan.
async fn plan(conn: &mut PgConnection, query: &str) -> Value {
    let command = query.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
    if !["select", "insert", "update", "delete", "with"].contains(&command.as_str()) {
        return Value::Null;
    }
    let values = (1..=40).take_while(|n| query.contains(&format!("${n}"))).count();
    let nulls = vec!["null"; values].join(", ");
    let of_values = if values == 0 { String::new() } else { format!("({nulls})") };
    let mut tx = conn.begin().await.expect("a transaction");
    sqlx::raw_sql(AssertSqlSafe(format!("prepare asked as {query}"))).execute(&mut *tx).await.expect(query);
    let explain = format!("explain (format json) execute asked{of_values}");
    let plan: Value =
        sqlx::query_scalar(AssertSqlSafe(explain)).persistent(false).fetch_one(&mut *tx).await.expect(query);
    sqlx::raw_sql("deallocate asked").execute(&mut *tx).await.expect("it was prepared");
    tx.rollback().await.expect("nothing is changed");
    plan
}

/// All steps of a plan.
fn nodes(plan: &Value) -> impl Iterator<Item = &Value> {
    let mut waiting = vec![plan];
    std::iter::from_fn(move || {
        let node = waiting.pop()?;
        match node {
            Value::Array(items) => waiting.extend(items),
            Value::Object(fields) => waiting.extend(fields.values()),
            _ => {}
        }
        Some(node)
    })
    .filter(|node| node.is_object())
}
