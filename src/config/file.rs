//! The configuration file as it is written: every key, its default from `config/tollgate.toml`, unknown keys refused.

use std::time::Duration;

use anyhow::{Result, anyhow};
use entitlement::authorize::{InvalidToken, Mode, OnError};
use entitlement::subscription::Policy;
use serde::Deserialize;

use super::plain::{Complaint, explain};

/// The commented file with every key is the default.
pub const DEFAULT: &str = include_str!("../../config/tollgate.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub catalog: Option<String>,
    pub site: Site,
    pub listen: Listen,
    pub decide: Decide,
    pub identity: super::identity::Section,
    pub organisation: Organisation,
    pub assertion: Assertion,
    pub cache: Cache,
    #[serde(default, rename = "upstream")]
    pub upstreams: Vec<super::sites::Section>,
    #[serde(default, rename = "route")]
    pub routes: Vec<Route>,
    pub default: Rule,
    pub grace: Grace,
    pub policy: Policy,
    pub reconcile: Reconcile,
    pub retention: Retention,
    pub inbox: Inbox,
    pub referral: Referral,
    pub pages: super::pages::Section,
    pub stripe: Stripe,
    pub polar: Polar,
    pub log: Log,
    pub limits: super::limits::Limits,
    pub tls: Option<super::limits::Tls>,
    pub proxy: Proxy,
    pub shutdown: Shutdown,
    pub embedded: Embedded,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    pub url: String,
    pub also: Vec<String>,
    pub upstream: Vec<String>,
    pub login_url: String,
    pub next_param: String,
    pub pricing_url: String,
    pub case_sensitive: bool,
    pub framework: String,
    pub languages: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    pub public: String,
    pub billing: String,
    pub admin: String,
    pub decide: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decide {
    pub path: String,
    pub gateways: Vec<String>,
}

/// Accounts that have several users.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Organisation {
    pub buyers: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    pub namespace: String,
    #[serde(with = "crate::config::span")]
    pub max_staleness: Duration,
    #[serde(with = "crate::config::span")]
    pub stale_if_error: Duration,
    pub capacity: usize,
    #[serde(with = "crate::config::span")]
    pub redis_deadline: Duration,
    #[serde(with = "crate::config::span")]
    pub billing_deadline: Duration,
}

/// One `[[route]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    pub path: String,
    pub methods: Option<Vec<String>>,
    pub hosts: Option<Vec<String>>,
    pub require: Require,
    #[serde(default)]
    pub cors_origins: Vec<String>,
    #[serde(default, with = "crate::config::span")]
    pub timeout: Option<Duration>,
    #[serde(default)]
    pub allow: Vec<super::allow::Entry>,
    #[serde(default)]
    pub shared: bool,
    pub meter: Option<String>,
    #[serde(default)]
    pub raw: bool,
    #[serde(default)]
    pub invalid_token: InvalidToken,
    #[serde(default)]
    pub on_error: OnError,
    #[serde(default)]
    pub mode: Mode,
}

/// What holds where no route matches.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub require: Require,
    pub invalid_token: InvalidToken,
    pub on_error: OnError,
    pub mode: Mode,
}

