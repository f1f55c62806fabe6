//! Secrets in the wrong place: each provider's key says by its beginning what it is, so a mistake is told before anything is asked
//! with it. No value is ever shown.

use super::nearest::nearest;

/// The variables that hold secrets.
pub const NAMES: [&str; 11] = [
    "DATABASE_URL",
    "DATABASE_MIGRATION_URL",
    "REDIS_URL",
    "TOLLGATE_JWT_SECRET",
    "TOLLGATE_ASSERTION_KEY",
    "TOLLGATE_ADMIN_TOKEN",
    "TOLLGATE_APP_TOKEN",
    "STRIPE_API_KEY",
    "STRIPE_WEBHOOK_SECRET",
    "POLAR_ACCESS_TOKEN",
    "POLAR_WEBHOOK_SECRET",
];

/// What is known by its beginning, and where it belongs.
const KINDS: [(&str, &str, Option<&str>); 12] = [
    ("pk_", "a publishable key of Stripe, which may do nothing here", None),
    ("sk_", "a secret key of Stripe", Some("STRIPE_API_KEY")),
    ("rk_", "a restricted key of Stripe", Some("STRIPE_API_KEY")),
    ("we_", "the id of a webhook endpoint of Stripe, whose secret begins with whsec_", None),
    ("price_", "the id of a price", None),
    ("acct_", "the id of an account, which belongs into stripe.account", None),
    ("polar_oat_", "an access token of Polar", Some("POLAR_ACCESS_TOKEN")),
    ("polar_pat_", "an access token of Polar", Some("POLAR_ACCESS_TOKEN")),
    ("polar_whs_", "a webhook secret of Polar", Some("POLAR_WEBHOOK_SECRET")),
    ("postgres://", "the URL of a database", Some("DATABASE_URL")),
    ("postgresql://", "the URL of a database", Some("DATABASE_URL")),
    ("redis", "the URL of a Redis", Some("REDIS_URL")),
];

/// Why a secret cannot be meant for this variable; `None` when it may be.
pub fn misplaced(name: &str, value: &str) -> Option<String> {
    if value.starts_with("-----BEGIN") && value.contains("\\n") {
        return Some(format!(
            "{name} has `\\n` as two letters where lines should end: in a shell write \"$(cat key.pem)\", in a file of variables keep the \
             lines between quotes, or name the file in {name}_FILE"
        ));
    }
    let is_url = |kind: &str| !kind.contains("redis") || value.contains("://");
    let (_, what, place) = KINDS.iter().find(|(start, ..)| value.starts_with(start) && is_url(start))?;
    match place {
        Some(place) if is_for(place, name) => None,
        Some(place) => Some(format!("{name} holds {what}: that belongs into {place}")),
        None => Some(format!("{name} holds {what}: {}", begins(name))),
    }
}

/// How what belongs into a variable begins.
fn begins(name: &str) -> &'static str {
    match name {
        "STRIPE_API_KEY" => "the key for the API begins with sk_ or rk_",
        "STRIPE_WEBHOOK_SECRET" => "the secret of a webhook endpoint begins with whsec_",
        "POLAR_ACCESS_TOKEN" => "an access token begins with polar_oat_",
        "POLAR_WEBHOOK_SECRET" => "the secret of a webhook endpoint begins with polar_whs_ or whsec_",
        _ => "it is something else that belongs here",
    }
}

/// The beginning of each secret of its kind.
const PREFIXES: [&str; 10] =
    ["sk_", "sk_live_", "sk_test_", "rk_", "rk_live_", "rk_test_", "whsec_", "polar_oat_", "polar_pat_", "polar_whs_"];

/// Why a value was changed on its way into a variable; `None` when it was not.
pub fn mangled(name: &str, value: &str) -> Option<String> {
    let is_quoted = |mark| value.len() >= 2 && value.starts_with(mark) && value.ends_with(mark);
    if is_quoted('"') || is_quoted('\'') {
        return Some(format!(
            "{name} stands in quotes, which are taken for a part of it: write it without them (`docker --env-file` keeps quotes)"
        ));
    }
    let stem = value.trim_end_matches('_');
    if !stem.is_empty() && PREFIXES.iter().any(|prefix| prefix.trim_end_matches('_') == stem) {
        return Some(format!("{name} is only the beginning of one: copy the whole of it"));
    }
    let is_one_word = name.starts_with("STRIPE_") || name.starts_with("POLAR_");
    (is_one_word && value.contains(|c: char| !c.is_ascii_graphic()))
        .then(|| format!("{name} holds a blank, a line end or a letter that none has: it is one word, so take what was pasted with it away"))
}

