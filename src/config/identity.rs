//! `[identity]`: who is asking, and with which keys that is verified.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use proxy::identity::{Algorithm, JwksSettings, Key, Keys, Location};
use serde::Deserialize;

use super::secrets::Secrets;

/// Largest `leeway`: clocks that are further apart are broken, and an expired token must end.
const LEEWAY_MAX: Duration = Duration::from_secs(300);

/// Bounds of `jwks_refetch_min`: an identity provider must not be flooded, nor a new key wait for ever.
const REFETCH_MIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(600));

/// Largest `jwks_refresh`: so long a key that was withdrawn may still count.
const REFRESH_MAX: Duration = Duration::from_secs(86_400);

/// Largest `public_key_file`, in bytes: eight keys have a tenth of it.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// The algorithms of keys that may be public (RFC 7518 section 3.1, RFC 8037 section 3.1).
const PUBLIC: &str = "RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA";

/// The section as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    cookie: String,
    algorithm: Option<String>,
    public_key_file: Option<String>,
    jwks_url: Option<String>,
    jwks_insecure: bool,
    algorithms: Option<Vec<String>>,
    pub issuer: String,
    pub audience: String,
    #[serde(with = "humantime_serde")]
    leeway: Duration,
    #[serde(with = "humantime_serde")]
    jwks_refresh: Duration,
    #[serde(with = "humantime_serde")]
    jwks_refetch_min: Duration,
}

/// The section, checked.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The session cookie, if one is read.
    pub cookie: Option<String>,
    pub leeway: Duration,
    pub source: Source,
    /// What is accepted, but the operator should know.
    pub warning: Option<String>,
}

/// Where the keys come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// TOLLGATE_JWT_SECRET, for HS256, HS384 or HS512.
    Secret(Algorithm),
    File {
        algorithm: Algorithm,
        keys: Vec<Key>,
    },
    Published(JwksSettings),
}

/// Takes from the defaults the algorithm that goes with TOLLGATE_JWT_SECRET, where the operator's file names a key set.
pub fn make_room(defaults: &mut toml::Table, mine: &toml::Table) {
    let section = |table: &toml::Table| table.get("identity").and_then(toml::Value::as_table).cloned();
    if section(mine).is_some_and(|mine| mine.contains_key("jwks_url"))
        && let Some(defaults) = defaults.get_mut("identity").and_then(toml::Value::as_table_mut)
    {
        defaults.remove("algorithm");
    }
}

impl Identity {
    /// Checks the section; its files start at `directory`.
    pub fn check(section: &Section, directory: &Path) -> Result<Self> {
        let Section { cookie, leeway, .. } = section;
        if !cookie.bytes().all(|byte| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte)) {
            bail!("identity.cookie = \"{cookie}\" is not the name of a cookie");
        }
        if *leeway > LEEWAY_MAX || leeway.subsec_nanos() != 0 {
            bail!("identity.leeway = \"{}\" must be whole seconds, 5m at most", humantime::format_duration(*leeway));
        }
        let cookie = (!cookie.is_empty()).then(|| cookie.clone());
        let source = Source::check(section, directory)?;
        let warning = source.warning();
        Ok(Self { cookie, leeway: *leeway, source, warning })
    }

    /// By which claim of a token its account is known, for each way of signing in. With another one every account is another one.
    pub fn naming(&self) -> String {
        "sub".to_owned()
    }

    /// What verifies tokens.
    pub fn keys(&self, secrets: &Secrets) -> Result<Keys> {
        Ok(match &self.source {
            Source::Secret(algorithm) => Keys::Fixed(vec![Key::shared(secrets.jwt_secret()?, *algorithm)?]),
            Source::File { keys, .. } => Keys::Fixed(keys.clone()),
            Source::Published(settings) => Keys::Published(settings.clone()),
        })
    }
}

