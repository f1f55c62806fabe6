//! Secrets, from the environment or from files that it names. None of them is ever printed.

use std::fmt;
use std::fs::File;
use std::io::Read;

use anyhow::{Context, Result, bail};
use entitlement::assertion::AssertionKey;

use super::misnamed::{misnamed, misspelt};
use super::misplaced::{is_webhook_secret, mangled, misplaced, no_database, unlike, unread_parameter};

/// Shortest HS256 secret, in bytes (RFC 7518 section 3.2).
const JWT_SECRET_BYTES_MIN: usize = 32;

/// Shortest token of the admin API, and of the application, in bytes: 128 bits, if it was made as told.
const TOKEN_BYTES_MIN: usize = 16;

/// Largest file with a secret, in bytes: a private key in PEM has a few thousand.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// What the environment holds.
#[derive(Clone, Default)]
pub struct Secrets {
    pub database_url: Option<String>,
    pub migration_url: Option<String>,
    pub redis_url: Option<String>,
    pub jwt_secret: Option<String>,
    pub assertion_key: Option<String>,
    pub admin_token: Option<String>,
    pub app_tokens: Vec<String>,
    pub stripe_api_key: Option<String>,
    pub stripe_webhook_secrets: Vec<String>,
    pub polar_access_token: Option<String>,
    pub polar_webhook_secrets: Vec<String>,
    /// Warnings of variables under names that nothing reads.
    pub misnamed: Vec<String>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets([redacted])")
    }
}

impl Secrets {
    /// Reads the environment, and the files that it names.
    ///
    /// # Errors
    /// When a secret is given twice or stands in the wrong place, or its file cannot be read or is empty.
    pub fn from_env() -> Result<Self> {
        let names: Vec<String> = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect();
        if let Some(told) = misspelt(&names) {
            bail!("{told}");
        }
        Ok(Self { misnamed: misnamed(&names), ..Self::read(|name| std::env::var(name).ok())? })
    }

    /// Reads from any source of variables; an empty variable is an absent one.
    ///
    /// # Errors
    /// As [`Secrets::from_env`].
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let get = |name: &str| one(name, &get);
        let list = |name: &str| get(name).and_then(|values| several(name, &values.unwrap_or_default()));
        let secrets = Self {
            database_url: get("DATABASE_URL")?,
            migration_url: get("DATABASE_MIGRATION_URL")?,
            redis_url: get("REDIS_URL")?,
            jwt_secret: get("TOLLGATE_JWT_SECRET")?,
            assertion_key: get("TOLLGATE_ASSERTION_KEY")?,
            admin_token: get("TOLLGATE_ADMIN_TOKEN")?,
            app_tokens: list("TOLLGATE_APP_TOKEN")?,
            stripe_api_key: get("STRIPE_API_KEY")?,
            stripe_webhook_secrets: list("STRIPE_WEBHOOK_SECRET")?,
            polar_access_token: get("POLAR_ACCESS_TOKEN")?,
            polar_webhook_secrets: list("POLAR_WEBHOOK_SECRET")?,
            misnamed: Vec::new(),
        };
        let tokens = [
            ("TOLLGATE_ADMIN_TOKEN", secrets.admin_token.as_slice()),
            ("TOLLGATE_APP_TOKEN", secrets.app_tokens.as_slice()),
        ];
        for (name, tokens) in tokens {
            if tokens.iter().any(|token| token.len() < TOKEN_BYTES_MIN) {
                bail!("{name} is shorter than 16 bytes: make one with `openssl rand -hex 32`");
            }
        }
        for (name, values) in secrets.named() {
            let mut told =
                values.iter().filter_map(|value| misplaced(name, value).or_else(|| is_webhook_secret(name, value)));
            if let Some(told) = told.next() {
                bail!("{told}");
            }
            if let Some(told) = values.iter().find_map(|value| mangled(name, value)) {
                bail!("{told}");
            }
        }
        // Each would then be accepted in the place of the other, and a user could claim any tier.
        if let (Some(jwt), Some(assertion)) = (&secrets.jwt_secret, &secrets.assertion_key)
            && assertion.split(',').any(|key| key.trim() == jwt)
        {
            bail!("TOLLGATE_JWT_SECRET and TOLLGATE_ASSERTION_KEY are the same: each needs a key of its own");
        }
        Ok(secrets)
    }

    /// The secret that verifies the site's tokens.
    pub fn jwt_secret(&self) -> Result<&str> {
        let secret = self
            .jwt_secret
            .as_deref()
            .context("TOLLGATE_JWT_SECRET is not set: set it to the secret with which your site signs its tokens")?;
        // Every holder of the public key could sign with it.
        if secret.trim_start().starts_with("-----BEGIN") {
            bail!(
                "TOLLGATE_JWT_SECRET has a key in PEM, and is a secret that signs: name the file of the public key under [identity] as `public_key_file`"
            );
        }
        if secret.len() < JWT_SECRET_BYTES_MIN {
            bail!(
                "TOLLGATE_JWT_SECRET is shorter than 32 bytes: make one with `openssl rand -hex 32` and sign the site's tokens with it"
            );
        }
        Ok(secret)
    }

    /// The key that signs assertions, if there is one.
    pub fn assertion_key(&self) -> Result<Option<AssertionKey>> {
        let key = self.assertion_key.as_deref().map(AssertionKey::parse).transpose();
        key.context("TOLLGATE_ASSERTION_KEY")
    }

    /// What is accepted, but looks like nothing that a provider gives out.
    pub fn warnings(&self) -> Vec<String> {
        let values = self.named().into_iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
        let doubt = |(name, value): (&'static str, &String)| {
            unlike(name, value).or_else(|| unread_parameter(name, value)).or_else(|| no_database(name, value))
        };
        values.filter_map(doubt).chain(self.misnamed.iter().cloned()).collect()
    }

    /// Whether real money moves with this key.
    pub fn is_live(&self) -> bool {
        self.stripe_api_key.as_deref().is_some_and(|key| key.starts_with("sk_live_") || key.starts_with("rk_live_"))
    }

    /// The names of the secrets that `newer` has otherwise.
    pub fn changed(&self, newer: &Self) -> Vec<&'static str> {
        let pairs = self.named().into_iter().zip(newer.named());
        pairs.filter(|((_, old), (_, new))| old != new).map(|((name, _), _)| name).collect()
    }

    /// Every secret under the name of its variable.
    fn named(&self) -> [(&'static str, &[String]); 11] {
        [
            ("DATABASE_URL", self.database_url.as_slice()),
            ("DATABASE_MIGRATION_URL", self.migration_url.as_slice()),
            ("REDIS_URL", self.redis_url.as_slice()),
            ("TOLLGATE_JWT_SECRET", self.jwt_secret.as_slice()),
            ("TOLLGATE_ASSERTION_KEY", self.assertion_key.as_slice()),
            ("TOLLGATE_ADMIN_TOKEN", self.admin_token.as_slice()),
            ("TOLLGATE_APP_TOKEN", &self.app_tokens),
            ("STRIPE_API_KEY", self.stripe_api_key.as_slice()),
            ("STRIPE_WEBHOOK_SECRET", &self.stripe_webhook_secrets),
            ("POLAR_ACCESS_TOKEN", self.polar_access_token.as_slice()),
            ("POLAR_WEBHOOK_SECRET", &self.polar_webhook_secrets),
        ]
    }
}

