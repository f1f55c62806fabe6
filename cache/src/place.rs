//! Where Redis is, from a URL.
//!
//! `redis://host:6379/0` is one server. `redis+cluster://a:7000,b:7000` is a Cluster, found through any of its nodes.
//! `redis+sentinel://a:26379,b:26379/mymaster/0` is whatever these Sentinels say is the master. `rediss` in place of `redis`
//! is TLS. A user and a password before the hosts are those of the servers; Sentinels that ask for others are told
//! `?sentinel_username=…&sentinel_password=…`.

use std::fmt;

use percent_encoding::percent_decode_str;
use redis::sentinel::SentinelNodeConnectionInfo;
use redis::{ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, TlsMode};

/// Port of a Sentinel that names none.
const SENTINEL_PORT: u16 = 26379;

/// Port of a server that names none.
const SERVER_PORT: u16 = 6379;

/// Where Redis is.
#[derive(Clone)]
pub struct Place(pub(crate) Kind);

#[derive(Clone)]
pub(crate) enum Kind {
    Server(ConnectionInfo),
    /// Some of its nodes; all have the same user and password.
    Cluster(Vec<ConnectionInfo>),
    Sentinel(Watched),
}

/// A master that Sentinels watch.
#[derive(Clone)]
pub(crate) struct Watched {
    pub sentinels: Vec<ConnectionInfo>,
    /// The name that they know it by.
    pub name: String,
    pub server: SentinelNodeConnectionInfo,
}

/// Why a text is not a place. It never shows the text, which holds a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    #[error(
        "it is not the URL of a Redis: use redis://host:6379, redis+cluster://a:7000,b:7000 or redis+sentinel://a:26379,b:26379/name"
    )]
    NotRedis,
    #[error(
        "its user or password has characters that end that part of a URL: write them percent-encoded, such as %2F for /, %40 for @ and %23 for #"
    )]
    Encoding,
    #[error("a host in it cannot be read")]
    Host,
    #[error("the name of the master is missing: redis+sentinel://a:26379,b:26379/name")]
    NoMaster,
    #[error("a Redis Cluster has no databases: leave the number away")]
    Database,
    #[error("the only parameters are sentinel_username and sentinel_password")]
    Parameter,
}

impl Place {
    /// Reads a URL. Nothing is contacted, and no name is looked up.
    ///
    /// # Errors
    /// When it is not in one of the three forms.
    pub fn parse(text: &str) -> Result<Self, PlaceError> {
        let (scheme, rest) = text.split_once("://").ok_or(PlaceError::NotRedis)?;
        if !is_encoded(rest) {
            return Err(PlaceError::Encoding);
        }
        match scheme {
            "redis+cluster" => cluster(rest, "redis"),
            "rediss+cluster" => cluster(rest, "rediss"),
            "redis+sentinel" => sentinel(rest, "redis"),
            "rediss+sentinel" => sentinel(rest, "rediss"),
            _ => text.into_connection_info().map(Kind::Server).map_err(|_| PlaceError::NotRedis),
        }
        .map(Self)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Server(_) => "a server",
            Kind::Cluster(_) => "a cluster",
            Kind::Sentinel(_) => "a master that is watched",
        })
    }
}

/// The addresses alone: neither a user nor a password.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed =
            |nodes: &[ConnectionInfo]| nodes.iter().map(|node| node.addr().to_string()).collect::<Vec<_>>().join(", ");
        match &self.0 {
            Kind::Server(info) => write!(f, "{}", info.addr()),
            Kind::Cluster(nodes) => write!(f, "the Cluster of {}", listed(nodes)),
            Kind::Sentinel(Watched { sentinels, name, .. }) => {
                write!(f, "the master {name} of the Sentinels {}", listed(sentinels))
            }
        }
    }
}

fn cluster(rest: &str, scheme: &str) -> Result<Kind, PlaceError> {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !path.is_empty() {
        return Err(PlaceError::Database);
    }
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    Ok(Kind::Cluster(nodes(scheme, user, hosts, SERVER_PORT)?))
}

