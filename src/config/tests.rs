//! Every key of the configuration with a value that cannot be meant: it is refused by its key and its line, with what to write.

use std::collections::BTreeSet;
use std::path::Path;

use super::Config;
use super::file::DEFAULT;

/// The complaint about a file of these lines; empty when it can be run.
fn told(directory: &Path, lines: &str) -> String {
    let path = directory.join("tollgate.toml");
    std::fs::write(&path, lines).expect("it is written");
    Config::load(&path).map_or_else(|error| format!("{error:#}"), |_| String::new())
}

/// Keys, each with what cannot be meant and words of the complaint.
const CASES: [(&str, &str, &str); 89] = [
    ("site.url", "\"https://*.read.example\"", "must be an origin"),
    ("site.url", "\"https://user:hunter2@read.example\"", "must be an origin"),
    ("site.url", "\"https://read.example:0\"", "must be an origin"),
    ("site.also", "[\"read.example\"]", "is not a URL"),
    ("site.upstream", "[\"127.0.0.1:0\"]", "0 is no port of a server"),
    ("site.upstream", "[\"https://user:hunter2@app.example\"]", "holds no name and no password"),
    ("site.upstream", "[\"224.0.0.1:80\"]", "an address of many machines"),
    ("site.login_url", "\"/a/../login\"", "no request can have the path"),
    ("site.login_url", "\"https://accounts.example:0/in\"", "must be a path on the site"),
    ("site.next_param", "\"a b\"", "must be the name of a parameter"),
    ("site.pricing_url", "\"/prices and more\"", "write `/prices%20and%20more`"),
    ("site.pricing_url", "\"/prices/*\"", "must be the path of one page"),
    ("site.framework", "\"nextsj\"", "site.framework"),
    ("site.languages", "[\"en/US\"]", "no segment of a path"),
    ("listen.public", "\"127.0.0.1:0\"", "has port 0"),
    ("listen.billing", "\"user@127.0.0.1:1\"", "is no address"),
    ("listen.admin", "\"999.1.1.1:9090\"", "is no address"),
    ("listen.decide", "\"[::1:8082\"", "is no address"),
    ("decide.path", "\"/\"", "is the whole site"),
    ("decide.gateways", "[\"0.0.0.0/1\"]", "a large part of the internet"),
    ("identity.cookie", "\"a b\"", "is not the name of a cookie"),
    ("identity.algorithm", "\"none\"", "is not one of"),
    ("identity.jwks_insecure", "\"yes\"", "must be true or false"),
    ("identity.jwks_refresh", "\"soon\"", "write it like"),
    ("identity.jwks_refetch_min", "\"x\"", "write it like"),
    ("identity.leeway", "\"1h\"", "5m at most"),
    ("identity.issuer", "[\"\"]", "is empty or has blanks around it"),
    ("identity.audience", "\" read.example\"", "is empty or has blanks around it"),
    ("identity.prefix", "\" a\"", "cannot begin the id of an account"),
    ("organisation.buyers", "[\"admin\"]", "organisation.buyers"),
    ("assertion.audience", "\"a\\nb\"", "line ends in it"),
    ("cache.namespace", "\"a b\"", "cache.namespace"),
    ("cache.max_staleness", "\"99999999y\"", "a thousand years at most"),
    ("cache.stale_if_error", "\"-1s\"", "write it like"),
    ("cache.capacity", "0", "is not from 1 to"),
    ("cache.redis_deadline", "\"0s\"", "no time at all"),
    ("cache.billing_deadline", "\"1ns\"", "no time at all"),
    ("default.invalid_token", "\"deni\"", "did you mean `deny`?"),
    ("default.on_error", "\"alow\"", "did you mean `allow`?"),
    ("default.mode", "\"shadows\"", "did you mean `shadow`?"),
    ("grace.past_due", "\"99999d\"", "at most 36500 days"),
    ("grace.renewal", "\"three days\"", "write it like"),
    ("grace.trial", "\"three days\"", "write it like"),
    ("policy.refund", "\"kep\"", "did you mean `keep`?"),
    ("policy.dispute", "\"suspended\"", "did you mean `suspend`?"),
    ("policy.pause", "true", "policy.pause"),
    ("policy.unpaid", "\"sustend\"", "did you mean `suspend`?"),
    ("reconcile.delta", "\"1s\"", "is less than 1m"),
    ("reconcile.full", "\"1ms\"", "is less than 1m"),
    ("retention.bodies", "\"1ms\"", "is less than 1s"),
    ("retention.consents", "\"1ms\"", "is less than 1s"),
    ("inbox.alert", "0", "is not from 1 to"),
    ("referral.credit_days", "99999", "at most 36500"),
    ("referral.convert_on", "\"paiment\"", "did you mean `payment`?"),
    ("referral.min_amount", "-1", "referral.min_amount"),
    ("referral.rewards_max", "-1", "referral.rewards_max"),
    ("referral.cookie_days", "0", "1 to 400"),
    ("referral.landing_url", "\"//evil.example\"", "must be a path on the site"),
    ("pages.language", "\"german\"", "not a language tag"),
    ("pages.site_name", "\"a\\nb\"", "must be one line"),
    ("pages.index", "1", "must be true or false"),
    ("pages.description", "\"a\\tb\"", "must be one line"),
    ("pages.contact_url", "\"https://\"", "must be https://, mailto:"),
    ("pages.contact_url", "\"mailto:nobody\"", "must be https://, mailto:"),
    ("pages.terms_url", "\"terms\"", "must be https://, mailto:"),
    ("pages.privacy_url", "\"http://read.example/privacy\"", "must be https://, mailto:"),
    ("pages.logout_url", "\"//evil.example\"", "must be https://, mailto:"),
    ("stripe.api_base", "\"https://sk_live_hunter2@api.stripe.com/\"", "keys stand in the environment"),
    ("stripe.webhook_path", "\"/hooks?a=b\"", "must be a path of the site"),
    ("stripe.metadata_key", "\"\"", "is no key of metadata"),
    ("polar.api_base", "\"ftp://api.polar.sh/\"", "must be https://"),
    ("polar.webhook_path", "\"/api/stripe/webhook\"", "each needs a path"),
    ("polar.metadata_key", "\"a[b]\"", "is no key of metadata"),
    ("log.requests", "\"al\"", "did you mean `all`?"),
    ("proxy.threads", "100000", "is not from 0 to 1024"),
    ("proxy.trusted_proxies", "[\"::/1\"]", "a large part of the internet"),
    ("proxy.http2", "\"true\"", "must be true or false"),
    ("proxy.fast_path", "\"no\"", "must be true or false"),
    ("proxy.connect", "\"0s\"", "no time at all"),
    ("proxy.read", "\"0ms\"", "no time at all"),
    ("proxy.write", "\"0s\"", "no time at all"),
    ("proxy.idle", "\"long\"", "write it like"),
    ("proxy.buffer_body", "1_000_000_000", "is not from 0 to"),
    ("proxy.resolve", "\"often\"", "write it like"),
    ("limits.headers", "3", "would let no browser in"),
    ("limits.header_bytes", "100", "would let no browser in"),
    ("shutdown.grace", "\"99999999y\"", "a thousand years at most"),
    ("embedded.path", "\" \"", "embedded.path is empty"),
    ("pages.path", "\"plan\"", "must be a path of the site"),
];

