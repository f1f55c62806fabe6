//! Where the parts listen and whom they call, checked against each other.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context, Result, bail};

use proxy::upstream::{Address, Site};

use super::file::File;
use super::sites;

/// Checks `host:port` of each key: that it is one, and that no two parts are in one place.
pub fn check(file: &File, sites: &[Site]) -> Result<()> {
    let listen = &file.listen;
    let own = [
        ("listen.public", &listen.public),
        ("listen.billing", &listen.billing),
        ("listen.admin", &listen.admin),
        ("listen.decide", &listen.decide),
    ];
    let own: Vec<_> = own.into_iter().filter(|(key, text)| *key != "listen.decide" || !text.is_empty()).collect();
    for (key, text) in &own {
        check_listen(key, text)?;
    }
    for (place, (key, text)) in own.iter().enumerate() {
        if let Some((first, _)) = own[..place].iter().find(|(_, other)| other == text) {
            bail!("{first} and {key} are both \"{text}\": each part needs a port of its own");
        }
    }
    for (place, (key, text)) in own.iter().enumerate() {
        if let Some((first, other)) = own[..place].iter().find(|(_, other)| takes_all_of(other, text)) {
            bail!(
                "{first} = \"{other}\" and {key} = \"{text}\" are one port of this machine: each part needs a port of its own"
            );
        }
    }
    for (place, server) in sites::placed(file, sites) {
        let Some((host, port)) = server.host_and_port() else { continue };
        if let Some((key, _)) = own.iter().find(|(_, text)| is_same(text, &host, port)) {
            bail!("{place} = \"{server}\" is Tollgate itself ({key}): name where your site listens");
        }
    }
    Ok(())
}

fn check_listen(key: &str, text: &str) -> Result<()> {
    let example =
        "write it as \"host:port\", such as \"127.0.0.1:8080\", or \"0.0.0.0:8080\" for every address of this machine";
    let (host, port) = text.rsplit_once(':').with_context(|| format!("{key} = \"{text}\" has no port: {example}"))?;
    if host.is_empty() {
        bail!("{key} = \"{text}\" has no host: {example}");
    }
    if host.contains('/') {
        bail!("{key} = \"{text}\" is a URL: {example}");
    }
    let port: u16 = port.parse().with_context(|| format!("{key} = \"{text}\" has no port: {example}"))?;
    if port == 0 {
        bail!("{key} = \"{text}\" has port 0, which is any that is free, so nobody would find it: {example}");
    }
    // Of the same form as the address of a server; names are looked up when it is listened on.
    if let Err(error) = format!("http://{text}").parse::<Address>() {
        bail!("{key} = \"{}\" is no address ({error}): {example}", super::urls::shown(text));
    }
    Ok(())
}

/// An address of this machine, as far as its text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Here {
    /// Every address: of version 4 alone, or of both.
    Every4,
    Every,
    Loopback(IpAddr),
    /// Whichever loopback address the name stands for.
    Localhost,
}

impl Here {
    fn of(host: &str) -> Option<Self> {
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        if matches!(name.as_str(), "localhost" | "localhost.localdomain" | "ip6-localhost" | "ip6-loopback")
            || name.ends_with(".localhost")
        {
            return Some(Self::Localhost);
        }
        let address: IpAddr = name.trim_matches(['[', ']']).parse().ok()?;
        match address.to_canonical() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Some(Self::Every4),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Some(Self::Every),
            address => address.is_loopback().then_some(Self::Loopback(address)),
        }
    }

    /// Whether two listeners there would be in each other's way at one port.
    fn meets(self, other: Self) -> bool {
        use Here::{Every4, Localhost, Loopback};
        match (self, other) {
            (Loopback(one), Loopback(other)) => one == other,
            (Every4, Loopback(IpAddr::V6(_))) | (Loopback(IpAddr::V6(_)), Every4) => false,
            (Localhost, Loopback(address)) | (Loopback(address), Localhost) => {
                address == IpAddr::V4(Ipv4Addr::LOCALHOST) || address == IpAddr::V6(Ipv6Addr::LOCALHOST)
            }
            _ => true,
        }
    }
}

fn parted(place: &str) -> Option<(&str, u16)> {
    let (host, port) = place.rsplit_once(':')?;
    Some((host, port.parse().ok()?))
}