/// Why a value is probably not what its provider gave out; `None` when it looks like it.
pub fn unlike(name: &str, value: &str) -> Option<String> {
    let starts: &[&str] = match name {
        "STRIPE_API_KEY" => &["sk_", "rk_"],
        "STRIPE_WEBHOOK_SECRET" => &["whsec_"],
        "POLAR_WEBHOOK_SECRET" => &["polar_whs_", "whsec_"],
        _ => return None,
    };
    let is_like = starts.iter().any(|start| value.starts_with(start));
    (!is_like).then(|| format!("{name} does not look like one: {}", begins(name)))
}

/// The parameters of a database's URL that are read.
const PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// Parameters that other libraries read, and that may be named: anything else may be a piece of a password.
const OF_OTHERS: [&str; 14] = [
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "gssencmode",
    "keepalives",
    "keepalives_idle",
    "load_balance_hosts",
    "passfile",
    "pgbouncer",
    "schema",
    "search_path",
    "sslcompression",
    "sslnegotiation",
    "target_session_attrs",
];

/// A parameter of a database's URL that nothing reads; `None` when each is read. No value is shown, nor a name that is not well known:
/// a `?` in a password makes a parameter of the rest of it.
pub fn unread_parameter(name: &str, value: &str) -> Option<String> {
    let query = matches!(name, "DATABASE_URL" | "DATABASE_MIGRATION_URL").then(|| value.split_once('?'))??.1;
    let keys = url::form_urlencoded::parse(query.as_bytes()).map(|(key, _)| key);
    let unread = keys.into_iter().find(|key| !PARAMETERS.contains(&key.as_ref()) && !key.starts_with("options["))?;
    if OF_OTHERS.contains(&unread.as_ref()) {
        return Some(format!("{name} has the parameter `{unread}`, which nothing reads"));
    }
    Some(format!(
        "{name} has a parameter that nothing reads{} If it is a piece of the password, characters of that must be percent-encoded: %3F for ?, \
         %23 for #, %2F for /, %25 for %, %40 for @",
        match nearest(&unread, PARAMETERS.into_iter()) {
            // A piece of a password is not misspelt.
            Some(known) if !query.contains('@') => format!(": did you mean `{known}`?"),
            _ => ".".to_owned(),
        }
    ))
}

/// Whether what belongs into `place` may stand in `name`, too.
fn is_for(place: &str, name: &str) -> bool {
    place == name || (place == "DATABASE_URL" && name == "DATABASE_MIGRATION_URL")
}

/// Why what may be called for an API cannot be it: a webhook secret begins like that of other providers, so it is looked for apart.
pub fn is_webhook_secret(name: &str, value: &str) -> Option<String> {
    let asks = matches!(name, "STRIPE_API_KEY" | "POLAR_ACCESS_TOKEN");
    (asks && value.starts_with("whsec_"))
        .then(|| format!("{name} holds a webhook secret: it is the key for the API that belongs here"))
}

