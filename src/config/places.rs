//! Where the parts listen and whom they call, checked against each other.

use anyhow::{Context, Result, bail};

use proxy::upstream::{Address, Site};

use super::file::File;

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
    for server in sites.iter().flat_map(|site| &site.servers) {
        let Some((host, port)) = server.host_and_port() else { continue };
        if let Some((key, _)) = own.iter().find(|(_, text)| is_same(text, &host, port)) {
            bail!("site.upstream = \"{server}\" is Tollgate itself ({key}): name where your site listens");
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

/// Whether one of two places is every address of this machine, and the other one of them at the same port.
fn takes_all_of(one: &str, other: &str) -> bool {
    let (Some((one, port)), Some((other, other_port))) = (one.rsplit_once(':'), other.rsplit_once(':')) else {
        return false;
    };
    let takes = |all: &str, one: &str| match all {
        "0.0.0.0" => matches!(one, "127.0.0.1" | "localhost" | "[::]"),
        "[::]" => matches!(one, "127.0.0.1" | "localhost" | "[::1]" | "0.0.0.0"),
        _ => false,
    };
    port == other_port && port != "0" && (takes(one, other) || takes(other, one))
}

/// Whether a site there is what listens at `own`: at the same port, on an address that is the same or any.
fn is_same(own: &str, host: &str, port: u16) -> bool {
    let Some((own_host, own_port)) = own.rsplit_once(':') else { return false };
    let is_here = |host: &str| matches!(host, "127.0.0.1" | "localhost" | "[::1]" | "0.0.0.0" | "[::]");
    own_port == port.to_string() && (own_host == host || (is_here(own_host) && is_here(host)))
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
            ("site.upstream = [\"unix:/run/app.sock\"]", ""),
            ("listen.public = \"0.0.0.0:3000\"", "is Tollgate itself (listen.public)"),
            ("site.upstream = [\"10.0.0.1:8080\"]", ""),
        ] {
            let told = told(text);
            assert!(if expected.is_empty() { told.is_empty() } else { told.contains(expected) }, "{text}: {told}");
        }
    }
}