fn sentinel(rest: &str, scheme: &str) -> Result<Kind, PlaceError> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').ok_or(PlaceError::NoMaster)?;
    let (name, database) = path.split_once('/').unwrap_or((path, ""));
    if name.is_empty() {
        return Err(PlaceError::NoMaster);
    }
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    // The user and password are the servers'; the Sentinels have their own, or none.
    let of_server = nodes(scheme, user, "unused", SERVER_PORT)?;
    let mut server = of_server.first().ok_or(PlaceError::Host)?.redis_settings().clone();
    if !database.is_empty() {
        server = server.set_db(database.parse().map_err(|_| PlaceError::NotRedis)?);
    }
    let (username, password) = of_sentinels(query)?;
    let with_login = |info: ConnectionInfo| {
        let settings = info.redis_settings().clone();
        let settings = username.as_ref().map_or(settings.clone(), |name| settings.set_username(name));
        let settings = password.as_ref().map_or(settings.clone(), |password| settings.set_password(password));
        info.set_redis_settings(settings)
    };
    let sentinels = nodes(scheme, "", hosts, SENTINEL_PORT)?.into_iter().map(with_login).collect();
    let info = SentinelNodeConnectionInfo::default().set_redis_connection_info(server);
    let server = if scheme == "rediss" { info.set_tls_mode(TlsMode::Secure) } else { info };
    Ok(Kind::Sentinel(Watched { sentinels, name: decoded(name)?, server }))
}

/// The user name and password for the Sentinels themselves.
fn of_sentinels(query: &str) -> Result<(Option<String>, Option<String>), PlaceError> {
    let (mut username, mut password) = (None, None);
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "sentinel_username" => username = Some(value.into_owned()),
            "sentinel_password" => password = Some(value.into_owned()),
            _ => return Err(PlaceError::Parameter),
        }
    }
    Ok((username, password))
}

/// One place for each of the hosts.
fn nodes(scheme: &str, user: &str, hosts: &str, port: u16) -> Result<Vec<ConnectionInfo>, PlaceError> {
    let node = |host: &str| {
        // An IPv6 address has colons of its own, within brackets.
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let port = if has_port { String::new() } else { format!(":{port}") };
        let at = if user.is_empty() { "" } else { "@" };
        let url = format!("{scheme}://{user}{at}{host}{port}");
        if host.is_empty() { Err(PlaceError::Host) } else { url.into_connection_info().map_err(|_| PlaceError::Host) }
    };
    hosts.split(',').map(node).collect()
}

/// Whether user and password end where a parser ends them (RFC 3986 section 3.2): an `@` that stands later, a `#`, a blank, or a `%` that
/// encodes nothing was meant to be a part of them.
fn is_encoded(rest: &str) -> bool {
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = before_query.split_once('/').unwrap_or((before_query, ""));
    let (login, _) = authority.rsplit_once('@').unwrap_or_default();
    let is_parameter = query.split_once('@').is_none_or(|(before, _)| before.contains('='));
    let mut escapes = login.split('%');
    escapes.next();
    let is_escaped = |part: &str| part.as_bytes().get(..2).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    is_parameter && !path.contains('@') && !rest.contains('#') && !login.contains(['@', ' ']) && escapes.all(is_escaped)
}

fn decoded(text: &str) -> Result<String, PlaceError> {
    Ok(percent_decode_str(text).decode_utf8().map_err(|_| PlaceError::NotRedis)?.into_owned())
}

/// The same user, password and protection, at another address of the same Cluster.
pub(crate) fn at(template: &ConnectionInfo, host: &str, port: u16) -> ConnectionInfo {
    use redis::ConnectionAddr::{Tcp, TcpTls};
    let host = host.to_owned();
    let addr = match template.addr() {
        TcpTls { insecure, tls_params, .. } => {
            TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
        }
        _ => Tcp(host, port),
    };
    let redis: RedisConnectionInfo = template.redis_settings().clone();
    template.clone().set_addr(addr).set_redis_settings(redis)
}

