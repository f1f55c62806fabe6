//! The files of a new installation, as texts.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Result, anyhow, bail};

use super::answers::Answers;
use crate::config::file::File;
use crate::dotenv::quoted;

/// The line that names the catalog.
pub const CATALOG_LINE: &str = "catalog = \"catalog.toml\"\n";

/// Variables for which a new key is made.
pub const MADE: [&str; 4] =
    ["TOLLGATE_JWT_SECRET", "TOLLGATE_ASSERTION_KEY", "TOLLGATE_ADMIN_TOKEN", "TOLLGATE_APP_TOKEN"];

/// The servers that a new installation needs, by their variables: where they are by default, and how one is started there.
const SERVERS: [(&str, &str, &str); 2] = [
    (
        "DATABASE_URL",
        "postgres://tollgate@127.0.0.1:5432/tollgate",
        "docker run --detach --publish 127.0.0.1:5432:5432 --env POSTGRES_USER=tollgate --env POSTGRES_HOST_AUTH_METHOD=trust postgres:17",
    ),
    ("REDIS_URL", "redis://127.0.0.1:6379/", "docker run --detach --publish 127.0.0.1:6379:6379 redis:8"),
];

/// Bytes of a new key.
const KEY_BYTES: usize = 32;

/// Routes that a new installation begins with.
fn routes(base: &str) -> String {
    format!(
        r#"
# The first that matches decides; [default] is for what no route names. See docs/routes.md.
[[route]]
path = {}
require = {{ tier = "paid" }}           # or a feature, or {{ signed_in = true }}, or {{ public = true }}
"#,
        toml::Value::String(format!("{base}/premium/**"))
    )
}

/// The contents of all files.
pub struct Texts {
    config: String,
    catalog: String,
    env: String,
    /// Commands that start the servers of which the environment names none.
    pub starts: Vec<&'static str>,
    /// Whether Stripe can be asked with what .env has.
    pub has_stripe_key: bool,
}

impl Texts {
    /// Makes them from answers, and from what the environment has of Tollgate's variables.
    ///
    /// # Errors
    /// When a value cannot be written down, or the system gives no randomness.
    pub fn of(answers: &Answers, environment: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let set = |name: &str| environment(name).filter(|value| !value.trim().is_empty());
        let is_set = |name: &str| set(name).or(set(&format!("{name}_FILE"))).is_some();
        Ok(Self {
            config: config(&answers.keys, &answers.base())?,
            catalog: catalog(answers),
            env: env(&set)?,
            starts: SERVERS.iter().filter(|(name, ..)| !is_set(name)).map(|(.., start)| *start).collect(),
            has_stripe_key: is_set("STRIPE_API_KEY"),
        })
    }

    /// Whether the configuration knows all its keys, and each has a value of its type.
    ///
    /// # Errors
    /// When one is unknown, or has another type.
    pub fn check_keys(&self) -> Result<()> {
        File::from_table(File::table(&self.config)?).map(drop)
    }

    /// The content of the file of this name.
    pub fn of_file(&self, name: &str) -> &str {
        match name {
            ".env" => &self.env,
            "catalog.toml" => &self.catalog,
            _ => &self.config,
        }
    }
}

fn config(keys: &[(String, String)], base: &str) -> Result<String> {
    let mut text = format!(
        "# Every other key, with its default and its reason: config/tollgate.toml of Tollgate's sources.\n{CATALOG_LINE}"
    );
    let defaults = File::table("")?;
    let mut sections: Vec<(&str, Vec<(&str, String)>)> = Vec::new();
    for (key, value) in keys {
        let (section, name) = key.rsplit_once('.').ok_or_else(|| anyhow!("`{key}` is no key of a section"))?;
        let line = (name, written(&defaults, key, value));
        match sections.iter_mut().find(|(known, _)| *known == section) {
            Some((_, lines)) => lines.push(line),
            None => sections.push((section, vec![line])),
        }
    }
    for (section, lines) in sections {
        let _ = writeln!(text, "\n[{section}]");
        for (name, value) in lines {
            let _ = writeln!(text, "{name} = {value}");
        }
    }
    text.push_str(&routes(base));
    Ok(text)
}

/// A value as TOML, of the type that the key has by default: of a list, one element.
fn written(defaults: &toml::Table, key: &str, value: &str) -> String {
    let text = || toml::Value::String(value.to_owned()).to_string();
    let mut at = Some(defaults);
    let mut found = None;
    for part in key.split('.') {
        found = at.and_then(|table| table.get(part));
        at = found.and_then(toml::Value::as_table);
    }
    match found {
        Some(toml::Value::Array(_)) if !value.starts_with('[') => format!("[{}]", text()),
        Some(toml::Value::String(_)) | None => text(),
        Some(_) => value.lines().next().unwrap_or_default().to_owned(),
    }
}

fn catalog(answers: &Answers) -> String {
    let Answers { monthly, annual, currency, .. } = answers;
    let currency = toml::Value::String(currency.clone());
    let mut text = format!(
        r#"# What is sold. `tollgate setup stripe` makes the prices in Stripe and finds them by their lookup keys, in test mode and in live mode.
[[tier]]
code = "paid"
name = "Paid"
rank = 1
features = []                         # what routes and your site ask for, such as ["archive"]

[[tier.price]]
provider = "stripe"
lookup_key = "paid_monthly"           # or id = "price_…", of a price that is there
cadence = "monthly"
amount = {monthly}                          # in minor units: 700 is 7.00
currency = {currency}
"#
    );
    if *annual > 0 {
        let _ = write!(
            text,
            "\n[[tier.price]]\nprovider = \"stripe\"\nlookup_key = \"paid_annual\"\ncadence = \"annual\"\namount = {annual}\ncurrency = {currency}\n"
        );
    }
    text
}

