//! What an operator gets wrong: one line that says what and where, and an exit code that is not 0.

use std::net::TcpListener;
use std::time::Duration;

use crate::world::servers::{Postgres, execute};
use crate::world::setup::{CATALOG, ROUTES};
use crate::world::tollgate::{Output, tollgate};
use crate::world::{ASSERTION_KEY, ports, token};

/// How long a refusal may take.
pub const LIMIT: Duration = Duration::from_secs(30);

/// A configuration in a directory of its own, and an environment in which it would run.
pub struct Try {
    pub dir: tempfile::TempDir,
    pub config: String,
    catalog: String,
    pub environment: Vec<(String, String)>,
}

impl Try {
    pub fn new() -> Self {
        let [public, billing, admin] = std::array::from_fn(|_| ports::free());
        let config = format!(
            "catalog = \"catalog.toml\"\nsite.url = \"http://{public}\"\nsite.upstream = [\"127.0.0.1:9\"]\n\
             listen.public = \"{public}\"\nlisten.billing = \"{billing}\"\nlisten.admin = \"{admin}\"\n{ROUTES}"
        );
        let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let environment = vec![
            set("TOLLGATE_JWT_SECRET", token::SECRET),
            set("TOLLGATE_ASSERTION_KEY", ASSERTION_KEY),
            // Nobody listens there: whoever gets as far as the database says so.
            set("DATABASE_URL", "postgres://tollgate:hunter2@127.0.0.1:9/tollgate"),
        ];
        Self { dir: tempfile::tempdir().expect("a directory"), config, catalog: CATALOG.to_owned(), environment }
    }

    pub fn config(mut self, change: impl Fn(&str) -> String) -> Self {
        self.config = change(&self.config);
        self
    }

    pub fn catalog(mut self, change: impl Fn(&str) -> String) -> Self {
        self.catalog = change(&self.catalog);
        self
    }

    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub async fn run(&self, arguments: &[&str]) -> Output {
        std::fs::write(self.dir.path().join("tollgate.toml"), &self.config).expect("it is written");
        std::fs::write(self.dir.path().join("catalog.toml"), &self.catalog).expect("it is written");
        tollgate(self.dir.path(), &self.environment, LIMIT, arguments).await
    }

    /// Runs, and requires a failure whose one line contains each of `words` and none of the secrets.
    pub async fn fails_with(&self, arguments: &[&str], words: &[&str]) {
        let output = self.run(arguments).await;
        let line = output.failure();
        for word in words {
            assert!(line.contains(word), "{arguments:?}: {line:?} names {word:?}");
        }
        for (name, secret) in &self.environment {
            let shown = output.stdout.contains(secret) || output.stderr.contains(secret) || line.contains("hunter2");
            assert!(secret.is_empty() || !shown, "{name} is shown: {output:?}");
        }
    }
}

#[tokio::test]
async fn an_unknown_key_is_named_with_the_nearest_known_one() {
    for (from, to, words) in [
        ("site.upstream", "site.upsteam", ["upsteam", "upstream"]),
        ("path = \"/premium/**\"", "path = \"/premium/**\"\nmehtods = [\"GET\"]", ["mehtods", "methods"]),
        ("catalog = ", "catalogue = ", ["catalogue", "catalog"]),
        ("{ tier = \"paid\" }", "{ teir = \"paid\" }", ["teir", "tier"]),
    ] {
        let wrong = Try::new().config(|config| config.replacen(from, to, 1));
        for command in ["check", "run"] {
            wrong.fails_with(&[command], &words).await;
        }
    }
}

