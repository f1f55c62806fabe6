//! Where the keys of a way come from.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use proxy::identity::{Algorithm, JwksSettings, Key, Location};

use super::ask::Ask;
use super::section::WaySection;

/// Bounds of `jwks_refetch_min`: an identity provider must not be flooded, nor a new key wait for ever.
const REFETCH_MIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(600));

/// Largest `jwks_refresh`: so long a key that was withdrawn may still count.
const REFRESH_MAX: Duration = Duration::from_secs(86_400);

/// Largest `public_key_file`, in bytes: eight keys have a tenth of it.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// The algorithms of keys that may be public (RFC 7518 section 3.1, RFC 8037 section 3.1).
const PUBLIC: &str = "RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA";

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
    /// The word of a proxy in front, in the header of this name.
    Unsigned(String),
    /// The site is asked whose a session is.
    Site(Ask),
}

impl Source {
    pub(super) fn check(
        (section, common): (&WaySection, &WaySection),
        is_table: bool,
        directory: &Path,
    ) -> Result<Self> {
        let WaySection { algorithm, public_key_file, jwks_url, algorithms, .. } = section;
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
            (Some(url), None, None) => published((section, common), is_table, url),
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
            (None, _, None) => {
                bail!("identity.algorithm is missing: HS256 with TOLLGATE_JWT_SECRET, or public_key_file or jwks_url")
            }
        }
    }

    /// Whether it verifies tokens.
    pub const fn is_of_tokens(&self) -> bool {
        !matches!(self, Self::Unsigned(_) | Self::Site(_))
    }

    /// For a person: what verifies.
    pub fn describe(&self) -> String {
        match self {
            Self::Secret(algorithm) => format!("{algorithm:?} with TOLLGATE_JWT_SECRET"),
            Self::File { algorithm, keys } => format!("{algorithm:?} with {} of a file", count(keys.len())),
            Self::Site(ask) => ask.describe(),
            Self::Unsigned(header) => format!("the header {header} of a proxy in front"),
            Self::Published(settings) => {
                let names: Vec<String> = settings.algorithms.iter().map(|name| format!("{name:?}")).collect();
                format!("{} with the keys of {}", names.join(", "), settings.location)
            }
        }
    }
}

impl Source {
    /// The kind of its keys.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Secret(_) => "secret",
            Self::File { .. } => "file",
            Self::Published(_) => "published",
            Self::Unsigned(_) => "unsigned",
            Self::Site(_) => "site",
        }
    }

    pub(super) fn warning(&self) -> Option<String> {
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

fn count(keys: usize) -> String {
    if keys == 1 { "the key".to_owned() } else { format!("the {keys} keys") }
}

fn published((section, common): (&WaySection, &WaySection), is_table: bool, url: &str) -> Result<Source> {
    let location = if section.jwks_insecure { Location::insecure(url) } else { url.parse() };
    let location =
        location.map_err(|error| anyhow!("identity.jwks_url = \"{}\": {error}", crate::config::urls::shown(url)))?;
    let every: Vec<String> = PUBLIC.split([',', ' ']).filter(|word| word.len() == 5).map(str::to_owned).collect();
    let names = match &section.algorithms {
        // What the keys of the set are for, they say themselves.
        None if is_table => &every,
        names => names.as_deref().unwrap_or_default(),
    };
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
    let refresh = section.jwks_refresh.or(common.jwks_refresh).unwrap_or_default();
    let refetch_min = section.jwks_refetch_min.or(common.jwks_refetch_min).unwrap_or_default();
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
