//! The embedded PostgreSQL: for the demo, for tests, and for a first look without a server.
//!
//! It is one backend, so whoever uses it has exactly one connection. A production build does not contain it.

use std::path::PathBuf;

use anyhow::Result;

/// A running embedded PostgreSQL; it stops when dropped.
pub struct Embedded {
    #[cfg(feature = "embedded")]
    server: pglite_oxide::PgliteServer,
}

/// Where its files are.
#[cfg_attr(not(feature = "demo"), expect(dead_code, reason = "only the demo forgets its data"))]
pub enum Place {
    /// Kept for the next start.
    Kept(PathBuf),
    /// Gone when the process ends.
    Temporary,
}

impl Embedded {
    /// Starts it on a free loopback port.
    #[cfg(feature = "embedded")]
    pub fn start(place: Place) -> Result<Self> {
        use anyhow::Context;

        let free_port = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0));
        let builder = pglite_oxide::PgliteServer::builder().tcp(free_port);
        let (builder, what) = match place {
            Place::Kept(path) => {
                let what = format!(
                    "the embedded PostgreSQL cannot use {}: is another tollgate running on it?",
                    path.display()
                );
                (builder.path(path), what)
            }
            Place::Temporary => (builder.temporary(), "the embedded PostgreSQL does not start".to_owned()),
        };
        Ok(Self { server: builder.start().context(what)? })
    }

    /// Says how to go on without it.
    #[cfg(not(feature = "embedded"))]
    pub fn start(_: Place) -> Result<Self> {
        anyhow::bail!(
            "DATABASE_URL is not set: point it at a PostgreSQL, or build with `--features embedded` for a first look"
        )
    }

    /// The URL to connect to.
    #[cfg(feature = "embedded")]
    pub fn url(&self) -> String {
        self.server.connection_uri()
    }

    /// Never called: without the feature there is no embedded PostgreSQL.
    #[cfg(not(feature = "embedded"))]
    pub fn url(&self) -> String {
        String::new()
    }
}