#[tokio::test]
async fn a_wrong_configuration_is_told_in_one_line() {
    let cases = [
        ("not TOML", "site.url", "site url", "tollgate.toml"),
        ("an unknown tier", "{ tier = \"paid\" }", "{ tier = \"platinum\" }", "platinum"),
        ("two requirements", "{ tier = \"paid\" }", "{ tier = \"paid\", public = true }", "require"),
        ("no requirement", "{ tier = \"paid\" }", "{ }", "require"),
        ("a path without a slash", "\"/premium/**\"", "\"premium/**\"", "premium/**"),
        ("an ambiguous path", "\"/premium/**\"", "\"/premium/../**\"", "/premium/../**"),
        ("a site that is no origin", "site.url = \"http://", "site.url = \"http://user@", "site.url"),
        ("a site with a path", "site.url = \"http://127.0.0.1", "site.url = \"http://127.0.0.1/shop?\" # ", "site.url"),
        ("no upstream", "site.upstream = [\"127.0.0.1:9\"]", "site.upstream = []", "site.upstream"),
        ("an upstream without a port", "\"127.0.0.1:9\"", "\"127.0.0.1\"", "127.0.0.1"),
        ("a mode of nobody", "mode = \"shadow\"", "mode = \"shadows\"", "shadows"),
        ("no such catalog", "catalog.toml", "catalogue.toml", "catalogue.toml"),
        (
            "a feature that is misspelt",
            "{ feature = \"archive\" }",
            "{ feature = \"archve\" }",
            "did you mean `archive`?",
        ),
    ];
    for (what, from, to, word) in cases {
        let wrong = Try::new().config(|config| {
            assert!(config.contains(from), "{what}: the configuration has {from}");
            config.replacen(from, to, 1)
        });
        wrong.fails_with(&["check"], &[word]).await;
    }
}

#[tokio::test]
async fn a_wrong_catalog_is_told_in_one_line() {
    let cases = [
        ("not TOML", "[[tier]]", "[[tier", "catalog.toml"),
        ("an unknown key", "rank = 1", "rnak = 1", "rnak"),
        ("a price named twice", "price_annual", "price_monthly", "price_monthly"),
        ("a tier named twice", "code = \"business\"", "code = \"paid\"", "paid"),
        ("a rank given twice", "rank = 2", "rank = 1", "1"),
        ("an unknown provider", "provider = \"stripe\"", "provider = \"paypal\"", "paypal"),
        ("an unknown cadence", "cadence = \"monthly\"", "cadence = \"weekly\"", "weekly"),
        ("an amount with a point", "amount = 700", "amount = 7.00", "write 700"),
        ("a product in the place of its price", "price_monthly", "prod_monthly", "a product of Stripe"),
    ];
    for (what, from, to, word) in cases {
        let wrong = Try::new().catalog(|catalog| {
            assert!(catalog.contains(from), "{what}: the catalog has {from}");
            catalog.replacen(from, to, 1)
        });
        wrong.fails_with(&["check"], &[word]).await;
    }
}

#[tokio::test]
async fn a9_a_consent_that_is_misspelt_is_named_with_the_nearest_one() {
    let wrong = Try::new()
        .catalog(|catalog| catalog.replacen("amount = 700\n", "amount = 700\nconsent = \"monthly-wavier-1\"\n", 1));
    for command in ["check", "run"] {
        wrong.fails_with(&[command], &["monthly-wavier-1", "did you mean `monthly-waiver-1`?"]).await;
    }
}

