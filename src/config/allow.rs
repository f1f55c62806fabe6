//! `[[route]] allow`: feeds, crawlers and monitors that are let in by their address or a token. Tokens stand in the environment alone.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use entitlement::authorize::Requirement;
use proxy::forwarded::{TrustError, TrustedProxies};
use proxy::headers::front_name;
use proxy::routes::{Allow, Place, Route, TOKEN_BYTES_MAX, TOKEN_BYTES_MIN, Token};
use serde::Deserialize;

use super::identity::Identity;
use super::secrets;

/// Longest name of a parameter, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// One of `allow`: an address or network, or the variable of a token and its place.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Entry {
    address: Option<String>,
    token_env: Option<String>,
    query: Option<String>,
    header: Option<String>,
}

/// Checks what a route lets in; the values of its tokens are read later.
///
/// # Errors
/// When it cannot be meant.
pub fn check(name: &str, entries: &[Entry], requirement: &Requirement) -> Result<Option<Arc<Allow>>> {
    if entries.is_empty() {
        return Ok(None);
    }
    if *requirement == Requirement::Public {
        bail!("{name} is public, so allow lets in nobody who would not be: leave it out, or require something");
    }
    let (mut addresses, mut tokens) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry {
            Entry { address: Some(address), token_env: None, query: None, header: None } => addresses.push(address),
            Entry { address: None, token_env: Some(variable), query: Some(query), header: None } => {
                let is_plain =
                    |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
                if query.is_empty() || query.len() > NAME_BYTES_MAX || !is_plain(query) {
                    bail!("{name}: allow: query = \"{query}\" is no name of a parameter, such as \"token\"");
                }
                tokens.push(token(name, variable, Place::Query(query.clone()))?);
            }
            Entry { address: None, token_env: Some(variable), query: None, header: Some(header) } => {
                let header = front_name(header).with_context(|| format!("{name}: allow: header = \"{header}\""))?;
                tokens.push(token(name, variable, Place::Header(header))?);
            }
            _ => bail!(
                "{name}: allow: write {{ address = \"203.0.113.0/24\" }}, {{ token_env = \"FEED_TOKEN\", query = \"token\" }} or \
                 {{ token_env = \"FEED_TOKEN\", header = \"X-Feed-Token\" }}"
            ),
        }
    }
    let addresses = TrustedProxies::parse(&addresses).map_err(|error| match error {
        TrustError::NotANetwork(_) => anyhow::anyhow!("{name}: allow: {error}"),
        TrustError::Many(text) => {
            anyhow::anyhow!("{name}: allow: \"{text}\" is a large part of the internet: name smaller networks")
        }
        TrustError::Everybody(text) => {
            anyhow::anyhow!("{name}: allow: \"{text}\" is everybody: then require = {{ public = true }} says so")
        }
    })?;
    Ok(Some(Arc::new(Allow { addresses, tokens })))
}

/// Refuses addresses of proxies before the gate: they forward requests of all clients, or of clients whose address is not known.
///
/// # Errors
/// When a route names one.
pub fn check_addresses(
    routes: &[Route],
    (trusted, gateways): (&TrustedProxies, &TrustedProxies),
    identity: &Identity,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let this_machine = TrustedProxies::parse(&["127.0.0.1", "::1"])?;
    for Route { pattern, allow, .. } in routes {
        let Some(Allow { addresses, .. }) = allow.as_deref() else { continue };
        for (known, key) in [(trusted, "proxy.trusted_proxies"), (gateways, "decide.gateways")] {
            if let Some(network) = addresses.first_within(known) {
                bail!(
                    "route \"{pattern}\": allow: {network} is in {key}, and everybody's requests come from there: name the address of the \
                     visitor itself"
                );
            }
        }
        for way in &identity.ways {
            let from =
                way.front.as_ref().map(|front| front.from.outside(trusted).outside(gateways)).unwrap_or_default();
            if let Some(network) = addresses.first_meeting(&from) {
                bail!(
                    "route \"{pattern}\": allow: {network} has the proxy of [identity.{}] from = [\"{from}\"], which would let in everybody: \
                     add that proxy to proxy.trusted_proxies, so that the visitor's own address counts",
                    way.name
                );
            }
        }
        if let Some(network) = addresses.first_meeting(&this_machine.outside(trusted).outside(gateways)) {
            warnings.push(format!(
                "route \"{pattern}\": allow: {network} has this machine's own address: what a proxy here forwards comes from it, too, \
                 unless proxy.trusted_proxies names it"
            ));
        }
    }
    Ok(())
}