impl Source {
    fn check(section: &Section, directory: &Path) -> Result<Self> {
        let Section { algorithm, public_key_file, jwks_url, algorithms, .. } = section;
        if algorithms.is_some() && jwks_url.is_none() {
            bail!("identity.algorithms goes with identity.jwks_url: without it write one `algorithm`");
        }
        match (jwks_url, public_key_file, algorithm) {
            (Some(_), Some(_), _) => {
                bail!("identity.jwks_url and identity.public_key_file are both set: keep one of them")
            }
            (Some(_), None, Some(_)) => bail!(
                "identity.jwks_url goes with identity.algorithms = [\"RS256\"], a list of what the set's keys may be for: \
                 take `algorithm` away"
            ),
            (Some(url), None, None) => published(section, url),
            (None, Some(path), Some(algorithm)) => {
                let algorithm = public("identity.algorithm", algorithm)
                    .with_context(|| "identity.public_key_file needs the algorithm of its keys")?;
                let keys = read_keys(&directory.join(path), algorithm)
                    .with_context(|| format!("identity.public_key_file = \"{path}\""))?;
                Ok(Self::File { algorithm, keys })
            }
            (None, None, Some(name)) => match shared(name) {
                Some(algorithm) => Ok(Self::Secret(algorithm)),
                None => {
                    public("identity.algorithm", name)?;
                    bail!(
                        "identity.algorithm = \"{name}\" needs a public key: set identity.public_key_file or identity.jwks_url"
                    )
                }
            },
            (None, _, None) => bail!("identity.algorithm is missing"),
        }
    }

    /// For a person: what verifies.
    pub fn describe(&self) -> String {
        match self {
            Self::Secret(algorithm) => format!("{algorithm:?} with TOLLGATE_JWT_SECRET"),
            Self::File { algorithm, keys } => format!("{algorithm:?} with {} of a file", count(keys.len())),
            Self::Published(settings) => {
                let names: Vec<String> = settings.algorithms.iter().map(|name| format!("{name:?}")).collect();
                format!("{} with the keys of {}", names.join(", "), settings.location)
            }
        }
    }
}

impl Source {
    fn warning(&self) -> Option<String> {
        let Self::Published(settings) = self else { return None };
        settings.location.is_insecure().then(|| {
            format!(
                "identity.jwks_url = \"{}\" is not encrypted (jwks_insecure = true): an attacker in between could put in keys of \
                 their own, and be anybody: only inside a network that you trust",
                settings.location
            )
        })
    }
}

/// What it means that accounts are named by `new`, and were by `old`.
pub fn renamed_accounts(old: &str, new: &str) -> String {
    format!(
        "accounts were named by {old} and would be named by {new}: every account becomes another one, and what was paid for stays \
         with the old names"
    )
}

fn count(keys: usize) -> String {
    if keys == 1 { "the key".to_owned() } else { format!("the {keys} keys") }
}

fn published(section: &Section, url: &str) -> Result<Source> {
    let location = if section.jwks_insecure { Location::insecure(url) } else { url.parse() };
    let location = location.map_err(|error| anyhow!("identity.jwks_url = \"{url}\": {error}"))?;
    let names = section.algorithms.as_deref().unwrap_or_default();
    if names.is_empty() {
        bail!(
            "identity.jwks_url needs identity.algorithms: what the set's keys may be for, such as [\"RS256\"] ({PUBLIC})"
        );
    }
    let mut algorithms = Vec::with_capacity(names.len());
    for name in names {
        let algorithm = public("identity.algorithms", name)?;
        if !algorithms.contains(&algorithm) {
            algorithms.push(algorithm);
        }
    }
    let (refresh, refetch_min) = (section.jwks_refresh, section.jwks_refetch_min);
    let (least, most) = REFETCH_MIN;
    if !(least..=most).contains(&refetch_min) {
        bail!("identity.jwks_refetch_min = \"{}\" is not from 100ms to 10m", humantime::format_duration(refetch_min));
    }
    if !(refetch_min..=REFRESH_MAX).contains(&refresh) {
        bail!(
            "identity.jwks_refresh = \"{}\" is not from identity.jwks_refetch_min to 1day",
            humantime::format_duration(refresh)
        );
    }
    Ok(Source::Published(JwksSettings { location, algorithms, refresh, refetch_min }))
}

