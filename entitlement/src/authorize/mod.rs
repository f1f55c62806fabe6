//! The gate's decision on one request, and the only place that makes a [`Permit`].

mod lacking;

pub use lacking::Lacking;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::record::Entitlement;
use crate::timeline::Plan;

/// What a route asks of its caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Requirement {
    /// Nothing.
    Public,
    /// A valid token.
    SignedIn,
    /// A tier of this rank or higher.
    Tier(String),
    /// A feature of any granted tier.
    Feature(String),
    /// Each of these.
    All(Vec<Requirement>),
    /// One of these.
    Any(Vec<Requirement>),
}

impl Requirement {
    /// Whether a plan meets it. Who has a plan is signed in.
    #[must_use]
    pub fn is_met(&self, plan: &Plan) -> bool {
        match self {
            Self::Public | Self::SignedIn => true,
            Self::Tier(code) => plan.includes.iter().any(|held| **held == **code),
            Self::Feature(name) => plan.features.iter().any(|held| **held == **name),
            Self::All(parts) => parts.iter().all(|part| part.is_met(plan)),
            Self::Any(parts) => parts.iter().any(|part| part.is_met(plan)),
        }
    }

    /// What has to be met where both have.
    fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Public, other) => other.clone(),
            (own, Self::Public | Self::SignedIn) => own.clone(),
            (Self::SignedIn, other) => other.clone(),
            (own, other) if own == other => own.clone(),
            (own, other) => Self::All(vec![own.clone(), other.clone()]),
        }
    }

    fn join(f: &mut fmt::Formatter<'_>, parts: &[Self], word: &str) -> fmt::Result {
        for (place, part) in parts.iter().enumerate() {
            if place > 0 {
                f.write_str(word)?;
            }
            match part {
                Self::All(_) | Self::Any(_) => write!(f, "({part})")?,
                _ => write!(f, "{part}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("public"),
            Self::SignedIn => f.write_str("signed in"),
            Self::Tier(code) => write!(f, "tier {code}"),
            Self::Feature(name) => write!(f, "feature {name}"),
            Self::All(parts) => Self::join(f, parts, " and "),
            Self::Any(parts) => Self::join(f, parts, " or "),
        }
    }
}

/// What to do when nobody can say what the caller has paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    #[default]
    Deny,
    Allow,
}

/// Whether a denial is served or only counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    #[default]
    Enforce,
    Shadow,
}

/// What a credential that does not verify is worth where none is required.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvalidToken {
    /// As much as none: an expired session must not close the pages from which one signs in again.
    #[default]
    Ignore,
    /// A denial: who tries to be somebody is told that it failed.
    Deny,
}

/// A route's rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub require: Requirement,
    pub invalid_token: InvalidToken,
    pub on_error: OnError,
    pub mode: Mode,
    /// Whether anything sold meets the requirement: else the answer is "forbidden", not "pay".
    pub for_sale: bool,
    /// Whether the catalog in force has what the requirement names: else nobody can say what is missing.
    pub is_known: bool,
}

impl Policy {
    /// Open to everybody.
    #[must_use]
    pub const fn public() -> Self {
        Self {
            require: Requirement::Public,
            invalid_token: InvalidToken::Ignore,
            on_error: OnError::Deny,
            mode: Mode::Enforce,
            for_sale: true,
            is_known: true,
        }
    }

    /// What holds for a request that has to satisfy both: a rule that only watches adds nothing to one that decides.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        match (self.mode, other.mode) {
            (Mode::Shadow, Mode::Enforce) => return other.clone(),
            (Mode::Enforce, Mode::Shadow) => return self.clone(),
            (Mode::Enforce, Mode::Enforce) | (Mode::Shadow, Mode::Shadow) => {}
        }
        Self {
            require: self.require.and(&other.require),
            invalid_token: if self.invalid_token == InvalidToken::Deny {
                InvalidToken::Deny
            } else {
                other.invalid_token
            },
            on_error: if self.on_error == OnError::Deny { OnError::Deny } else { other.on_error },
            mode: self.mode,
            for_sale: self.for_sale && other.for_sale,
            is_known: self.is_known && other.is_known,
        }
    }
}