#[cfg(test)]
mod tests {
    use redis::ConnectionAddr;

    use super::*;

    fn addresses(nodes: &[ConnectionInfo]) -> Vec<String> {
        nodes.iter().map(|node| node.addr().to_string()).collect()
    }

    #[test]
    fn a_password_that_is_not_encoded_is_told() {
        for (url, expected) in [
            ("redis://u:p@h:6379/0", None),
            ("redis://:p%40%2F%23@h", None),
            ("redis://:p/w@h", Some(PlaceError::Encoding)),
            ("redis://:p@w@h", Some(PlaceError::Encoding)),
            ("redis://:p#w@h", Some(PlaceError::Encoding)),
            ("redis://:p?w@h", Some(PlaceError::Encoding)),
            ("redis://:p%w@h", Some(PlaceError::Encoding)),
            ("redis+cluster://:p@w@a:7000,b:7000", Some(PlaceError::Encoding)),
            ("redis+sentinel://a:1,b:2/name?sentinel_password=p%40", None),
        ] {
            assert_eq!(Place::parse(url).err(), expected, "{url}");
        }
    }

    #[test]
    fn a_server_is_any_url_that_the_client_reads() {
        let place = Place::parse("redis://user:secret@cache.internal:6390/3").expect("a place");
        let Kind::Server(info) = &place.0 else { panic!("{place:?}") };
        assert_eq!(info.addr().to_string(), "cache.internal:6390");
        assert_eq!((info.redis_settings().db(), info.redis_settings().password()), (3, Some("secret")));
        assert!(!format!("{place:?}").contains("secret"));
        assert_eq!(place.to_string(), "cache.internal:6390");
    }

    #[test]
    fn a_cluster_is_some_of_its_nodes() {
        let place = Place::parse("rediss+cluster://user:s%40cret@a:7000,b,[::1]:7001").expect("a place");
        let Kind::Cluster(nodes) = &place.0 else { panic!("{place:?}") };
        assert_eq!(addresses(nodes), ["a:7000", "b:6379", "::1:7001"]);
        for node in nodes {
            assert!(matches!(node.addr(), ConnectionAddr::TcpTls { insecure: false, .. }));
            assert_eq!(node.redis_settings().password(), Some("s@cret"));
        }
        let other = at(&nodes[0], "c", 7002);
        assert!(matches!(other.addr(), ConnectionAddr::TcpTls { host, port: 7002, .. } if host == "c"));
        assert_eq!(other.redis_settings().password(), Some("s@cret"));
    }

    #[test]
    fn a_master_is_a_name_that_sentinels_know() {
        let text = "redis+sentinel://user:secret@a,b:26380/my%20master/2?sentinel_password=other";
        let Kind::Sentinel(watched) = Place::parse(text).expect("a place").0 else { panic!("{text}") };
        assert_eq!(addresses(&watched.sentinels), ["a:26379", "b:26380"]);
        assert_eq!(watched.name, "my master");
        let passwords: Vec<_> = watched.sentinels.iter().map(|info| info.redis_settings().password()).collect();
        assert_eq!(passwords, [Some("other"); 2], "not the password of the server");
    }

    #[test]
    fn what_is_no_place_is_refused_without_being_shown() {
        let cases = [
            ("localhost:6379", PlaceError::NotRedis),
            ("http://localhost", PlaceError::NotRedis),
            ("redis+cluster://a:7000,,b:7000", PlaceError::Host),
            ("redis+cluster://a:7000/1", PlaceError::Database),
            ("redis+sentinel://a:26379", PlaceError::NoMaster),
            ("redis+sentinel://a:26379/", PlaceError::NoMaster),
            ("redis+sentinel://a:26379/m/x", PlaceError::NotRedis),
            ("redis+sentinel://a:26379/m?password=x", PlaceError::Parameter),
        ];
        for (text, expected) in cases {
            assert_eq!(Place::parse(text).err(), Some(expected), "{text}");
        }
    }
}