/// An algorithm whose keys may be public.
fn public(key: &str, name: &str) -> Result<Algorithm> {
    if shared(name).is_some() {
        bail!("{key}: {name} works with a shared secret, which is never mixed with public keys: write {PUBLIC}");
    }
    if name == "ES512" {
        bail!("{key}: ES512 is not offered, as Tollgate's library verifies no signatures of P-521: write {PUBLIC}");
    }
    // Two names of one algorithm (RFC 9864 section 2.2).
    let usual = if name == "Ed25519" { "EdDSA" } else { name };
    usual.parse().map_err(|_| {
        anyhow!("{key}: \"{name}\" is not one of {PUBLIC}, or HS256, HS384 or HS512 with TOLLGATE_JWT_SECRET")
    })
}

/// An algorithm that works with TOLLGATE_JWT_SECRET.
fn shared(name: &str) -> Option<Algorithm> {
    [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512]
        .into_iter()
        .find(|algorithm| name == format!("{algorithm:?}"))
}

fn read_keys(path: &Path, algorithm: Algorithm) -> Result<Vec<Key>> {
    let size = std::fs::metadata(path).context("the file cannot be read")?.len();
    if size > FILE_BYTES_MAX {
        bail!("the file is larger than 64 KiB");
    }
    let pem = std::fs::read_to_string(path).context("the file cannot be read")?;
    Ok(Key::from_pem(&pem, algorithm)?)
}

#[cfg(test)]
mod tests {
    use super::super::file::File;
    use super::*;

    const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys");

    fn check(text: &str) -> Result<Identity> {
        let file = File::parse(&format!("[identity]\n{text}"))?;
        Identity::check(&file.identity, Path::new(KEYS))
    }