/// Who asks, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub enum Caller<'a> {
    /// No credential.
    Anonymous,
    /// A credential that does not verify.
    Rejected,
    /// Valid credentials of several accounts.
    Ambiguous,
    /// A credential that nobody can verify now.
    Unverified,
    /// A valid token, and what its account has.
    Known(&'a Entitlement),
    /// A valid token, but nobody could say what its account has.
    Unresolved,
    /// Of no account: the route lets it in by its address or by a token.
    LetIn,
}

/// Proof that a request was authorised. Without one, no upstream is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    basis: Basis,
}

/// Why a request may pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The requirement is met.
    Met,
    /// The route lets such requests in, whatever it requires.
    LetIn,
    /// Nobody could say, and the route's policy is to let pass.
    Fallback,
    /// It would have been denied, but the route only watches.
    Shadow(Denial),
}

impl Permit {
    /// Why the request may pass.
    #[must_use]
    pub const fn basis(&self) -> &Basis {
        &self.basis
    }
}

/// Why a request may not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// 401: no credential.
    SignIn,
    /// 401: a credential that does not verify.
    BadCredential,
    /// 401: valid credentials of several accounts.
    Ambiguous,
    /// 402: something that is sold would open it.
    Pay { required: Requirement, current: String },
    /// 403: a person has blocked the account.
    Blocked,
    /// 403: nothing that is sold would open it.
    Forbidden { required: Requirement, current: String },
    /// 503: nobody could say.
    Unknown,
}

impl Denial {
    /// The HTTP status of this answer.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::SignIn | Self::BadCredential | Self::Ambiguous => 401,
            Self::Pay { .. } => 402,
            Self::Forbidden { .. } | Self::Blocked => 403,
            Self::Unknown => 503,
        }
    }

    /// The stable code of this answer, in problem documents, logs and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::BadCredential => "invalid_token",
            Self::Ambiguous => "ambiguous_identity",
            Self::Pay { .. } => "payment_required",
            Self::Forbidden { .. } => "forbidden",
            Self::Blocked => "account_blocked",
            Self::Unknown => "entitlement_unknown",
        }
    }
}

/// Decides one request.
///
/// # Errors
/// The denial to serve.
pub fn authorize(caller: Caller<'_>, policy: &Policy, now: Timestamp) -> Result<Permit, Denial> {
    if matches!(caller, Caller::LetIn) {
        return Ok(Permit { basis: Basis::LetIn });
    }
    let Err(denial) = check(caller, policy, now) else { return Ok(Permit { basis: Basis::Met }) };
    let basis = match (policy.mode, policy.on_error, denial) {
        (Mode::Shadow, _, denial) => Basis::Shadow(denial),
        (Mode::Enforce, OnError::Allow, Denial::Unknown) => Basis::Fallback,
        (Mode::Enforce, _, denial) => return Err(denial),
    };
    Ok(Permit { basis })
}

/// Whether the requirement is met, before the route's policy on faults and shadowing.
fn check(caller: Caller<'_>, policy: &Policy, now: Timestamp) -> Result<(), Denial> {
    let entitlement = match (&policy.require, caller) {
        (Requirement::Public, Caller::Rejected) if policy.invalid_token == InvalidToken::Deny => {
            return Err(Denial::BadCredential);
        }
        (Requirement::Public, _) | (_, Caller::LetIn) => return Ok(()),
        (_, Caller::Anonymous) => return Err(Denial::SignIn),
        (_, Caller::Rejected) => return Err(Denial::BadCredential),
        (_, Caller::Ambiguous) => return Err(Denial::Ambiguous),
        (_, Caller::Unverified) => return Err(Denial::Unknown),
        (Requirement::SignedIn, Caller::Unresolved) => return Ok(()),
        (_, Caller::Unresolved) => return Err(Denial::Unknown),
        (_, Caller::Known(entitlement)) => entitlement,
    };
    let plan = &entitlement.timeline.at(now).plan;
    if plan.is_blocked() {
        return Err(Denial::Blocked);
    }
    if policy.require.is_met(plan) {
        return Ok(());
    }
    if !policy.is_known {
        return Err(Denial::Unknown);
    }
    let (required, current) = (policy.require.clone(), plan.tier.to_string());
    Err(if policy.for_sale { Denial::Pay { required, current } } else { Denial::Forbidden { required, current } })
}

#[cfg(test)]
mod tests;
