//! The ways to know who asks, as they are configured.

use std::time::Duration;

use http::HeaderName;

use super::ask::Settings as AskSettings;
use super::buyers::Buyer;
use super::claims::Claim;
use super::jwks::Settings as JwksSettings;
use super::key::Key;
use crate::forwarded::TrustedProxies;

/// What the only way is called where it has no name.
pub const FLAT: &str = "token";

/// The ways to know who asks, one or more.
#[derive(Clone, Debug)]
pub struct Settings {
    pub ways: Vec<Way>,
    /// The users who may buy for their account; empty: all of them.
    pub buyers: Vec<Buyer>,
}

impl Settings {
    /// A single way, whose users may all buy.
    #[must_use]
    pub fn of(way: Way) -> Self {
        Self { ways: vec![way], buyers: Vec::new() }
    }
}

/// One way: where its tokens are, and what they must say.
#[derive(Clone, Debug)]
pub struct Way {
    /// What metrics and logs call it.
    pub name: String,
    /// The cookies that hold a token, beside `Authorization: Bearer`.
    pub cookies: Vec<String>,
    /// The header that is read in place of both.
    pub front: Option<Front>,
    /// Where the token stands in a cookie that holds JSON: a JSON pointer.
    pub token_at: Option<String>,
    /// What the `iss` claim may be; empty: it is not asked for.
    pub issuers: Vec<String>,
    /// What the `aud` claim may have; empty: it is not asked for.
    pub audiences: Vec<String>,
    /// What the `azp` claim may be, where there is one; empty: it is not asked for.
    pub authorized_parties: Vec<String>,
    /// The claims that name the account: the first that is there.
    pub account: Vec<Claim>,
    /// The claim that names the user who acts, where it is there.
    pub user: Option<Claim>,
    /// Stands before the account and the user, so that the 42 of two ways are two accounts.
    pub prefix: String,
    /// How far the clocks of the issuer and of this host may be apart; whole seconds.
    pub leeway: Duration,
    pub keys: Keys,
}

impl Way {
    /// A way with an issuer and an audience, whose tokens name the account in `sub`.
    #[must_use]
    pub fn simple(cookie: Option<&str>, (issuer, audience): (&str, &str), leeway: Duration, keys: Keys) -> Self {
        Self {
            name: FLAT.to_owned(),
            cookies: cookie.map(str::to_owned).into_iter().collect(),
            front: None,
            token_at: None,
            issuers: vec![issuer.to_owned()],
            audiences: vec![audience.to_owned()],
            authorized_parties: Vec::new(),
            account: vec![Claim::subject()],
            user: Some(Claim::subject()),
            prefix: String::new(),
            leeway,
            keys,
        }
    }
}

/// A header in which an authenticating proxy in front identifies the visitor.
#[derive(Clone, Debug)]
pub struct Front {
    pub header: HeaderName,
    /// The connections that are believed; from all others the header counts for nothing.
    pub from: TrustedProxies,
}

/// The proof that a credential needs.
#[derive(Clone, Debug)]
pub enum Keys {
    /// Nothing is signed: the value of the header of a proxy in front is the account.
    Unsigned,
    /// The site is asked whose a session is: that in the cookies, or in `Authorization` where none are named.
    Asked(AskSettings),
    /// A shared secret, or the keys of a file: they change with a restart only.
    Fixed(Vec<Key>),
    /// The keys that an identity provider publishes.
    Published(JwksSettings),
}

impl Keys {
    /// Whether they verify tokens.
    pub(super) const fn are_of_tokens(&self) -> bool {
        matches!(self, Self::Fixed(_) | Self::Published(_))
    }
}