/// Whether a variable holds a secret of Tollgate's own.
pub fn is_known(name: &str) -> bool {
    Secrets::default().named().iter().any(|(known, _)| *known == name)
}

/// The values of a token that a configuration names by its variable.
///
/// # Errors
/// As [`Secrets::from_env`].
pub fn tokens(name: &str) -> Result<Vec<String>> {
    let values = one(name, |name| std::env::var(name).ok())?;
    several(name, &values.unwrap_or_default())
}

/// A secret from `NAME` or from the file that `NAME_FILE` names.
fn one(name: &str, get: impl Fn(&str) -> Option<String>) -> Result<Option<String>> {
    let get = |name: &str| get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let of_file = format!("{name}_FILE");
    match (get(name), get(&of_file)) {
        (Some(_), Some(_)) => bail!("{name} and {of_file} are both set: keep one of them"),
        (None, Some(path)) => from_file(&of_file, &path).map(Some),
        (value, None) => Ok(value),
    }
}

/// The content of the file that a variable names. The path is not shown: somebody may have written the secret itself
/// there.
fn from_file(variable: &str, path: &str) -> Result<String> {
    let unreadable = || format!("{variable} names a file that cannot be read");
    // Anything else, such as a pipe, could let us wait for ever, and could not be read again.
    if !std::fs::metadata(path).with_context(unreadable)?.is_file() {
        bail!("{variable} names something that is not a file");
    }
    let mut content = String::new();
    let file = File::open(path).with_context(unreadable)?;
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut content).with_context(unreadable)?;
    if content.len() as u64 > FILE_BYTES_MAX {
        bail!("{variable} names a file that is larger than 64 KiB: that is no secret");
    }
    match content.trim() {
        "" => bail!("{variable} names a file that is empty"),
        secret => Ok(secret.to_owned()),
    }
}