#[tokio::test]
async fn a_missing_or_weak_secret_is_named_and_never_shown() {
    let missing = Try::new().environment("TOLLGATE_JWT_SECRET", "");
    missing.fails_with(&["run"], &["TOLLGATE_JWT_SECRET"]).await;
    let weak = Try::new().environment("TOLLGATE_JWT_SECRET", "correct horse");
    weak.fails_with(&["run"], &["TOLLGATE_JWT_SECRET", "32"]).await;
    weak.fails_with(&["check"], &["TOLLGATE_JWT_SECRET", "32"]).await;
    let weak = Try::new().environment("TOLLGATE_ASSERTION_KEY", "correct horse");
    weak.fails_with(&["run"], &["TOLLGATE_ASSERTION_KEY", "32"]).await;
    let broken = Try::new().environment("TOLLGATE_ASSERTION_KEY", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END");
    broken.fails_with(&["run"], &["TOLLGATE_ASSERTION_KEY"]).await;
    let separate = Try::new().environment("TOLLGATE_ASSERTION_KEY", "");
    separate.fails_with(&["run", "--role", "proxy"], &["TOLLGATE_ASSERTION_KEY"]).await;
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    Try::new().fails_with(&["run", "--config", "nowhere.toml"], &["nowhere.toml"]).await;
    Try::new().fails_with(&["check", "--config", "nowhere.toml"], &["nowhere.toml"]).await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_with_its_key() {
    for key in ["public", "billing", "admin"] {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = taken.local_addr().expect("an address").to_string();
        let wrong = Try::new().config(|config| {
            let line =
                config.lines().find(|line| line.starts_with(&format!("listen.{key}"))).expect("the key is there");
            config.replacen(line, &format!("listen.{key} = \"{address}\""), 1)
        });
        wrong.fails_with(&["run"], &[&format!("listen.{key}"), &address]).await;
    }
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_told_without_its_password() {
    Try::new().fails_with(&["migrate"], &["Postgres at 127.0.0.1:9"]).await;
    let nonsense = Try::new().environment("DATABASE_URL", "mysql://root:hunter2@127.0.0.1/x");
    nonsense.fails_with(&["run"], &["DATABASE_URL"]).await;
}

#[tokio::test]
async fn a_wrong_password_is_told_without_the_password() {
    let postgres = Postgres::start();
    let database = postgres.database().await;
    execute(&mut database.connect().await, "create role clerk login password 'right'".to_owned()).await;
    let mut url = url::Url::parse(&database.url).expect("a URL");
    url.set_username("clerk").expect("it has a user");
    url.set_password(Some("hunter2")).expect("it has a password");
    let wrong = Try::new().environment("DATABASE_URL", url.as_str());
    wrong.fails_with(&["run"], &["clerk", "password"]).await;
    wrong.fails_with(&["migrate"], &["clerk", "password"]).await;
    url.set_path("nowhere");
    let wrong = Try::new().environment("DATABASE_URL", &url.as_str().replace("hunter2", "right"));
    wrong.fails_with(&["run"], &["nowhere"]).await;
}

#[tokio::test]
async fn a_token_for_the_trying_is_refused_where_it_would_be_real() {
    let with_site = |site: &str| {
        let site = format!("site.url = \"{site}\"");
        Try::new().config(move |config| {
            let line = config.lines().find(|line| line.starts_with("site.url")).expect("the key is there");
            config.replacen(line, &site, 1)
        })
    };
    with_site("https://read.com").fails_with(&["token", "somebody"], &["read.com"]).await;
    let live = with_site("https://read.example").environment("STRIPE_API_KEY", "sk_live_0123456789");
    live.fails_with(&["token", "somebody"], &["development"]).await;
    let output = with_site("https://read.example").run(&["token", "somebody"]).await.success();
    assert_eq!(output.trim().split('.').count(), 3, "a token and nothing else: {output:?}");
}

#[tokio::test]
async fn check_refuses_what_run_would() {
    let listen = |key: &str, value: &str| {
        let (key, value) = (key.to_owned(), value.to_owned());
        Try::new().config(move |config| {
            let line = config.lines().find(|line| line.starts_with(&key)).expect("the key is there");
            config.replacen(line, &format!("{key} = {value}"), 1)
        })
    };
    let public = |config: &str| {
        let line = config.lines().find(|line| line.starts_with("listen.public")).expect("the key is there").to_owned();
        line.split('"').nth(1).expect("a value").to_owned()
    };
    let itself = Try::new().config(|config| config.replacen("127.0.0.1:9", &public(config), 1));
    let cases: [(Try, &[&str]); 17] = [
        (listen("listen.public", "\":8080\""), &["listen.public", "has no host", "127.0.0.1:8080"]),
        (listen("listen.admin", "\"127.0.0.1\""), &["listen.admin", "has no port"]),
        (itself, &["site.upstream", "Tollgate itself"]),
        (listen("site.url", "\"read.example\""), &["tollgate.toml, line", "site.url", "https://read.example"]),
        (
            Try::new().config(|config| format!("{config}\n[referral]\ntier = \"piad\"\n")),
            &["referral.tier", "did you mean `paid`"],
        ),
        (Try::new().environment("REDIS_URL", "redis://:hunter2/x@127.0.0.1"), &["REDIS_URL", "percent-encoded"]),
        (
            Try::new().environment("STRIPE_WEBHOOK_SECRET", "we_hunter2"),
            &["STRIPE_WEBHOOK_SECRET", "begins with whsec_"],
        ),
        (Try::new().environment("STRIPE_API_KEY", "\"sk_test_hunter2\""), &["STRIPE_API_KEY", "quotes"]),
        (Try::new().environment("TOLLGATE_JWT_SECRET", ""), &["TOLLGATE_JWT_SECRET is not set"]),
        (Try::new().environment("DATABASE_URL", "postgres//hunter2"), &["DATABASE_URL is not the URL"]),
        (Try::new().environment("REDIS_URL", "http://hunter2@127.0.0.1"), &["REDIS_URL", "redis://host:6379"]),
        (Try::new().environment("STRIPE_API_KEY", "pk_live_hunter2"), &["STRIPE_API_KEY", "publishable"]),
        (Try::new().environment("STRIPE_API_KEY", "whsec_hunter2"), &["STRIPE_API_KEY", "webhook secret"]),
        (Try::new().environment("STRIPE_WEBHOOK_SECRET", "sk_live_hunter2"), &["belongs into STRIPE_API_KEY"]),
        (Try::new().environment("STRIPE_WEBHOOK_SECRETS", "whsec_hunter2"), &["did you mean STRIPE_WEBHOOK_SECRET?"]),
        (Try::new().environment("POLAR_ACCESS_TOKEN", "polar_whs_hunter2"), &["belongs into POLAR_WEBHOOK_SECRET"]),
        (
            Try::new().environment("TOLLGATE_ASSERTION_KEY", "-----BEGIN PRIVATE KEY-----\\nhunter2\\n-----END"),
            &["TOLLGATE_ASSERTION_KEY_FILE"],
        ),
    ];
    for (wrong, words) in &cases {
        for command in ["check", "run"] {
            wrong.fails_with(&[command], words).await;
        }
    }
}

#[tokio::test]
async fn a_provider_without_its_secrets_is_warned_of_and_refuses_nothing() {
    let database = Postgres::shared().database().await;
    let unset = Try::new().environment("DATABASE_URL", &database.url);
    let checked = unset.run(&["check"]).await;
    assert_eq!(checked.code, 0, "{checked:?}");
    for name in ["STRIPE_WEBHOOK_SECRET is not set", "STRIPE_API_KEY is not set"] {
        assert!(checked.stderr.contains(name) || checked.stdout.contains(name), "{name}: {checked:?}");
    }
    assert!(!format!("{checked:?}").contains("POLAR"), "the catalog has no price of Polar: {checked:?}");
}

#[tokio::test]
async fn a_database_of_something_else_is_told_in_words() {
    let server = Postgres::shared();
    let cases = [
        ("create table accounts (id int)", "has tables of another application, such as `accounts`"),
        // None of them is called like one of Tollgate's.
        (
            "create table wp_users (id int); create table wp_posts (id int)",
            "has tables of another application, such as `wp_posts`",
        ),
        (
            "create table _sqlx_migrations (version bigint primary key, description text not null, installed_on timestamptz not null \
             default now(), success boolean not null, checksum bytea not null, execution_time bigint not null); \
             insert into _sqlx_migrations values (1, 'x', now(), true, 'y', 1), (20240101000000, 'create users', now(), true, 'y', 1)",
            "belongs to another application, whose migrations it has (the last one is 20240101000000, \"create users\")",
        ),
    ];
    for (statements, words) in cases {
        let database = server.database().await;
        execute(&mut database.connect().await, statements.to_owned()).await;
        for command in ["migrate", "run"] {
            Try::new().environment("DATABASE_URL", &database.url).fails_with(&[command], &[words, "of its own"]).await;
        }
        let other = Try::new().environment("DATABASE_URL", &database.url);
        let name = database.url.rsplit('/').next().expect("a name").to_owned();
        for command in COMMANDS {
            other.fails_with(command, &[words, "of its own", &format!("the database `{name}`")]).await;
        }
        let checked = other.run(&["check"]).await;
        assert!(checked.code == 0 && checked.stderr.contains(words), "{checked:?}");
        let online = other.run(&["check", "--online"]).await;
        assert!(
            online.code == 1 && online.stdout.contains(&format!("differs   the database: the database `{name}`")),
            "{online:?}"
        );
        let written = "select count(*) from pg_class where relname in ('catalogs', 'outbox', 'webhook_events')";
        let written: i64 =
            sqlx::query_scalar(written).fetch_one(&mut database.connect().await).await.expect("it is counted");
        assert_eq!(written, 0, "nothing of Tollgate's is in {statements}");
    }
    let changed = server.database().await;
    Try::new().environment("DATABASE_URL", &changed.url).run(&["migrate"]).await.success();
    let otherwise = "update _sqlx_migrations set checksum = 'y' where version = 3";
    execute(&mut changed.connect().await, otherwise.to_owned()).await;
    let changed = Try::new().environment("DATABASE_URL", &changed.url);
    changed.fails_with(&["migrate"], &["migrated by something else", "migration 3"]).await;
    let newer = server.database().await;
    Try::new().environment("DATABASE_URL", &newer.url).run(&["migrate"]).await.success();
    let later = "insert into _sqlx_migrations values (9999, 'later', now(), true, 'y', 1)";
    execute(&mut newer.connect().await, later.to_owned()).await;
    Try::new().environment("DATABASE_URL", &newer.url).fails_with(&["run"], &["newer build", "9999"]).await;
}

/// Commands that need the database.
const COMMANDS: [&[&str]; 17] = [
    &["explain", "account", "somebody"],
    &["explain", "route", "GET", "/premium/one", "--account", "somebody"],
    &["events", "list"],
    &["events", "show", "1"],
    &["events", "replay", "1"],
    &["consents"],
    &["catalog", "plan", "catalog.toml"],
    &["catalog", "apply", "catalog.toml", "--yes"],
    &["reconcile"],
    &["reconcile", "--held-back"],
    &["provider", "use-live", "--yes"],
    &["database", "accept", "--yes"],
    &["identity", "accept", "--yes"],
    &["link", "somebody", "stripe:cus_1", "--yes"],
    &["account", "block", "somebody"],
    &["grant", "somebody", "paid", "--reason", "r"],
    &["revoke", "somebody"],
];

#[tokio::test]
async fn a_command_before_the_first_migration_says_what_to_run() {
    let database = Postgres::shared().database().await;
    let early = Try::new().environment("DATABASE_URL", &database.url);
    for command in COMMANDS {
        early.fails_with(command, &["is not migrated to this version: run `tollgate migrate`"]).await;
        let told = early.run(command).await;
        assert!(!told.stderr.contains("relation") && !told.stderr.contains("error returned"), "no SQL: {told:?}");
    }
    let checked = early.run(&["check"]).await;
    assert!(checked.code == 0 && !checked.stderr.contains("the database:"), "that is how it begins: {checked:?}");
}

#[tokio::test]
async fn the_check_online_needs_a_database_that_answers_and_tells_a_fault_once() {
    let away = format!("postgres://u:p@{}/tollgate", crate::world::ports::free());
    let away = Try::new().environment("DATABASE_URL", &away);
    let checked = away.run(&["check"]).await;
    assert!(
        checked.code == 0 && checked.stdout.contains("database  not looked at"),
        "it needs no network: {checked:?}"
    );
    let database = Postgres::shared().database().await;
    let missing = Try::new().environment("DATABASE_URL", &format!("{}_missing", database.url));
    for (what, told) in [(&away, "cannot be reached"), (&missing, "has no database")] {
        let online = what.run(&["check", "--online"]).await;
        let said = format!("{}{}", online.stdout, online.stderr);
        assert!(online.code == 1 && online.stdout.contains("differs   the database: "), "{online:?}");
        assert_eq!(said.matches(told).count(), 1, "{said}");
    }
}
