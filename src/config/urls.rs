//! Addresses and paths of the configuration: the site, its pages, the providers' APIs.

use std::borrow::Cow;

use anyhow::{Context, Result, anyhow, bail};
use entitlement::login::{Login, LoginError};
use url::{Host, Url};

use super::file::{self, File};
use super::meant;

/// Longest reward for an invitation, in days: a hundred years.
const REFERRAL_DAYS_MAX: u32 = 36_500;

/// Longest memory of a browser, in days (RFC 6265bis section 5.6.2).
const COOKIE_DAYS_MAX: u32 = 400;

/// A URL or an address as it may be shown: without the name and the password that may stand in it.
pub fn shown(text: &str) -> Cow<'_, str> {
    let Some((before, host)) = text.rsplit_once('@') else { return text.into() };
    let scheme = before.split_once("://").map(|(scheme, _)| format!("{scheme}://")).unwrap_or_default();
    format!("{scheme}…@{host}").into()
}

/// Whether a URL's host can be that of a machine: letters between dots, no hyphen at the end of a part (RFC 1123 section 2.1).
pub fn has_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => is_name(name),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        None => false,
    }
}

fn is_name(name: &str) -> bool {
    let is_part = |part: &str| (1..=63).contains(&part.len()) && !part.starts_with('-') && !part.ends_with('-');
    name.len() <= 253 && !name.contains('*') && name.split('.').all(is_part)
}

/// Why a site at this address is open to everybody between it and its visitors, where it is.
pub fn unsafe_site(site: &Url) -> Option<String> {
    let is_near = match site.host()? {
        // Names of RFC 6761 and RFC 8375, and those that no resolver outside knows.
        Host::Domain(name) => {
            let last = name.rsplit('.').next().unwrap_or_default();
            !name.contains('.') || ["localhost", "test", "invalid", "internal", "local", "arpa"].contains(&last)
        }
        Host::Ipv4(address) => address.is_loopback() || address.is_private() || address.is_unspecified(),
        Host::Ipv6(address) => address.is_loopback() || address.is_unique_local() || address.is_unspecified(),
    };
    (site.scheme() == "http" && !is_near).then(|| {
        format!(
            "site.url = \"{site}\" is http://: tokens and cookies travel in the open. Write the https:// address that browsers use, also where \
             TLS ends before Tollgate: forms of the pages are refused else"
        )
    })
}

/// An origin, and nothing else.
pub fn origin(key: &str, text: &str) -> Result<Url> {
    let told = shown(text);
    let url = Url::parse(text)
        .with_context(|| format!("{key} = \"{told}\" is not a URL: write it like \"https://read.example\""))?;
    let origin_only = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let nobody = url.username().is_empty() && url.password().is_none();
    let is_host = has_host(&url) && url.port() != Some(0);
    if !matches!(url.scheme(), "http" | "https") || !is_host || !origin_only || !nobody {
        bail!("{key} = \"{told}\" must be an origin, such as \"https://read.example\"");
    }
    Ok(url)
}

/// Where visitors sign in.
pub fn login(section: &file::Site, site: &Url) -> Result<Login> {
    let (url, parameter) = (&section.login_url, &section.next_param);
    let refused = |error: LoginError| match error {
        LoginError::Address => anyhow!("site.login_url = \"{}\" {error}", shown(url)),
        LoginError::Parameter => anyhow!("site.next_param = \"{parameter}\" {error}"),
    };
    let login = Login::new(url, parameter, &site.origin().ascii_serialization()).map_err(refused)?;
    if url.starts_with('/') {
        meant::check_path("site.login_url", url)?;
    } else if Url::parse(url).ok().is_none_or(|url| url.port() == Some(0) || !has_host(&url)) {
        return Err(refused(LoginError::Address));
    }
    Ok(login)
}

/// The paths of the site, and the addresses of the providers.
pub fn check(file: &File) -> Result<()> {
    let paths = [("site.pricing_url", &file.site.pricing_url), ("referral.landing_url", &file.referral.landing_url)];
    for (key, path) in paths {
        if !path.starts_with('/') || path.starts_with("//") || path.contains(['\\', '?', '#']) {
            bail!("{key} = \"{path}\" must be a path on the site, such as \"/prices\"");
        }
        meant::check_path(key, path)?;
    }
    if file.referral.credit_days > REFERRAL_DAYS_MAX || !(1..=COOKIE_DAYS_MAX).contains(&file.referral.cookie_days) {
        bail!("referral.credit_days is at most {REFERRAL_DAYS_MAX}, and referral.cookie_days 1 to {COOKIE_DAYS_MAX}");
    }
    check_api("stripe.api_base", &file.stripe.api_base)?;
    check_api("polar.api_base", &file.polar.api_base)?;
    match &file.stripe.account {
        Some(id) if !meant::is_account_of_stripe(id) => {
            // It may be a key, put in the wrong place.
            bail!("stripe.account is not the id of a Stripe account: it begins with acct_")
        }
        _ => Ok(()),
    }
}

/// The address of an API.
pub fn check_api(key: &str, api: &str) -> Result<()> {
    let told = shown(api);
    let url = Url::parse(api).with_context(|| format!("{key} = \"{told}\" is not a URL"))?;
    let loopback = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    if url.scheme() != "https" && !(url.scheme() == "http" && loopback) {
        bail!("{key} = \"{told}\" must be https:// (http:// is for loopback only)");
    }
    let has_key = !url.username().is_empty() || url.password().is_some();
    let is_bare = url.query().is_none() && url.fragment().is_none();
    if has_key || !is_bare || url.port() == Some(0) || !has_host(&url) {
        bail!(
            "{key} = \"{told}\" must be the address of an API alone, such as \"https://api.example/\": keys stand in the environment"
        );
    }
    if !api.ends_with('/') {
        bail!("{key} = \"{told}\" must end in a slash");
    }
    Ok(())
}