/// The secrets of a comma-separated list.
fn several(name: &str, values: &str) -> Result<Vec<String>> {
    let secrets: Vec<String> =
        values.split(',').map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned).collect();
    if secrets.is_empty() && !values.is_empty() {
        bail!("{name} holds commas alone: write the secrets between them");
    }
    Ok(secrets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[(&str, &str)]) -> Result<Secrets> {
        Secrets::read(|name| values.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    fn secrets(values: &[(&str, &str)]) -> Secrets {
        read(values).expect("they can be used")
    }

    fn refused(values: &[(&str, &str)]) -> String {
        format!("{:#}", read(values).expect_err("they cannot be used"))
    }

    #[test]
    fn several_webhook_secrets_are_read_and_empty_variables_are_absent() {
        let read = secrets(&[("STRIPE_WEBHOOK_SECRET", "whsec_a, whsec_b,"), ("DATABASE_URL", "  ")]);
        assert_eq!(read.stripe_webhook_secrets, ["whsec_a", "whsec_b"]);
        assert_eq!(read.database_url, None);
        assert!(refused(&[("POLAR_WEBHOOK_SECRET", " , ")]).starts_with("POLAR_WEBHOOK_SECRET"));
    }

    #[test]
    fn a_missing_or_short_secret_says_what_to_do_and_shows_nothing() {
        let missing = secrets(&[]).jwt_secret().expect_err("missing").to_string();
        assert!(missing.contains("TOLLGATE_JWT_SECRET is not set"), "{missing}");
        let short = secrets(&[("TOLLGATE_JWT_SECRET", "hunter2")]);
        let error = short.jwt_secret().expect_err("short").to_string();
        assert!(error.contains("openssl rand -hex 32") && !error.contains("hunter2"), "{error}");
        let public = secrets(&[(
            "TOLLGATE_JWT_SECRET",
            "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----",
        )]);
        let error = public.jwt_secret().expect_err("a public key").to_string();
        assert!(error.contains("public_key_file") && !error.contains("MCow"), "{error}");
        assert_eq!(format!("{short:?}"), "Secrets([redacted])");
        let key =
            format!("{:#}", secrets(&[("TOLLGATE_ASSERTION_KEY", "hunter2")]).assertion_key().expect_err("short"));
        assert!(key.starts_with("TOLLGATE_ASSERTION_KEY: ") && !key.contains("hunter2"), "{key}");
        let admin = refused(&[("TOLLGATE_ADMIN_TOKEN", "hunter2")]);
        assert!(admin.contains("openssl rand -hex 32") && !admin.contains("hunter2"), "{admin}");
        let app = refused(&[("TOLLGATE_APP_TOKEN", "0123456789abcdef, hunter2")]);
        assert!(app.starts_with("TOLLGATE_APP_TOKEN is shorter than 16 bytes") && !app.contains("hunter2"), "{app}");
    }

    #[test]
    fn a_session_token_is_never_taken_for_an_assertion() {
        let secret = "0123456789abcdef0123456789abcdef";
        for assertion in [secret.to_owned(), format!("another-secret-of-more-than-32-bytes, {secret}")] {
            let error = refused(&[("TOLLGATE_JWT_SECRET", secret), ("TOLLGATE_ASSERTION_KEY", &assertion)]);
            assert!(error.contains("a key of its own") && !error.contains(secret), "{error}");
        }
    }

    #[test]
    fn every_secret_may_stand_in_a_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("secret");
        std::fs::write(&path, " 0123456789abcdef,fedcba9876543210\n\n").expect("written");
        let path = path.to_str().expect("UTF-8");
        for (name, _) in Secrets::default().named() {
            let of_file = format!("{name}_FILE");
            let from_file = secrets(&[(of_file.as_str(), path)]);
            assert_eq!(from_file.changed(&secrets(&[(name, "0123456789abcdef,fedcba9876543210")])), [""; 0], "{name}");
            assert_eq!(Secrets::default().changed(&from_file), [name], "{name} is read from its file");
            let both = refused(&[(name, "0123456789abcdef"), (of_file.as_str(), path)]);
            assert_eq!(both, format!("{name} and {of_file} are both set: keep one of them"));
        }
    }

    #[test]
    fn a_file_that_is_of_no_use_is_named_by_its_variable_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = |name: &str, content: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, content).expect("written");
            path.to_str().expect("UTF-8").to_owned()
        };
        let cases = [
            ("/nowhere/whsec_hidden".to_owned(), "cannot be read"),
            (dir.path().to_str().expect("UTF-8").to_owned(), "not a file"),
            (place("empty", b" \n"), "is empty"),
            (place("commas", b",\n"), "commas alone"),
            (place("binary", b"hidden\xff"), "cannot be read"),
            (place("large", &vec![b'a'; 64 * 1024 + 1]), "larger than 64 KiB"),
        ];
        for (path, expected) in cases {
            let error = refused(&[("STRIPE_WEBHOOK_SECRET_FILE", &path)]);
            assert!(error.starts_with("STRIPE_WEBHOOK_SECRET") && error.contains(expected), "{error}");
            assert!(!error.contains("hidden") && !error.contains(&path), "{error}");
        }
    }
}