fn token(name: &str, variable: &str, place: Place) -> Result<Token> {
    let starts = variable.starts_with(|first: char| first.is_ascii_uppercase());
    let is_name = variable.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    if !starts || !is_name {
        // It may be the token itself.
        bail!(
            "{name}: allow: token_env is the name of a variable of the environment, such as \"FEED_TOKEN\"; the token stands there"
        );
    }
    if variable.starts_with("TOLLGATE_") || variable.ends_with("_FILE") || secrets::is_known(variable) {
        bail!(
            "{name}: allow: token_env = \"{variable}\" is a variable of Tollgate's own: give the token one of its own, such as \"FEED_TOKEN\""
        );
    }
    Ok(Token::new(variable.to_owned(), place))
}

/// The routes with the values of their tokens, from the environment or the files that it names.
///
/// # Errors
/// When one is missing, or is none.
pub fn with_tokens(routes: Vec<Route>) -> Result<Vec<Route>> {
    fill(routes, secrets::tokens)
}

fn fill(mut routes: Vec<Route>, read: impl Fn(&str) -> Result<Vec<String>>) -> Result<Vec<Route>> {
    for route in &mut routes {
        let Some(allow) = &route.allow else { continue };
        let mut tokens = Vec::new();
        for token in &allow.tokens {
            let (variable, values) = (&token.variable, read(&token.variable)?);
            if values.is_empty() {
                bail!(
                    "{variable} is not set, and route \"{}\" lets in with it: make a token with `openssl rand -hex 32`",
                    route.pattern
                );
            }
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
            let is_token = |value: &String| {
                (TOKEN_BYTES_MIN..=TOKEN_BYTES_MAX).contains(&value.len()) && value.bytes().all(is_plain)
            };
            if !values.iter().all(is_token) {
                bail!(
                    "{variable} holds something that is no token: 16 to 256 letters, digits and -_.~, made with `openssl rand -hex 32`"
                );
            }
            tokens.push(token.clone().with(&values));
        }
        route.allow = Some(Arc::new(Allow { addresses: allow.addresses.clone(), tokens }));
    }
    Ok(routes)
}

