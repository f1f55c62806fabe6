//! `[site] upstream` and `[[upstream]]`: the servers behind the gate, and the hosts that they are for.

use std::path::Path;

use anyhow::{Context, Result, bail};
use proxy::Authorities;
use proxy::routes::HostPattern;
use proxy::target;
use proxy::upstream::{Address, Site, ToldHost, site_for};
use serde::Deserialize;
use toml::Value;

use super::file::File;

/// One `[[upstream]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    #[serde(default)]
    hosts: Vec<String>,
    servers: Vec<String>,
    #[serde(default)]
    host: String,
    #[serde(default)]
    keep_host: bool,
    #[serde(default)]
    tls_name: String,
    ca_file: Option<String>,
}

/// Takes the default server away where the operator's file names others in `[[upstream]]`.
pub fn make_room(defaults: &mut toml::Table, mine: &toml::Table) {
    let is_set = mine.get("site").is_some_and(|site| site.get("upstream").is_some());
    if mine.contains_key("upstream")
        && !is_set
        && let Some(site) = defaults.get_mut("site").and_then(Value::as_table_mut)
    {
        site.insert("upstream".to_owned(), Value::Array(Vec::new()));
    }
}

/// The sites of a file; none when it names no server. Files of authorities start at `directory`.
pub fn check(file: &File, directory: &Path) -> Result<Vec<Site>> {
    let mut sites = Vec::with_capacity(file.upstreams.len() + 1);
    for (index, section) in file.upstreams.iter().enumerate() {
        sites.push(section.check(directory).with_context(|| format!("[[upstream]] {}", index + 1))?);
    }
    // What says no hosts is for all others, wherever it stands.
    if !file.site.upstream.is_empty() {
        sites.push(Site::of(addresses("site.upstream", &file.site.upstream)?));
    }
    let mut open = sites.iter().filter(|site| site.hosts.is_empty());
    if open.next().is_some() && open.next().is_some() {
        bail!(
            "two upstreams are for all hosts (an [[upstream]] without hosts, or site.upstream): give all but one of them hosts"
        );
    }
    let hosts: Vec<String> = sites.iter().flat_map(|site| site.hosts.iter().map(ToString::to_string)).collect();
    if let Some((_, twice)) = hosts.iter().enumerate().find(|(at, host)| hosts[..*at].contains(host)) {
        bail!("two [[upstream]] name the host \"{twice}\": the second would never be asked");
    }
    Ok(sites)
}

/// The servers of all sites, each with its key, as a complaint names it.
pub fn placed<'a>(file: &'a File, sites: &'a [Site]) -> impl Iterator<Item = (String, &'a Address)> {
    let key = |index: usize| match file.upstreams.get(index) {
        Some(_) => format!("[[upstream]] {}: servers", index + 1),
        None => "site.upstream".to_owned(),
    };
    let sites = sites.iter().enumerate();
    sites.flat_map(move |(index, site)| site.servers.iter().map(move |server| (key(index), server)))
}

/// Says when requests for the site's own addresses would be refused.
pub fn warn_of_unknown_hosts(sites: &[Site], origins: &[String], warnings: &mut Vec<String>) {
    for origin in origins {
        let authority = origin.split_once("://").map_or(origin.as_str(), |(_, authority)| authority);
        let host = target::host(authority.as_bytes()).ok();
        if !sites.is_empty() && site_for(sites, host.as_deref()).is_none() {
            warnings.push(format!(
                "no [[upstream]] is for the host of {origin}: its requests are answered 421; name it in `hosts`, or add one without hosts"
            ));
        }
    }
}

/// The servers of a site, for a person.
pub fn describe(site: &Site) -> String {
    let servers: Vec<String> = site.servers.iter().map(ToString::to_string).collect();
    servers.join(", ")
}

/// Which hosts a site is for, for a person.
pub fn describe_hosts(site: &Site) -> String {
    let hosts: Vec<String> = site.hosts.iter().map(ToString::to_string).collect();
    if hosts.is_empty() { "all other hosts".to_owned() } else { hosts.join(", ") }
}

impl Section {
    fn check(&self, directory: &Path) -> Result<Site> {
        if self.servers.is_empty() {
            bail!("servers is empty: name at least one address, such as \"127.0.0.1:3000\"");
        }
        let servers = addresses("servers", &self.servers)?;
        let hosts =
            self.hosts.iter().map(|host| HostPattern::parse(host)).collect::<Result<_, _>>().context("hosts")?;
        let host = match (self.host.as_str(), self.keep_host) {
            ("", false) => ToldHost::Usual,
            ("", true) => ToldHost::Client,
            (_, true) => bail!("host and keep_host are both set: keep one of them"),
            (host, false) if target::host(host.as_bytes()).is_ok() => ToldHost::Fixed(host.to_owned()),
            (host, false) => bail!("host = \"{host}\" is not a host, such as \"app.example\" or \"app.example:8443\""),
        };
        let of_tls = [("tls_name", !self.tls_name.is_empty()), ("ca_file", self.ca_file.is_some())];
        if let Some((key, _)) = of_tls.iter().find(|(_, is_set)| *is_set)
            && !servers.iter().any(Address::is_secure)
        {
            bail!("{key} is for servers under TLS: write them as \"https://host\"");
        }
        let tls_name = (!self.tls_name.is_empty()).then(|| self.tls_name.clone());
        if let Some(name) = &tls_name
            && target::host(name.as_bytes()).as_deref() != Ok(name.to_ascii_lowercase().as_str())
        {
            bail!("tls_name = \"{name}\" is not the name of a certificate, such as \"app.example\"");
        }
        let authorities = self.ca_file.as_ref().map(|name| read(name, directory)).transpose()?;
        Ok(Site { hosts, servers, host, tls_name, authorities })
    }
}