    #[test]
    fn every_source_of_keys_can_be_configured() {
        let cases = [
            ("", "HS256 with TOLLGATE_JWT_SECRET"),
            ("algorithm = \"HS384\"", "HS384 with TOLLGATE_JWT_SECRET"),
            ("algorithm = \"HS512\"", "HS512 with TOLLGATE_JWT_SECRET"),
            ("algorithm = \"Ed25519\"\npublic_key_file = \"ed25519.pub.pem\"", "EdDSA with the key of a file"),
            (
                "jwks_url = \"http://keycloak:8080/keys\"\njwks_insecure = true\nalgorithms = [\"RS256\"]",
                "RS256 with the keys of http://keycloak:8080/keys",
            ),
            ("algorithm = \"RS512\"\npublic_key_file = \"rsa.pub.pem\"", "RS512 with the key of a file"),
            ("algorithm = \"PS256\"\npublic_key_file = \"rsa.pkcs1.pem\"", "PS256 with the key of a file"),
            ("algorithm = \"ES256\"\npublic_key_file = \"p256.pub.pem\"", "ES256 with the key of a file"),
            ("algorithm = \"ES384\"\npublic_key_file = \"p384.pub.pem\"", "ES384 with the key of a file"),
            ("algorithm = \"EdDSA\"\npublic_key_file = \"ed25519.pub.pem\"", "EdDSA with the key of a file"),
            (
                "jwks_url = \"https://id.example/keys?x=secret\"\nalgorithms = [\"RS256\", \"EdDSA\"]",
                "RS256, EdDSA with the keys of https://id.example/keys",
            ),
            (
                "jwks_url = \"https://id.example/keys\"\nalgorithms = [\"EdDSA\", \"Ed25519\"]",
                "EdDSA with the keys of https://id.example/keys",
            ),
            (
                "jwks_url = \"http://127.0.0.1:9/keys\"\nalgorithms = [\"ES256\"]",
                "ES256 with the keys of http://127.0.0.1:9/keys",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(check(text).expect(text).source.describe(), expected, "{text}");
        }
        let default = check("").expect("the default");
        assert_eq!((default.cookie.as_deref(), default.leeway.as_secs()), (Some("session"), 2));
        assert_eq!(check("cookie = \"\"").expect("no cookie").cookie, None);
        let warning = |url: &str| {
            let text = format!("jwks_url = \"{url}\"\njwks_insecure = true\nalgorithms = [\"RS256\"]");
            check(&text).expect(url).warning
        };
        assert!(warning("http://keycloak:8080/keys").is_some_and(|warning| warning.contains("not encrypted")));
        assert_eq!([warning("https://id.example/keys"), warning("http://127.0.0.1/keys")], [None, None]);
    }

    #[test]
    fn what_is_no_source_of_keys_says_what_to_do() {
        let cases = [
            ("algorithm = \"none\"", "is not one of RS256"),
            ("algorithm = \"HS1\"", "HS256, HS384 or HS512"),
            ("algorithm = \"ES512\"", "ES512 is not offered"),
            ("jwks_url = \"https://id.example/keys\"\nalgorithms = [\"ES512\"]", "ES512 is not offered"),
            ("jwks_url = \"https://id.example/keys\"\nalgorithms = [\"HS512\"]", "shared secret"),
            ("jwks_url = \"http://id.example/keys\"\nalgorithms = [\"RS256\"]", "jwks_insecure = true"),
            ("jwks_url = \"ftp://id.example/keys\"\njwks_insecure = true\nalgorithms = [\"RS256\"]", "https://"),
            ("algorithm = \"RS256\"", "identity.public_key_file or identity.jwks_url"),
            ("public_key_file = \"rsa.pub.pem\"", "needs the algorithm of its keys"),
            ("algorithm = \"HS256\"\npublic_key_file = \"rsa.pub.pem\"", "shared secret"),
            ("algorithm = \"RS256\"\npublic_key_file = \"nowhere.pem\"", "cannot be read"),
            ("algorithm = \"RS256\"\npublic_key_file = \"rsa.pem\"", "private key"),
            ("algorithm = \"RS256\"\npublic_key_file = \"rsa-1024.pub.pem\"", "2048"),
            ("algorithm = \"RS256\"\npublic_key_file = \"p256.pub.pem\"", "not one for this algorithm"),
            ("algorithm = \"ES256\"\npublic_key_file = \"p384.pub.pem\"", "not one for this algorithm"),
            ("algorithm = \"ES256\"\npublic_key_file = \"secp256k1.pub.pem\"", "not one for this algorithm"),
            ("algorithm = \"EdDSA\"\npublic_key_file = \"p256.pub.pem\"", "not one for this algorithm"),
            ("algorithms = [\"RS256\"]", "goes with identity.jwks_url"),
            ("jwks_url = \"https://id.example/keys\"", "needs identity.algorithms"),
            ("jwks_url = \"https://id.example/keys\"\nalgorithms = []", "needs identity.algorithms"),
            ("jwks_url = \"https://id.example/keys\"\nalgorithms = [\"HS256\"]", "shared secret"),
            ("jwks_url = \"https://id.example/keys\"\nalgorithm = \"RS256\"", "take `algorithm` away"),
            ("jwks_url = \"http://id.example/keys\"\nalgorithms = [\"RS256\"]", "https://"),
            ("jwks_url = \"https://a:b@id.example/keys\"\nalgorithms = [\"RS256\"]", "name or a password"),
            ("jwks_url = \"file:///etc/passwd\"\nalgorithms = [\"RS256\"]", "URL"),
            ("jwks_url = \"/keys\"\nalgorithms = [\"RS256\"]", "not a URL"),
            ("jwks_url = \"https://id.example/\"\npublic_key_file = \"rsa.pub.pem\"", "keep one of them"),
            ("jwks_url = \"https://id.example/\"\nalgorithms = [\"RS256\"]\njwks_refetch_min = \"1ms\"", "100ms"),
            ("jwks_url = \"https://id.example/\"\nalgorithms = [\"RS256\"]\njwks_refresh = \"1s\"", "jwks_refetch_min"),
            ("leeway = \"10m\"", "5m at most"),
            ("leeway = \"1500ms\"", "whole seconds"),
            ("cookie = \"a=b\"", "not the name of a cookie"),
        ];
        for (text, expected) in cases {
            let error = format!("{:#}", check(text).expect_err(text));
            assert!(error.contains(expected), "{text}: {error:?} should contain {expected:?}");
        }
    }
}