/// Variables with what they are made from, when the environment does not have them.
fn env(set: &impl Fn(&str) -> Option<String>) -> Result<String> {
    let mut text = String::from(
        "# Secrets of Tollgate. A shell reads them with `set -a; . ./.env; set +a`, systemd with EnvironmentFile=. Keep them out of version control.\n",
    );
    let made: BTreeMap<&str, String> = MADE.into_iter().map(|name| Ok((name, key()?))).collect::<Result<_>>()?;
    let variables: [(&str, &str, Option<&str>); 11] = [
        (
            "TOLLGATE_JWT_SECRET",
            "your site signs its tokens with it",
            made.get("TOLLGATE_JWT_SECRET").map(String::as_str),
        ),
        ("TOLLGATE_ASSERTION_KEY", "the same in every process", made.get("TOLLGATE_ASSERTION_KEY").map(String::as_str)),
        ("TOLLGATE_ADMIN_TOKEN", "opens /admin/", made.get("TOLLGATE_ADMIN_TOKEN").map(String::as_str)),
        (
            "TOLLGATE_APP_TOKEN",
            "opens /app/v1/ to your application",
            made.get("TOLLGATE_APP_TOKEN").map(String::as_str),
        ),
        ("DATABASE_URL", "PostgreSQL", Some(SERVERS[0].1)),
        ("DATABASE_MIGRATION_URL", "", None),
        ("REDIS_URL", "", Some(SERVERS[1].1)),
        ("STRIPE_API_KEY", "sk_test_… of test mode, later sk_live_…", None),
        ("STRIPE_WEBHOOK_SECRET", "", None),
        ("POLAR_ACCESS_TOKEN", "", None),
        ("POLAR_WEBHOOK_SECRET", "", None),
    ];
    for (name, what, default) in variables {
        if set(&format!("{name}_FILE")).is_some() {
            let _ = writeln!(text, "# {name} comes from the file that {name}_FILE names");
            continue;
        }
        match set(name).or(default.map(str::to_owned)) {
            Some(value) => {
                let Some(value) = quoted(&value) else {
                    bail!(
                        "{name} of the environment cannot be written into .env: put it into a file, and name that with {name}_FILE"
                    );
                };
                if !what.is_empty() {
                    let _ = writeln!(text, "# {what}");
                }
                let _ = writeln!(text, "{name}={value}");
            }
            None if what.is_empty() => {}
            None => {
                let _ = writeln!(text, "# {what}\n# {name}=");
            }
        }
    }
    Ok(text)
}

/// A new key, in hexadecimal digits: what no file and no shell reads otherwise.
fn key() -> Result<String> {
    let mut bytes = [0_u8; KEY_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| anyhow!("the system gives no randomness"))?;
    Ok(bytes.iter().fold(String::new(), |mut key, byte| {
        let _ = write!(key, "{byte:02x}");
        key
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::secrets::Secrets;
    use crate::dotenv::value_of;

    #[test]
    fn what_the_environment_has_is_taken_over_and_keys_are_new() {
        let given = |name: &str| match name {
            "DATABASE_URL" => Some("postgres://u:p@h/db?sslmode=require&x=1".to_owned()),
            "REDIS_URL_FILE" => Some("/run/secrets/redis".to_owned()),
            "STRIPE_API_KEY" => Some("sk_test_1".to_owned()),
            _ => None,
        };
        let (one, other) = (env(&given).expect("a text"), env(&|_: &str| None).expect("a text"));
        assert_eq!(value_of(&one, "DATABASE_URL").as_deref(), Some("postgres://u:p@h/db?sslmode=require&x=1"));
        assert_eq!(value_of(&one, "STRIPE_API_KEY").as_deref(), Some("sk_test_1"));
        assert_eq!((value_of(&one, "REDIS_URL"), value_of(&other, "STRIPE_API_KEY")), (None, None));
        assert!(value_of(&other, "REDIS_URL").is_some());
        let key = |text: &str| value_of(text, "TOLLGATE_JWT_SECRET");
        assert!(key(&one).is_some_and(|key| key.len() == 64) && key(&one) != key(&other));
        let secrets = Secrets::read(|name| value_of(&other, name)).expect("they can be used");
        assert!(secrets.assertion_key().is_ok_and(|key| key.is_some()) && secrets.jwt_secret().is_ok());
        let refused = env(&|name: &str| (name == "DATABASE_URL").then(|| "it's".to_owned())).expect_err("a quote");
        assert!(refused.to_string().contains("DATABASE_URL_FILE"), "{refused}");
    }

    #[test]
    fn keys_stand_in_their_sections_and_have_their_types() {
        let keys = [
            ("site.url", "https://read.example\"\n[x]"),
            ("site.upstream", "127.0.0.1:3000"),
            ("log.requests", "all"),
            ("site.case_sensitive", "true"),
            ("cache.capacity", "5"),
            ("site.also", "[\"https://a.example\"]"),
        ];
        let keys = keys.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let text = config(&keys, "/app").expect("a text");
        let table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(table["site"]["url"].as_str(), Some("https://read.example\"\n[x]"));
        assert_eq!(table["site"]["upstream"][0].as_str(), Some("127.0.0.1:3000"));
        assert_eq!(
            (table["site"]["case_sensitive"].as_bool(), table["cache"]["capacity"].as_integer()),
            (Some(true), Some(5))
        );
        assert_eq!(table["site"]["also"][0].as_str(), Some("https://a.example"));
        assert_eq!(table["route"][0]["path"].as_str(), Some("/app/premium/**"));
    }
}