fn read(name: &str, directory: &Path) -> Result<Authorities> {
    let path = directory.join(name);
    let pem =
        std::fs::read(&path).with_context(|| format!("ca_file = \"{name}\" cannot be read ({})", path.display()))?;
    Authorities::parse(&pem).with_context(|| format!("ca_file = \"{name}\""))
}

fn addresses(key: &str, texts: &[String]) -> Result<Vec<Address>> {
    texts.iter().map(|text| text.parse().with_context(|| format!("{key} = \"{}\"", super::urls::shown(text)))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    fn told(text: &str) -> Result<Vec<String>, String> {
        let config = Config::parse(text, "".into()).map_err(|error| format!("{error:#}"))?;
        let sites = config.sites().map_err(|error| format!("{error:#}"))?;
        Ok(sites.iter().map(|site| format!("{} → {}", super::describe_hosts(site), super::describe(site))).collect())
    }

    #[test]
    fn the_flat_form_and_the_table_name_servers() {
        let by_host = "[[upstream]]\nhosts = [\"a.example\", \"*.b.example\"]\nservers = [\"https://a.internal\", \"unix:/a.sock\"]\n";
        for (text, expected) in [
            (String::new(), &["all other hosts → 127.0.0.1:3000"][..]),
            ("site.upstream = [\"app:80\", \"https://app\"]".to_owned(), &["all other hosts → app:80, https://app"]),
            (by_host.to_owned(), &["a.example, *.b.example → https://a.internal, unix:/a.sock"]),
            (
                format!("site.upstream = [\"app:80\"]\n{by_host}"),
                &["a.example, *.b.example → https://a.internal, unix:/a.sock", "all other hosts → app:80"],
            ),
            ("[[upstream]]\nservers = [\"app:80\"]".to_owned(), &["all other hosts → app:80"]),
        ] {
            let expected: Vec<String> = expected.iter().map(|line| (*line).to_owned()).collect();
            assert_eq!(told(&text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_says_what_to_write() {
        let one = |lines: &str| format!("[[upstream]]\nservers = [\"https://app\"]\n{lines}\n");
        for (text, expected) in [
            ("site.upstream = []".to_owned(), "site.upstream is empty"),
            ("site.upstream = [\"app.example:443\"]".to_owned(), "write \"https://app.example\""),
            (
                "[[upstream]]\nservers = [\"app:443\"]".to_owned(),
                "[[upstream]] 1: servers = \"app:443\": 443 is the port of TLS",
            ),
            ("[[upstream]]\nservers = []".to_owned(), "servers is empty"),
            (
                format!(
                    "site.url = \"https://a.example\"\n{}[[upstream]]\nhosts = [\"a\"]\nservers = [\"https://a.example\"]",
                    one("")
                ),
                "[[upstream]] 2: servers = \"https://a.example\" is Tollgate itself (site.url)",
            ),
            (
                "[[upstream]]\nservers = [\"127.0.0.1:8080\"]".to_owned(),
                "[[upstream]] 1: servers = \"127.0.0.1:8080\" is Tollgate itself (listen.public)",
            ),
            ("[[upstream]]\nhosts = [\"a\"]".to_owned(), "the key `servers` is missing in `upstream`"),
            (one("hosts = [\"a.example:443\"]"), "without port"),
            (one("server = [\"a\"]"), "did you mean `servers`?"),
            (one("host = \"a/b\""), "is not a host"),
            (one("host = \"a\"\nkeep_host = true"), "keep one of them"),
            (one("tls_name = \"a:443\""), "not the name of a certificate"),
            (one("ca_file = \"nowhere.pem\""), "cannot be read"),
            ("[[upstream]]\nservers = [\"app:80\"]\ntls_name = \"a\"".to_owned(), "write them as \"https://host\""),
            (one("").repeat(2), "two upstreams are for all hosts"),
            (format!("site.upstream = [\"app:80\"]\n{}", one("")), "two upstreams are for all hosts"),
            ([one("hosts = [\"a\"]"), one("hosts = [\"A\"]")].concat(), "two [[upstream]] name the host \"a\""),
        ] {
            let error = told(&text).expect_err(&text);
            assert!(error.contains(expected), "{error:?} should contain {expected:?}");
        }
    }

    #[test]
    fn an_address_of_the_site_that_would_be_refused_is_warned_of() {
        let warned = |hosts: &str| {
            let text =
                format!("site.url = \"https://read.example\"\n[[upstream]]\nhosts = [{hosts}]\nservers = [\"app:80\"]");
            let config = Config::parse(&text, "".into()).expect("it can be run");
            config.warnings.iter().any(|warning| warning.contains("answered 421"))
        };
        assert!(warned("\"other.example\"") && !warned("\"read.example\""));
    }
}
