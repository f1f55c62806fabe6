//! A header in which an authenticating proxy in front identifies the visitor.

use anyhow::{Context, Result, bail};
use proxy::forwarded::TrustedProxies;
use proxy::headers::front_name;
use proxy::identity::FrontSettings;

use super::section::{OneOrMore, WaySection};

/// The claims of a visitor by Azure App Service, beside the id in a header of its own.
const AZURE_CLAIMS: &str = "x-ms-client-principal";

/// The header of a way and the connections that are believed, if it has one. With a key it holds a token.
pub(super) fn check(section: &WaySection, is_table: bool) -> Result<Option<FrontSettings>> {
    let Some(text) = &section.header else {
        if section.from.is_some() {
            bail!("`from` goes with `header`: it names the proxies whose header is believed");
        }
        return Ok(None);
    };
    if !is_table {
        bail!("`header` belongs into a table of its own: write [identity.proxy], and below it header = \"{text}\"");
    }
    let header = front_name(text).with_context(|| format!("header = \"{text}\""))?;
    if section.cookie != OneOrMore::default() || section.token_at.is_some() {
        bail!("a way with `header` reads that header alone: give `cookie` and `token_at` a table of their own");
    }
    let from = section.from.as_ref().map(OneOrMore::all).unwrap_or_default();
    if from.is_empty() {
        bail!(
            "`from` is missing: write from = [\"10.0.0.5\"], the addresses or networks of the proxy that writes {text}. Without it every \
             client could write the header, and be anybody"
        );
    }
    let from = TrustedProxies::parse(&from).context("`from`")?;
    if header == AZURE_CLAIMS {
        bail!(
            "header = \"{text}\" holds claims in base64, which change with the roles of a user: name \"X-MS-CLIENT-PRINCIPAL-ID\""
        );
    }
    if !is_signed(section) {
        let of_tokens = [
            ("issuer", section.issuer != OneOrMore::default()),
            ("audience", section.audience != OneOrMore::default()),
            ("authorized_parties", !section.authorized_parties.is_empty()),
            ("account", section.account.is_some()),
            ("user", section.user.is_some()),
        ];
        if let Some((key, _)) = of_tokens.into_iter().find(|(_, is_set)| *is_set) {
            bail!(
                "`{key}` is about tokens, but without a key the value of {text} is the account itself: take it away, or add jwks_url, \
                 public_key_file or algorithm if the header holds a token"
            );
        }
    }
    Ok(Some(FrontSettings { header, from }))
}

/// Whether the header holds a token, which a key verifies.
pub(super) fn is_signed(section: &WaySection) -> bool {
    section.jwks_url.is_some()
        || section.public_key_file.is_some()
        || section.algorithm.is_some()
        || section.algorithms.is_some()
}
