//! Which site a request is for: its host decides.

use crate::authorities::Authorities;
use crate::routes::HostPattern;

use super::Address;

/// A site behind the gate: its servers, and the hosts under which it is reached.
#[derive(Clone, Debug)]
pub struct Site {
    /// None: all hosts that no other site is for.
    pub hosts: Vec<HostPattern>,
    /// One, or several that share the load.
    pub servers: Vec<Address>,
    pub host: ToldHost,
    /// The name that servers are asked for by TLS and that their certificates are issued for, where that is not their host.
    pub tls_name: Option<String>,
    /// Whose certificates are accepted; none: those of the system.
    pub authorities: Option<Authorities>,
}

/// What servers are told as `Host`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ToldHost {
    /// A server under TLS its own host, all others what the client asks for.
    #[default]
    Usual,
    /// What the client asks for.
    Client,
    Fixed(String),
}

impl Site {
    /// These servers for all hosts.
    #[must_use]
    pub fn of(servers: Vec<Address>) -> Self {
        Self { hosts: Vec::new(), servers, host: ToldHost::Usual, tls_name: None, authorities: None }
    }
}

/// The place of the site for a request to this host, as rules compare it: the first that names it, else the first for all
/// hosts. The gate and `tollgate explain` both ask here.
#[must_use]
pub fn site_for(sites: &[Site], host: Option<&str>) -> Option<usize> {
    let names = |site: &Site| host.is_some_and(|host| site.hosts.iter().any(|pattern| pattern.matches(host)));
    let named = sites.iter().position(names);
    named.or_else(|| sites.iter().position(|site| site.hosts.is_empty()))
}

/// The stable code of the answer to a request for a host that no site is for.
pub const UNKNOWN_HOST_CODE: &str = "unknown_host";

#[cfg(test)]
mod tests {
    use super::*;

    fn site(hosts: &[&str]) -> Site {
        let hosts = hosts.iter().map(|host| HostPattern::parse(host).expect(host)).collect();
        Site { hosts, ..Site::of(Vec::new()) }
    }

    #[test]
    fn the_host_decides_and_what_no_site_names_is_for_the_one_without_hosts() {
        let named = [site(&["read.example", "*.shop.example"]), site(&["www.shop.example", "[::1]"])];
        let open = [named[0].clone(), site(&[]), named[1].clone()];
        for (host, in_named, in_open) in [
            (Some("read.example"), Some(0), Some(0)),
            (Some("a.shop.example"), Some(0), Some(0)),
            (Some("www.shop.example"), Some(0), Some(0)),
            (Some("[::1]"), Some(1), Some(2)),
            (Some("shop.example"), None, Some(1)),
            (Some("read.example.evil"), None, Some(1)),
            (None, None, Some(1)),
        ] {
            assert_eq!((site_for(&named, host), site_for(&open, host)), (in_named, in_open), "{host:?}");
        }
        assert_eq!(site_for(&[], Some("read.example")), None);
    }
}