/// The addresses and tokens of a route, in words.
pub fn described(allow: &Allow) -> String {
    let addresses = allow.addresses.to_string();
    let tokens = allow.tokens.iter().map(|token| match &token.place {
        Place::Query(name) => format!("?{name}= with {}", token.variable),
        Place::Header(name) => format!("{name} with {}", token.variable),
    });
    Some(addresses).filter(|addresses| !addresses.is_empty()).into_iter().chain(tokens).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn parse(allow: &str) -> Result<Vec<Route>> {
        let text = format!("[[route]]\npath = \"/feed\"\nrequire = {{ signed_in = true }}\nallow = [{allow}]\n");
        Ok(Config::parse(&text, "".into())?.routes)
    }

    fn beside(lines: &str, address: &str) -> Result<Config> {
        let route = format!(
            "{lines}\n[[route]]\npath = \"/feed\"\nrequire = {{ signed_in = true }}\nallow = [{{ address = \"{address}\" }}]\n"
        );
        Config::parse(&route, "".into())
    }

    #[test]
    fn an_address_beside_a_proxy_lets_in() {
        for (lines, address, told) in [
            ("proxy.trusted_proxies = [\"10.0.0.5\"]", "10.0.0.0/24", 0),
            ("decide.gateways = [\"10.0.0.5\"]", "10.0.0.6", 0),
            (
                "proxy.trusted_proxies = [\"10.0.0.5\"]\nidentity.sso.header = \"X-User\"\nidentity.sso.from = \"10.0.0.5\"",
                "10.0.0.0/24",
                0,
            ),
            ("", "127.0.0.1", 1),
            ("", "127.0.0.8/30", 0),
            ("proxy.trusted_proxies = [\"127.0.0.1\"]", "127.0.0.0/8", 0),
        ] {
            let config = beside(lines, address).unwrap_or_else(|error| panic!("{lines}: {error:#}"));
            let warned = config.warnings.iter().filter(|warning| warning.contains("this machine's own address"));
            assert_eq!(warned.count(), told, "{lines} {address}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_and_no_token_is_shown() {
        for (allow, expected) in [
            ("{}", "write { address ="),
            ("{ address = \"203.0.113.1\", query = \"token\" }", "write { address ="),
            ("{ token_env = \"FEED\" }", "write { address ="),
            ("{ token_env = \"FEED\", query = \"a\", header = \"X-A\" }", "write { address ="),
            ("{ address = \"example.org\" }", "is not an address"),
            ("{ address = \"0.0.0.0/0\" }", "is everybody"),
            ("{ token_env = \"FEED\", query = \"a&b\" }", "no name of a parameter"),
            ("{ token_env = \"FEED\", query = \"\" }", "no name of a parameter"),
            ("{ token_env = \"FEED\", header = \"Cookie\" }", "Tollgate's own"),
            ("{ token_env = \"FEED\", header = \"X Y\" }", "no name of a header"),
            ("{ token_env = \"a-hidden-token\", query = \"t\" }", "the name of a variable"),
            ("{ token_env = \"DATABASE_URL\", query = \"t\" }", "Tollgate's own"),
            ("{ token_env = \"TOLLGATE_FEED\", query = \"t\" }", "Tollgate's own"),
            ("{ token_enf = \"FEED\", query = \"t\" }", "did you mean `token_env`?"),
        ] {
            let error = format!("{:#}", parse(allow).expect_err(allow));
            assert!(error.contains(expected) && !error.contains("hidden"), "{allow}: {error}");
        }
        for (lines, address, expected) in [
            ("proxy.trusted_proxies = [\"10.0.0.0/8\"]", "10.1.0.0/16", "10.1.0.0/16 is in proxy.trusted_proxies"),
            ("decide.gateways = [\"10.0.0.5\"]", "10.0.0.5", "is in decide.gateways"),
            ("identity.sso.header = \"X-User\"\nidentity.sso.from = \"10.0.0.5\"", "10.0.0.0/24", "[identity.sso]"),
        ] {
            let error = beside(lines, address).expect_err(lines).to_string();
            assert!(error.contains(expected), "{lines}: {error}");
        }
        let public = "[[route]]\npath = \"/a\"\nrequire = { public = true }\nallow = [{ address = \"203.0.113.1\" }]\n";
        let error = format!("{:#}", Config::parse(public, "".into()).expect_err("public"));
        assert!(error.contains("is public"), "{error}");
    }

    #[test]
    fn a_token_is_read_from_its_variable_and_refused_without_being_shown() {
        let routes =
            parse("{ address = \"203.0.113.0/24\" }, { token_env = \"FEED\", query = \"token\" }").expect("valid");
        let allow = routes[0].allow.clone().expect("it lets in");
        assert_eq!(described(&allow), "203.0.113.0/24, ?token= with FEED");
        let with =
            |values: &[&str]| fill(routes.clone(), |_| Ok(values.iter().map(|value| (*value).to_owned()).collect()));
        let filled = with(&["0123456789abcdef", "fedcba9876543210"]).expect("tokens");
        assert_ne!(filled[0].allow, routes[0].allow);
        for (values, expected) in [
            (&[][..], "FEED is not set, and route \"/feed\""),
            (&["hidden"], "is no token"),
            (&["hidden hidden hidden"], "is no token"),
            (&["0123456789abcdef", "hidden&hidden=hidden"], "is no token"),
        ] {
            let error = with(values).expect_err(expected).to_string();
            assert!(error.contains(expected) && !error.contains("hidden"), "{error}");
        }
    }
}