/// That a database's URL names no database; `None` when it does.
pub fn no_database(name: &str, value: &str) -> Option<String> {
    if !matches!(name, "DATABASE_URL" | "DATABASE_MIGRATION_URL") {
        return None;
    }
    let (_, rest) = value.split_once("://")?;
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    let is_named = before.split_once('/').is_some_and(|(_, name)| !name.is_empty()) || query.contains("dbname=");
    (!is_named).then(|| format!("{name} names no database, so that with the name of its user is used: write it at the end, such as /tollgate"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_the_wrong_place_is_told_and_not_shown() {
        for (name, value, expected) in [
            ("STRIPE_API_KEY", "pk_live_hidden", Some("publishable")),
            ("STRIPE_API_KEY", "rk_live_hidden", None),
            ("STRIPE_WEBHOOK_SECRET", "we_hidden", Some("begins with whsec_")),
            ("STRIPE_API_KEY", "price_hidden", Some("begins with sk_ or rk_")),
            ("STRIPE_WEBHOOK_SECRET", "sk_test_hidden", Some("belongs into STRIPE_API_KEY")),
            ("STRIPE_WEBHOOK_SECRET", "whsec_hidden", None),
            ("POLAR_ACCESS_TOKEN", "polar_whs_hidden", Some("belongs into POLAR_WEBHOOK_SECRET")),
            ("POLAR_WEBHOOK_SECRET", "polar_oat_hidden", Some("belongs into POLAR_ACCESS_TOKEN")),
            ("TOLLGATE_JWT_SECRET", "sk_live_hidden", Some("belongs into STRIPE_API_KEY")),
            ("DATABASE_MIGRATION_URL", "postgres://hidden", None),
            ("REDIS_URL", "postgres://hidden", Some("belongs into DATABASE_URL")),
            ("DATABASE_URL", "rediss://hidden", Some("belongs into REDIS_URL")),
            ("TOLLGATE_JWT_SECRET", "redis is a word hidden", None),
            ("TOLLGATE_ASSERTION_KEY", "-----BEGIN PRIVATE KEY-----\\nhidden", Some("TOLLGATE_ASSERTION_KEY_FILE")),
        ] {
            let told = misplaced(name, value);
            assert_eq!(told.is_some(), expected.is_some(), "{name}: {told:?}");
            let told = told.unwrap_or_default();
            assert!(told.contains(expected.unwrap_or_default()) && !told.contains("hidden"), "{name}: {told}");
        }
        assert!(is_webhook_secret("STRIPE_API_KEY", "whsec_x").is_some());
        assert_eq!(is_webhook_secret("STRIPE_WEBHOOK_SECRET", "whsec_x"), None);
    }

    #[test]
    fn a_value_that_was_changed_on_its_way_is_told_and_not_shown() {
        for (name, value, expected) in [
            ("STRIPE_API_KEY", "\"sk_live_hidden\"", "quotes"),
            ("STRIPE_WEBHOOK_SECRET", "'whsec_hidden'", "quotes"),
            ("STRIPE_API_KEY", "sk_live_\nhidden", "one word"),
            ("POLAR_ACCESS_TOKEN", "polar_oat_hiddén", "one word"),
            ("STRIPE_WEBHOOK_SECRET", "whsec_", "the whole of it"),
            ("STRIPE_API_KEY", "sk_live", "the whole of it"),
            ("STRIPE_API_KEY", "sk_live_hidden", ""),
            ("TOLLGATE_JWT_SECRET", "a secret of hidden words", ""),
            ("TOLLGATE_JWT_SECRET", "\"", ""),
        ] {
            let told = mangled(name, value).unwrap_or_default();
            assert_eq!(told.is_empty(), expected.is_empty(), "{name}: {told}");
            assert!(told.contains(expected) && !told.contains("hidden"), "{told}");
        }
        assert!(
            unlike("STRIPE_WEBHOOK_SECRET", "hello")
                .is_some_and(|told| told.contains("whsec_") && !told.contains("hello"))
        );
        assert_eq!(unlike("STRIPE_WEBHOOK_SECRET", "whsec_x"), None);
        assert_eq!(unlike("REDIS_URL", "x"), None);
    }

    #[test]
    fn a_parameter_that_nothing_reads_is_told_and_no_value_is_shown() {
        let told = |url: &str| unread_parameter("DATABASE_URL", url);
        let misspelt = told("postgres://u:hidden@h/db?sslmod=hidden").expect("it is told");
        assert!(misspelt.contains("did you mean `sslmode`?") && !misspelt.contains("hidden"), "{misspelt}");
        assert!(
            told("postgres://h/db?sslmode=require&channel_binding=require")
                .is_some_and(|it| it.contains("channel_binding"))
        );
        for url in
            ["postgres://u:pa?ssx@h/db", "postgres://u:pa?s=ssx@h/db", "postgres://u:pa?ssx&b=c@h/db?sslmode=require"]
        {
            let piece = told(url).expect("it is told");
            assert!(piece.contains("percent-encoded") && !piece.contains("ssx") && !piece.contains('`'), "{piece}");
        }
        for url in
            ["postgres://h/db", "postgres:///db?host=/tmp&user=a@b", "postgres://h/db?options[statement_timeout]=5s"]
        {
            assert_eq!(told(url), None, "{url}");
        }
        assert_eq!(unread_parameter("REDIS_URL", "redis://h?x=y"), None);
    }

    #[test]
    fn b17_a_url_without_a_database_is_told() {
        for (url, is_told) in [
            ("postgres://u:p@h:5432", true),
            ("postgres://u:p@h:5432/", true),
            ("postgres://u:p@h:5432?sslmode=require", true),
            ("postgres://u:p@h:5432/tollgate", false),
            ("postgres://u:p@h?dbname=tollgate", false),
        ] {
            assert_eq!(no_database("DATABASE_URL", url).is_some(), is_told, "{url}");
        }
    }
}