/// Whether two places are one port of this machine.
fn takes_all_of(one: &str, other: &str) -> bool {
    let (Some((one, port)), Some((other, other_port))) = (parted(one), parted(other)) else { return false };
    let meet = Here::of(one).zip(Here::of(other)).is_some_and(|(one, other)| one.meets(other));
    port == other_port && (one == other || meet)
}

/// Whether a site there is what listens at `own`. A name for this machine may be written for another of its addresses.
fn is_same(own: &str, host: &str, port: u16) -> bool {
    let Some((own_host, own_port)) = parted(own) else { return false };
    let is_near = |host| match Here::of(host) {
        Some(Here::Loopback(address)) => address == Ipv4Addr::LOCALHOST || address == Ipv6Addr::LOCALHOST,
        Some(_) => true,
        None => false,
    };
    let meet = Here::of(own_host).zip(Here::of(host)).is_some_and(|(own, host)| own.meets(host));
    own_port == port && (own_host == host || meet || (is_near(own_host) && is_near(host)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        let file = File::parse(text).expect("it can be read");
        let sites = super::super::sites::check(&file, "".as_ref()).expect("servers");
        check(&file, &sites).map_or_else(|error| format!("{error:#}"), |()| String::new())
    }

    #[test]
    fn a_place_that_cannot_be_meant_is_told_with_an_example() {
        for (text, expected) in [
            ("", ""),
            ("listen.public = \":8080\"", "has no host"),
            ("listen.admin = \"127.0.0.1\"", "has no port"),
            ("listen.billing = \"127.0.0.1:http\"", "has no port"),
            ("listen.billing = \"http://127.0.0.1:1\"", "is a URL: write it as \"host:port\""),
            ("listen.public = \"127.0.0.1:0\"", "has port 0"),
            ("listen.admin = \"a b:1\"", "is no address"),
            ("listen.admin = \"::1:9090\"", "is no address"),
            ("listen.admin = \"999.1.1.1:9090\"", "is no address"),
            ("listen.admin = \"224.0.0.1:9090\"", "is no address"),
            ("listen.public = \"0.0.0.0:7\"\nlisten.billing = \"127.0.0.1:7\"", "are one port of this machine"),
            ("listen.public = \"localhost:7\"\nlisten.admin = \"[::]:7\"", "are one port of this machine"),
            ("listen.public = \"0.0.0.0:7\"\nlisten.admin = \"[::1]:7\"", ""),
            ("listen.public = \"0.0.0.0:7\"\nlisten.billing = \"billing.internal:7\"", ""),
            ("listen.public = \"127.0.0.1:9090\"", "listen.public and listen.admin are both"),
            ("site.upstream = [\"localhost:8080\"]", "is Tollgate itself (listen.public)"),
            ("[[upstream]]\nservers = [\"https://localhost:8080\"]", "is Tollgate itself (listen.public)"),
            ("site.upstream = [\"[::ffff:127.0.0.1]:8080\"]", "is Tollgate itself (listen.public)"),
            ("site.upstream = [\"ip6-localhost:8080\"]", "is Tollgate itself (listen.public)"),
            ("site.upstream = [\"app.localhost:8081\"]", "is Tollgate itself (listen.billing)"),
            ("site.upstream = [\"127.0.0.2:8080\"]", ""),
            ("listen.public = \"0.0.0.0:7\"\nsite.upstream = [\"127.0.0.2:7\"]", "is Tollgate itself (listen.public)"),
            ("listen.public = \"[::]:7\"\nsite.upstream = [\"127.0.0.2:7\"]", "is Tollgate itself (listen.public)"),
            (
                "listen.public = \"127.0.0.1:07\"\nsite.upstream = [\"127.0.0.1:7\"]",
                "is Tollgate itself (listen.public)",
            ),
            ("listen.public = \"localhost:9090\"", "are one port of this machine"),
            ("listen.public = \"0.0.0.0:7\"\nlisten.admin = \"127.0.0.2:7\"", "are one port of this machine"),
            ("listen.public = \"127.0.0.1:7\"\nlisten.admin = \"127.0.0.1:07\"", "are one port of this machine"),
            ("site.upstream = [\"unix:/run/app.sock\"]", ""),
            ("listen.public = \"0.0.0.0:3000\"", "is Tollgate itself (listen.public)"),
            ("site.upstream = [\"10.0.0.1:8080\"]", ""),
        ] {
            let told = told(text);
            assert!(if expected.is_empty() { told.is_empty() } else { told.contains(expected) }, "{text}: {told}");
        }
    }
}