/// Keys whose values are counted, or written, in a way of which a table of its own tells, and of which each value is meant.
const ELSEWHERE: [&str; 23] = [
    "site.case_sensitive",
    "proxy.http2",
    "referral.tier",
    "shutdown.delay",
    "shutdown.handover",
    "pages.consents",
    "pages.words",
    "pages.texts",
    "default.require",
    "limits.connections",
    "limits.connections_per_address",
    "limits.upstream_connections",
    "limits.body_bytes",
    "limits.header_time",
    "limits.idle",
    "limits.read",
    "limits.body_rate",
    "limits.write",
    "limits.quiet",
    "limits.requests_per_connection",
    "limits.streams",
    "identity.user",
    "identity.account",
];

#[test]
fn b17_each_key_refuses_what_cannot_be_meant_with_its_line_and_no_secret() {
    let directory = tempfile::tempdir().expect("a directory");
    for (key, value, words) in CASES {
        let told = told(directory.path(), &format!("# a line before it\n\n{key} = {value}\n"));
        assert!(told.contains(words), "{key} = {value}: {told:?} should contain {words:?}");
        assert!(told.contains("tollgate.toml") && told.contains("line 3"), "{key} = {value}: {told}");
        assert!(!told.contains("hunter2") && !told.contains('\n'), "{key} = {value}: {told}");
    }
}

#[test]
fn b17_no_key_is_without_a_value_that_is_refused() {
    let defaults: toml::Table = toml::from_str(DEFAULT).expect("it is TOML");
    let known: BTreeSet<&str> = CASES.iter().map(|(key, ..)| *key).chain(ELSEWHERE).collect();
    for (section, keys) in &defaults {
        let keys = keys.as_table().into_iter().flatten().map(|(key, _)| format!("{section}.{key}"));
        for key in keys {
            assert!(known.contains(key.as_str()), "{key}: give it a value that cannot be meant");
        }
    }
}

#[test]
fn b17_a_catalog_that_nobody_could_buy_from_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("catalog.toml");
    let tier = "[[tier]]\ncode = \"pro\"\nname = \"Pro\"\nrank = 1\n";
    let price = "[[tier.price]]\nprovider = \"stripe\"\nid = \"price_1\"\ncadence = \"monthly\"\namount = 700\ncurrency = \"gbp\"\n";
    let whole = format!("{tier}{price}");
    let (long, wide) = ("c".repeat(65), "n".repeat(201));
    let cases: [(&str, &str, &str); 8] = [
        ("\"pro\"", &format!("\"{long}\""), "write a short code"),
        ("\"Pro\"", &format!("\"{wide}\""), "is no name"),
        ("\"Pro\"", "\"Pro\\nmax\"", "is no name"),
        ("rank = 1", "rank = 1\nlimits = { \"api calls\" = 3 }", "write a word such as"),
        ("rank = 1", "rank = 1\nlevels = { \"\" = 3 }", "write a word such as"),
        ("price_1", "price 1", "copy it from there"),
        ("amount = 700", "amount = 9_000_000_000_000", "takes 999999999999 at most"),
        ("amount = 700", "amount = -1", "negative amount"),
    ];
    for (from, to, words) in cases {
        std::fs::write(&path, whole.replacen(from, to, 1)).expect("it is written");
        let told = super::read_catalog(&path).map_or_else(|error| format!("{error:#}"), |_| String::new());
        assert!(told.contains(words) && told.contains("catalog.toml"), "{to}: {told:?} should contain {words:?}");
    }
    std::fs::write(&path, &whole).expect("it is written");
    super::read_catalog(&path).expect("the catalog can be used");
}
