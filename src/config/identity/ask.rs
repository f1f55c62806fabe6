//! A way by which the site is asked whose a session is.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use http::HeaderValue;
use proxy::identity::{AskLocation, AskSettings, Signature};

use super::section::{OneOrMore, WaySection};

/// The site, where it is asked, and for how long its answers count.
#[derive(Clone, Debug)]
pub struct Ask {
    pub(super) location: AskLocation,
    signature: Signature,
    keep: Duration,
    deadline: Duration,
    stale: Duration,
}

/// Where it is not said otherwise.
const KEEP: Duration = Duration::from_secs(30);
const DEADLINE: Duration = Duration::from_secs(1);
const STALE: Duration = Duration::from_secs(300);

/// Largest `keep`: so long a session counts that the site has ended without saying so.
const KEEP_MAX: Duration = Duration::from_secs(600);

/// Bounds of `deadline`.
const DEADLINES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(30));

/// Largest `stale`.
const STALE_MAX: Duration = Duration::from_secs(86_400);

impl Ask {
    /// The question of a way, if it has one; times that it does not set are those in `common`.
    pub(super) fn check((section, common): (&WaySection, &WaySection), is_table: bool) -> Result<Option<Self>> {
        let times = [("keep", section.keep), ("deadline", section.deadline), ("stale", section.stale)];
        let Some(text) = &section.ask else {
            if let Some((key, _)) = times.into_iter().find(|(_, time)| time.is_some()) {
                bail!("`{key}` goes with `ask`: it is about answers of the site");
            }
            if section.signature {
                bail!("`signature` goes with `ask`: it is about the cookie that is shown to the site");
            }
            return Ok(None);
        };
        if !is_table {
            bail!(
                "`ask` belongs into a table of its own: write [identity.session], and below it ask = \"{}\"",
                crate::config::urls::shown(text)
            );
        }
        let location =
            text.parse::<AskLocation>().with_context(|| format!("ask = \"{}\"", crate::config::urls::shown(text)))?;
        check_alone(section)?;
        if section.account.is_none() {
            bail!(
                "`account` is missing: write where the account stands in the site's answer, such as account = \"/user/id\""
            );
        }
        let signature = if section.signature { Signature::Beside } else { Signature::None };
        if section.signature && section.cookie.all().is_empty() {
            bail!("`signature` is about a cookie: name it with `cookie`");
        }
        let keep = section.keep.unwrap_or(KEEP);
        let deadline = section.deadline.or(common.deadline).unwrap_or(DEADLINE);
        let stale = section.stale.or(common.stale).unwrap_or(STALE);
        let shown = humantime::format_duration;
        if keep > KEEP_MAX {
            bail!(
                "keep = \"{}\" must be 10m at most: so long a session would count that the site has ended",
                shown(keep)
            );
        }
        if deadline < DEADLINES.0 || deadline > DEADLINES.1 {
            bail!("deadline = \"{}\" must be 10ms to 30s: requests wait that long for the site", shown(deadline));
        }
        if stale > STALE_MAX {
            bail!("stale = \"{}\" must be 24h at most", shown(stale));
        }
        Ok(Some(Self { location, signature, keep, deadline, stale }))
    }

    /// The settings of the proxy, for a site at `url`.
    pub(super) fn settings(&self, url: &str) -> Result<AskSettings> {
        let (scheme, rest) = url.split_once("://").context("site.url is no URL")?;
        let host = rest.split('/').next().unwrap_or_default();
        let Self { location, signature, keep, deadline, stale } = self.clone();
        let value = |text: &str| HeaderValue::from_str(text).context("site.url cannot stand in a header");
        Ok(AskSettings { location, host: value(host)?, scheme: value(scheme)?, signature, keep, deadline, stale })
    }

    /// The question, in an operator's words.
    pub(super) fn describe(&self) -> String {
        format!("the site's answer at {}, kept for {}", self.location, humantime::format_duration(self.keep))
    }
}

/// Refuses keys of tokens beside a question.
fn check_alone(section: &WaySection) -> Result<()> {
    let others = [
        ("header", section.header.is_some()),
        ("token_at", section.token_at.is_some()),
        ("algorithm", section.algorithm.is_some()),
        ("algorithms", section.algorithms.is_some()),
        ("public_key_file", section.public_key_file.is_some()),
        ("jwks_url", section.jwks_url.is_some()),
        ("issuer", section.issuer != OneOrMore::default()),
        ("audience", section.audience != OneOrMore::default()),
        ("authorized_parties", !section.authorized_parties.is_empty()),
    ];
    match others.into_iter().find(|(_, is_set)| *is_set) {
        Some((key, _)) => bail!("`{key}` stands beside `ask`, which reads no tokens: give it a table of its own"),
        None => Ok(()),
    }
}
