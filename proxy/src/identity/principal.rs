//! The account that is signed in and pays, and the user who acts for it.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use entitlement::account::{AccountId, UserId};
use serde_json::{Map, Value};

use super::buyers::Buyer;
use super::claims::{self, Claim};
use super::refusal::Refusal;

/// The account of a valid credential, and the user who acts for it. An account that acts for itself and may buy, as on every site without
/// organisations, takes no memory for a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub account: AccountId,
    actor: Option<Arc<Actor>>,
}

/// The user who acts for an account.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Actor {
    /// None: the account itself.
    user: Option<UserId>,
    is_buyer: bool,
}

impl Hash for Principal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.account.hash(state);
        if let Some(actor) = &self.actor {
            actor.hash(state);
        }
    }
}

impl From<AccountId> for Principal {
    /// An account that acts for itself, and may buy.
    fn from(account: AccountId) -> Self {
        Self { account, actor: None }
    }
}

impl Principal {
    /// `is_buyer`: whether the user may buy for the account.
    pub(super) fn new(account: AccountId, user: Option<UserId>, is_buyer: IsBuyer) -> Self {
        let user = user.filter(|user| *user != account);
        let actor = match (user, is_buyer) {
            (None, IsBuyer::Yes) => None,
            (user, is_buyer) => Some(Arc::new(Actor { user, is_buyer: is_buyer == IsBuyer::Yes })),
        };
        Self { account, actor }
    }

    /// A user who acts for an account.
    #[cfg(test)]
    pub(crate) fn acting(account: AccountId, user: UserId, is_buyer: bool) -> Self {
        Self { account, actor: Some(Arc::new(Actor { user: Some(user), is_buyer })) }
    }

    /// The user who acts, where that is another than the account.
    #[must_use]
    pub fn user(&self) -> Option<&UserId> {
        self.actor.as_ref().and_then(|actor| actor.user.as_ref())
    }

    /// Whether the user may buy, change and cancel for the account.
    #[must_use]
    pub fn is_buyer(&self) -> bool {
        self.actor.as_ref().is_none_or(|actor| actor.is_buyer)
    }

    /// The principal of two valid credentials of one request; none where they name two accounts, or two users of one account. What one of
    /// them allows is allowed, as a client could leave the other one out.
    pub(super) fn and(self, other: &Self) -> Option<Self> {
        if self == *other {
            return Some(self);
        }
        let is_one = match (self.user(), other.user()) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        if self.account != other.account || !is_one {
            return None;
        }
        let is_buyer = if self.is_buyer() || other.is_buyer() { IsBuyer::Yes } else { IsBuyer::No };
        let user = self.user().or(other.user()).cloned();
        Some(Self::new(self.account, user, is_buyer))
    }
}

/// Whether a user may buy for the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IsBuyer {
    Yes,
    No,
}

/// The claims of a way that name the account and its user, and the users who may buy.
#[derive(Clone, Debug)]
pub(super) struct Naming {
    /// The first of these that is there names the account.
    pub(super) account: Vec<Claim>,
    /// Names the user, where it is there.
    pub(super) user: Option<Claim>,
    /// Stands before the account and the user.
    pub(super) prefix: String,
    /// One of these has to hold for a user to buy; empty: every user may.
    pub(super) buyers: Arc<[Buyer]>,
}

impl Naming {
    /// The principal that these claims name.
    pub(super) fn principal(&self, claims: &Map<String, Value>) -> Result<Principal, Refusal> {
        let named = self.account.iter().find_map(|claim| claim.of(claims)).ok_or(Refusal::NoAccount)?;
        let account = claims::id(named, &self.prefix).ok_or(Refusal::NoAccount)?;
        let user = match self.user.as_ref().and_then(|claim| claim.of(claims)) {
            // Without its user, the site would take the request for one of the account itself.
            Some(named) => Some(claims::id(named, &self.prefix).ok_or(Refusal::NoUser)?),
            None => None,
        };
        let acts_itself = user.as_ref().is_none_or(|user| *user == account);
        let is_buyer = if self.may_buy(claims, acts_itself) { IsBuyer::Yes } else { IsBuyer::No };
        Ok(Principal::new(account, user, is_buyer))
    }