/// `{ tier = "paid" }`, `{ feature = "archive" }`, `{ signed_in = true }` or `{ public = true }`; what stands side by side
/// is required together, and of `any` one is enough.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Require {
    pub tier: Option<String>,
    pub feature: Option<String>,
    pub signed_in: Option<bool>,
    pub public: Option<bool>,
    pub any: Option<Vec<Require>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grace {
    #[serde(with = "crate::config::span")]
    pub past_due: Duration,
    #[serde(with = "crate::config::span")]
    pub renewal: Duration,
    /// None: as the reason of the failure has it.
    #[serde(deserialize_with = "crate::config::span::or_nothing")]
    pub trial: Option<Duration>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconcile {
    #[serde(with = "crate::config::span")]
    pub delta: Duration,
    #[serde(with = "crate::config::span")]
    pub full: Duration,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    #[serde(with = "crate::config::span")]
    pub bodies: Duration,
    #[serde(with = "crate::config::span")]
    pub consents: Duration,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inbox {
    pub alert: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Referral {
    pub credit_days: u32,
    pub tier: String,
    pub convert_on: billing::ConvertOn,
    pub min_amount: u32,
    pub rewards_max: u32,
    pub cookie_days: u32,
    pub landing_url: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stripe {
    pub api_base: String,
    pub webhook_path: String,
    pub metadata_key: String,
    pub account: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Polar {
    pub api_base: String,
    pub webhook_path: String,
    pub metadata_key: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub requests: Requests,
}

/// Which requests are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Requests {
    All,
    Denied,
    None,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    pub threads: usize,
    pub trusted_proxies: Vec<String>,
    pub http2: bool,
    pub fast_path: bool,
    #[serde(with = "crate::config::span")]
    pub connect: Duration,
    #[serde(with = "crate::config::span")]
    pub read: Duration,
    #[serde(with = "crate::config::span")]
    pub write: Duration,
    #[serde(with = "crate::config::span")]
    pub idle: Duration,
    pub buffer_body: usize,
    #[serde(with = "crate::config::span")]
    pub resolve: Duration,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    pub audience: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shutdown {
    #[serde(with = "crate::config::span")]
    pub grace: Duration,
    #[serde(with = "crate::config::span")]
    pub delay: Duration,
    pub handover: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embedded {
    pub path: String,
}

impl File {
    /// Lays `text` over the defaults.
    #[cfg(test)]
    pub fn parse(text: &str) -> Result<Self> {
        Self::from_table(Self::table(text)?)
    }

    /// What [`File::table`] made.
    pub fn from_table(mut table: toml::Table) -> Result<Self> {
        super::identity::nest(&mut table);
        serde_path_to_error::deserialize(table).map_err(|error| match toml::from_str(DEFAULT) {
            Ok(known) => Complaint::of_table(&error, &known).into(),
            Err(broken) => broken.into(),
        })
    }

    /// Lays `text` over the defaults, as keys and values that have not been checked yet.
    pub fn table(text: &str) -> Result<toml::Table> {
        let mine: toml::Table = toml::from_str(text).map_err(|error| anyhow!("{}", explain(&error, text)))?;
        let mut merged: toml::Table = toml::from_str(DEFAULT)?;
        // A rule is one thing: a `require` of the file replaces the default's, it does not add to it.
        if let (Some(default), Some(_)) = (
            merged.get_mut("default").and_then(toml::Value::as_table_mut),
            mine.get("default").and_then(|rule| rule.get("require")),
        ) {
            default.remove("require");
        }
        super::identity::make_room(&mut merged, &mine)?;
        super::sites::make_room(&mut merged, &mine);
        lay_over(&mut merged, mine.clone());
        super::below::settle(&mut merged, &mine);
        Ok(merged)
    }
}

/// Puts `mine` over `base`: tables merge, everything else is replaced.
fn lay_over(base: &mut toml::Table, mine: toml::Table) {
    for (key, value) in mine {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(mine)) => lay_over(base, mine),
            (_, value) => drop(base.insert(key, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commented_file_is_the_default() {
        let file = File::parse("").expect("the defaults are complete");
        assert_eq!(file.site.upstream, ["127.0.0.1:3000"]);
        assert_eq!(file.cache.capacity, 1_000_000);
        assert_eq!(file.proxy.idle, Duration::from_millis(1_500));
        assert_eq!(file.grace.past_due, Duration::from_secs(14 * 86_400));
        assert!(file.routes.is_empty());
        assert_eq!(file.policy, Policy::default(), "what the file says is what the words mean by themselves");
        assert_eq!(file.retention.bodies, Duration::from_secs(90 * 86_400));
        assert_eq!(file.retention.consents, Duration::from_secs(2192 * 86_400));
        assert_eq!(file.stripe.account, None);
    }

    #[test]
    fn a_file_changes_only_what_it_names() {
        let file = File::parse("[site]\nurl = \"https://read.example\"\n[default]\nrequire = { signed_in = true }\n")
            .expect("a valid file");
        assert_eq!(file.site.url, "https://read.example");
        assert_eq!(file.site.login_url, "/login");
        assert_eq!(file.default.require.signed_in, Some(true));
        assert_eq!(file.default.require.public, None, "a rule is replaced, not added to");
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line_with_the_nearest_key() {
        let cases = [
            ("[site]\npricing_ur = \"/p\"", "unknown key `pricing_ur` in `site`: did you mean `pricing_url`?"),
            ("[sit]\nurl = \"/p\"", "unknown key `sit`: did you mean `site`?"),
            (
                "[stripe]\napi_key = \"sk_x\"",
                "unknown key `api_key` in `stripe`: secrets come from the environment, so set STRIPE_API_KEY",
            ),
            ("[stripe]\nsecret_key = \"sk_x\"", "so set STRIPE_API_KEY"),
            ("[polar]\nwebhook_secret = \"x\"", "so set POLAR_WEBHOOK_SECRET"),
            ("database_url = \"x\"", "so set DATABASE_URL"),
            ("[identity]\njwt_secret = \"x\"", "so set TOLLGATE_JWT_SECRET"),
            ("[[route]]\npath = \"/a\"\nrequires = {}", "did you mean `require`?"),
            ("[[route]]\npath = \"/a\"\nrequire = { teir = \"a\" }", "did you mean `tier`?"),
            ("[polcy]\nrefund = \"keep\"", "unknown key `polcy`: did you mean `policy`?"),
            ("[policy]\nrefnd = \"keep\"", "unknown key `refnd` in `policy`: did you mean `refund`?"),
            (
                "[policy]\npause = \"end\"",
                "unknown value \"end\" in `policy.pause`, where one of \"suspend\", \"keep\" may stand",
            ),
            ("[reconcile]\nfulll = \"1h\"", "unknown key `fulll` in `reconcile`: did you mean `full`?"),
            ("[retention]\nbody = \"1h\"", "unknown key `body` in `retention`: did you mean `bodies`?"),
            ("[inbox]\nalert = -1", "`inbox.alert` must be a whole number from 0 to 9223372036854775807, and is -1"),
            (
                "[cache]\ncapacity = \"many\"",
                "`cache.capacity` must be a whole number, and is the text \"many\": write it like 14",
            ),
            ("[cache]\nmax_staleness = \"5 parsecs\"", "parsecs"),
            ("[[route]]\nrequire = { tier = \"paid\" }", "the key `path` is missing in `route`"),
            ("[site\n", "line 1"),
            ("[[route]]\npath = \"/a\"\nsite.url = \"/p\"", "write it above the first line in brackets"),
            ("url = \"/p\"", "unknown key `url`: did you mean `site.url`?"),
            ("[[route]]\npath = \"/a\"\nrequire = \"public\"", "write it like { public = true }"),
            (
                "[proxy]\ntrusted_proxies = \"10.0.0.0/8\"",
                "a list in brackets, and is the text \"10.0.0.0/8\": write [\"10.0.0.0/8\"]",
            ),
            ("[listen]\npublic = 8080", "`listen.public` must be a text in quotes, and is 8080: write \"8080\""),
            ("[proxy]\nhttp2 = 1", "`proxy.http2` must be true or false, and is 1"),
            ("[grace]\npast_due = 14", "`grace.past_due` must be a time with its unit, and is 14: write it like"),
        ];
        for (text, expected) in cases {
            let error = File::parse(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{error:?} should contain {expected:?}");
            assert!(!error.contains('\n'), "{error:?} is one line");
        }
    }
}
