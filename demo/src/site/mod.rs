//! The sample site: a small news reader that knows nothing of billing.
//!
//! It signs people in and shows articles. What somebody may read is decided in front of it: the site checks nothing, and
//! shows at the bottom of every page the `X-Entitlement-*` headers that it was sent.

mod articles;
mod pages;
mod received;
mod session;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result};

use self::session::Sessions;
use crate::serve::{Server, bind};

/// What the site is started with.
///
/// Has no `Debug`: it holds the secret that signs sessions.
#[derive(Clone)]
pub struct Settings {
    /// Port 0 picks a free one.
    pub listen: SocketAddr,
    /// Where people reach the site; `https` makes the session cookie `Secure`.
    pub public_url: String,
    /// Signs the session token with HS256.
    pub jwt_secret: String,
    /// The token's `iss`.
    pub issuer: String,
    /// The token's `aud`.
    pub audience: String,
    /// The name of the session cookie.
    pub cookie: String,
    /// Who can sign in.
    pub users: Vec<User>,
}

impl Settings {
    /// A site on a free loopback port with the seeded users, whose cookie is called `session`.
    #[must_use]
    pub fn new(public_url: impl Into<String>, jwt_secret: impl Into<String>) -> Self {
        let public_url = public_url.into();
        let host = public_url.split_once("://").map_or(public_url.as_str(), |(_, host)| host);
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            jwt_secret: jwt_secret.into(),
            issuer: public_url.clone(),
            audience: host.to_owned(),
            cookie: "session".to_owned(),
            users: seeded_users(),
            public_url,
        }
    }
}

/// Somebody who can sign in, by choosing their name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The token's `sub`.
    pub id: String,
    pub name: String,
}

/// Alice, Bob and Carol.
#[must_use]
pub fn seeded_users() -> Vec<User> {
    [("alice", "Alice"), ("bob", "Bob"), ("carol", "Carol")]
        .map(|(id, name)| User { id: id.to_owned(), name: name.to_owned() })
        .to_vec()
}

/// The paths of the articles behind the gate.
pub fn paid_paths() -> impl Iterator<Item = String> {
    articles::ALL.iter().filter(|article| article.shelf == articles::Shelf::Paid).map(articles::Article::path)
}

/// A running site. Dropping it cuts it off; [`Site::shutdown`] lets open requests finish.
pub struct Site {
    url: String,
    server: Server,
}

/// What the handlers share.
struct Shared {
    users: Vec<User>,
    sessions: Sessions,
}

impl Site {
    /// Starts the site; it answers when this returns.
    ///
    /// # Errors
    /// When the address is taken, or the public URL is none.
    pub async fn start(settings: Settings) -> Result<Self> {
        let public = url::Url::parse(&settings.public_url).context("the site's public URL is not a URL")?;
        let (listener, address) = bind(settings.listen).await?;
        let users = settings.users.clone();
        let shared = Shared { users, sessions: Sessions::new(settings, &public) };
        let server = Server::run(listener, pages::router(Arc::new(shared)));
        Ok(Self { url: format!("http://{address}"), server })
    }

    /// Its own address, such as `http://127.0.0.1:3000`: where Tollgate finds it, not where people go.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops it. Open requests have two seconds to finish.
    pub async fn shutdown(self) {
        self.server.stop().await;
    }
}