    /// Whether the user with these claims may buy. An account that acts for itself, without any of the claims of buyers, is no member of an
    /// organisation: it buys for itself.
    fn may_buy(&self, claims: &Map<String, Value>, acts_itself: bool) -> bool {
        self.buyers.is_empty()
            || self.buyers.iter().any(|buyer| buyer.includes(claims))
            || (acts_itself && !self.buyers.iter().any(|buyer| buyer.is_named(claims)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn principal(account: &str, user: Option<&str>, is_buyer: IsBuyer) -> Principal {
        let id = |text: &str| AccountId::parse(text).expect("an id");
        Principal::new(id(account), user.map(id), is_buyer)
    }

    #[test]
    fn an_account_that_acts_for_itself_has_no_user() {
        use IsBuyer::{No, Yes};
        for (user, is_buyer, has_actor) in [
            (None, Yes, false),
            (Some("acme"), Yes, false),
            (Some("ada"), Yes, true),
            (None, No, true),
            (Some("acme"), No, true),
        ] {
            let principal = principal("acme", user, is_buyer);
            assert_eq!(principal.actor.is_some(), has_actor, "{user:?}");
            assert_eq!(principal.user().map(AccountId::as_str), user.filter(|user| *user != "acme"));
            assert_eq!(principal.is_buyer(), is_buyer == Yes);
        }
    }

    #[test]
    fn two_credentials_are_one_principal_or_none() {
        use IsBuyer::{No, Yes};
        let ada = || principal("acme", Some("ada"), No);
        for (one, other, expected) in [
            (ada(), ada(), Some(ada())),
            (principal("acme", None, Yes), principal("acme", None, Yes), Some(principal("acme", None, Yes))),
            (ada(), principal("acme", Some("bob"), No), None),
            (ada(), principal("other", Some("ada"), No), None),
            (principal("acme", None, Yes), principal("other", None, Yes), None),
            // One that names no user says nothing against the other.
            (ada(), principal("acme", None, No), Some(ada())),
            (ada(), principal("acme", None, Yes), Some(principal("acme", Some("ada"), Yes))),
            (ada(), principal("acme", Some("ada"), Yes), Some(principal("acme", Some("ada"), Yes))),
        ] {
            assert_eq!(one.clone().and(&other), expected, "{one:?} {other:?}");
            assert_eq!(other.clone().and(&one), expected, "{other:?} {one:?}: their order decides nothing");
        }
    }

    #[test]
    fn claims_name_an_account_its_user_and_whether_that_one_buys() {
        let claim = |text: &str| text.parse().expect("a claim");
        let naming = |buyers: &[&str]| Naming {
            account: vec![claim("org_id"), claim("sub")],
            user: Some(claim("sub")),
            prefix: "clerk:".to_owned(),
            buyers: buyers.iter().map(|text| text.parse().expect("an entry")).collect(),
        };
        let admins = ["/org_role=admin", "/org_role=owner"];
        for (claims, buyers, expected) in [
            (json!({ "sub": "u", "org_id": "o" }), &[][..], Ok(("clerk:o", Some("clerk:u"), true))),
            (json!({ "sub": "u" }), &[], Ok(("clerk:u", None, true))),
            (
                json!({ "sub": "u", "org_id": "o", "org_role": "admin" }),
                &admins,
                Ok(("clerk:o", Some("clerk:u"), true)),
            ),
            (
                json!({ "sub": "u", "org_id": "o", "org_role": "member" }),
                &admins,
                Ok(("clerk:o", Some("clerk:u"), false)),
            ),
            // A user without an organisation buys for himself.
            (json!({ "sub": "u" }), &admins, Ok(("clerk:u", None, true))),
            (json!({ "sub": "u", "org_role": null }), &admins, Ok(("clerk:u", None, true))),
            (json!({ "sub": "u", "org_role": "member" }), &admins, Ok(("clerk:u", None, false))),
            (json!({ "sub": "u", "org_id": "o" }), &admins, Ok(("clerk:o", Some("clerk:u"), false))),
            (json!({ "org_id": "o" }), &[], Ok(("clerk:o", None, true))),
            (json!({ "org_id": "o", "sub": null }), &[], Ok(("clerk:o", None, true))),
            // A user that cannot be told is not left out: the site would take the account itself for the one who acts.
            (json!({ "org_id": "o", "sub": ["u"] }), &[], Err(Refusal::NoUser)),
            (json!({ "org_id": "o", "sub": " u" }), &[], Err(Refusal::NoUser)),
            (json!({ "org_id": ["o"], "sub": "u" }), &[], Err(Refusal::NoAccount)),
        ] {
            let named = naming(buyers).principal(claims.as_object().expect("an object"));
            let named = named.as_ref().map(|p| (p.account.as_str(), p.user().map(AccountId::as_str), p.is_buyer()));
            assert_eq!(named, expected.as_ref().map(|expected| *expected), "{claims} {buyers:?}");
        }
    }
}
