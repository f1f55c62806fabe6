//! Who asks: the account that a token names, from the `Authorization` header or the session cookie; that the site names when it is asked
//! whose a session is; or that an authenticating proxy in front names in a header of its own.
//!
//! There are one or more ways, each with its cookies, keys and claims. All credentials of a request are read. Those that do not verify count as absent beside one that does, as an old cookie of another
//! path or domain must lock out no user; valid ones of several accounts are nobody's. Their order decides nothing.

mod ask;
mod buyers;
mod claims;
mod cookies;
mod credential;
mod front;
mod head;
mod json;
mod jwks;
mod key;
mod principal;
mod reader;
mod refusal;
mod renewal;
mod seen;
mod sender;
mod sessions;
mod settings;
mod sum;
mod token;

use std::sync::Arc;

use entitlement::Timestamp;
use futures_util::future::join_all;
use http::HeaderMap;
use tokio::runtime::Handle;

pub use ask::{Location as AskLocation, LocationError as AskLocationError, Settings as AskSettings};
pub use buyers::{Buyer, NoBuyer};
pub use claims::{Claim, NoClaim};
#[cfg(fuzzing)]
pub(crate) use cookies::plainly::compare as compare_cookies;
pub use cookies::{Signature, WAYS_MAX};
pub use jsonwebtoken::Algorithm;
pub use jwks::{KEY_WAIT, Location, LocationError, PublishedError, Settings as JwksSettings};
pub use key::{FILE_KEYS_MAX, Key, KeyError};
pub use principal::Principal;
pub use refusal::Refusal;
pub(crate) use sender::Sender;
pub(crate) use sessions::CLEAR_SITE_DATA;
pub use settings::{FLAT, Front as FrontSettings, Keys, Settings, Way};

use crate::clock::{self, Moment};
use crate::headers::Withheld;
use ask::{Answer, Asking, Insist, Plan};
use cookies::{Found, Names, Ways};
use credential::Authorization;
use front::{Front, Holds};
use jwks::Published;
use principal::Naming;
use reader::{Reader, Trust};
use refusal::Refusals;
use seen::Seen;
use sum::Sum;
use token::{Invalid, Tries, Verified};

/// Longest token that is read, in bytes: as much as a request's headers may have (`limits.header_bytes`) by default.
const TOKEN_BYTES_MAX: usize = 64 * 1024;

/// What a request says about who sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// Nothing.
    Missing,
    /// Something that does not verify.
    Rejected,
    /// Valid credentials of several accounts, or of several users of one.
    Ambiguous,
    /// A credential that cannot be verified now: there has never been a key set, or the site does not say whose a session is.
    Unverified,
    /// A valid credential of this account, and of the user who acts for it.
    Account(Principal),
}

/// Reads credentials.
#[derive(Debug)]
pub struct Identity {
    /// The ways with tokens, by their places. Those of the others follow.
    ways: Vec<Reader>,
    /// The ways that read the bearer token: all with tokens but those of a proxy in front.
    all: Ways,
    fronts: Vec<Front>,
    withheld: Withheld,
    asking: Asking,
    cookies: Names,
    seen: Seen,
    refusals: Refusals,
}

impl Identity {
    /// Published keys are not fetched before [`Identity::follow`].
    ///
    /// # Errors
    /// When there are too many ways, or keys cannot be fetched at all: TLS or a metric cannot be set up.
    pub fn new(settings: Settings) -> Result<Self, PublishedError> {
        if settings.ways.len() > WAYS_MAX {
            return Err(PublishedError::TooManyWays);
        }
        let (mut ways, mut all, mut cookies) = (Vec::new(), Ways::default(), Names::default());
        let (mut fronts, mut withheld) = (Vec::new(), Withheld::default());
        let mut sorted = settings.ways;
        sorted.sort_by_key(|way| !way.keys.are_of_tokens());
        let refusals = Refusals::new(sorted.iter().map(|way| way.name.clone()))?;
        let buyers: Arc<[Buyer]> = settings.buyers.into();
        let mut plans = Vec::new();
        for (place, mut way) in sorted.into_iter().enumerate() {
            let is_signed = way.keys.are_of_tokens();
            let (account, user) = (std::mem::take(&mut way.account), way.user.take());
            let prefix = std::mem::take(&mut way.prefix);
            let naming = Naming { account, user, prefix, buyers: Arc::clone(&buyers) };
            if let Keys::Asked(settings) = way.keys {
                let Way { name, cookies, .. } = way;
                plans.push(Plan { place, name, cookies, naming, settings });
                continue;
            }
            match way.front.take() {
                Some(front) => {
                    withheld.add(&front.header);
                    let holds = if is_signed { Holds::Token } else { Holds::Account { prefix: naming.prefix.clone() } };
                    fronts.push(Front::new(place, front, holds));
                }
                None => {
                    let me = Ways::one(place);
                    all = all | me;
                    way.cookies.iter().for_each(|name| cookies.add(name, me));
                }
            }
            if is_signed {
                ways.push(Reader::new(way, naming)?);
            }
        }
        let asking = Asking::new(plans, clock::moment().tick)?;
        Ok(Self { ways, all, fronts, withheld, asking, cookies, seen: Seen::new(), refusals })
    }

    /// The headers that no request takes to the site.
    pub(crate) const fn withheld(&self) -> &Withheld {
        &self.withheld
    }

    /// Whether any way reads tokens.
    #[must_use]
    pub const fn reads_tokens(&self) -> bool {
        !self.ways.is_empty()
    }

    fn published(&self) -> impl Iterator<Item = &Arc<Published>> {
        self.ways.iter().filter_map(|way| match &way.trust {
            Trust::Published { keys, .. } => Some(keys),
            Trust::Fixed(_) => None,
        })
    }

    /// Keeps published keys fresh, and asks the site, on `io`, for as long as this value lives. Fixed keys need nothing.
    pub fn follow(&self, io: &Handle) {
        self.asking.follow(io);
        for way in &self.ways {
            if let Trust::Published { keys, following } = &way.trust {
                following.get_or_init(|| Arc::clone(keys).follow(io));
            }
        }
    }

    /// Waits for the first fetch of published keys, 10 s at most, once they are followed. Where one of several sets is there, or a way
    /// has keys of its own, the others are waited for by nobody.
    ///
    /// # Errors
    /// When there are no keys then.
    pub async fn reach(&self) -> Result<(), PublishedError> {
        let reached = join_all(self.published().map(|keys| keys.reach())).await;
        if reached.is_empty() || self.has_keys() {
            return Ok(());
        }
        reached.into_iter().collect()
    }

    /// Whether any way has keys, or has ever had, or needs none.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        let needs_none = self.asking.is_used() || self.fronts.iter().any(|front| !matches!(front.holds, Holds::Token));
        needs_none || self.ways.iter().any(Reader::has_keys)
    }

    /// Who sends a request. A token that was verified before is not verified again, and nothing is waited for; as little where the site was
    /// asked a moment ago. A token whose key may just have been published is waited for, [`KEY_WAIT`] at most, and the site's answer for
    /// its deadline.
    pub(crate) async fn identify(&self, sender: Sender<'_>) -> Credential {
        self.identify_by(sender, Insist::No).await
    }

    /// As [`Identity::identify`], for a request that is about to be refused as it has no credential: the site is asked again about sessions
    /// that it has said belong to no account, if that was not a moment ago.
    pub(crate) async fn insist(&self, sender: Sender<'_>) -> Credential {
        self.identify_by(sender, Insist::Yes).await
    }

    async fn identify_by(&self, sender: Sender<'_>, insist: Insist) -> Credential {
        let mut sum = self.survey(&sender, insist, None);
        let credential = match sum.credential() {
            Some(credential) => credential,
            None => Box::pin(self.renew(sender, insist, &mut sum)).await,
        };
        // A refused credential counts once, however often it is read.
        if matches!(insist, Insist::No) {
            sum.tries.refused.iter().for_each(|(way, refusal)| self.refusals.note(*way, *refusal, sender.now.time));
        }
        credential
    }

    /// Who sends these headers at `now`, whatever the connection. Nothing is waited for: none when a set that is newer than ours, or the
    /// site, could say more.
    #[must_use]
    pub fn peek(&self, headers: &HeaderMap, now: Timestamp) -> Option<Credential> {
        let now = Moment { time: now, ..clock::moment() };
        self.survey(&Sender { headers, origin: None, now }, Insist::No, None).credential()
    }

    /// Reads all credentials of a request; `answers` are those of the site, as far as it was asked.
    fn survey(&self, sender: &Sender<'_>, insist: Insist, answers: Option<&[Answer]>) -> Sum {
        let Sender { headers, now, .. } = *sender;
        let now = now.time;
        let mut sum = Sum::default();
        // The question about a session has come back: to answer it by asking would go round for ever.
        if self.asking.is_used() && headers.contains_key(ask::MARK) {
            return sum;
        }
        for front in &self.fronts {
            self.take_front(&mut sum, front, sender);
        }
        // Where no way reads tokens, a bearer token is another's business.
        match credential::authorization(headers).filter(|_| self.all != Ways::default()) {
            Some(Authorization::Bearer(token)) => self.take(&mut sum, self.all, token, now),
            Some(Authorization::Other(token)) => self.take_beside(&mut sum, &[token], now),
            Some(Authorization::Doubled(tokens)) => {
                sum.tries.refuse(self.all, Refusal::Doubled);
                sum.rejects();
                self.take_beside(&mut sum, &tokens, now);
            }
            None => {}
        }
        let mut in_pieces = false;
        for found in self.cookies.all(headers) {
            match found {
                Found::Whole(ways, value) => self.take(&mut sum, ways, value, now),
                Found::Piece => in_pieces = true,
            }
        }
        if in_pieces {
            for (ways, joined) in self.cookies.joined(headers) {
                match joined {
                    Some(value) => self.take(&mut sum, ways, &value, now),
                    None => {
                        sum.tries.refuse(ways, Refusal::Doubled);
                        sum.rejects();
                    }
                }
            }
        }
        self.asking.each(sender, insist, |way, session| match session {
            Ok((_, Some(verdict))) => sum.hears(verdict),
            Ok((session, None)) => {
                match answers.and_then(|answers| self.asking.answer(answers, &session, sender.now)) {
                    Some(verdict) => sum.hears(verdict),
                    None => sum.questions.push(session),
                }
            }
            Err(refusal) => {
                sum.tries.refused.push((way, refusal));
                sum.rejects();
            }
        });
        sum
    }

    /// Adds what a credential says, for the ways that read it.
    fn take(&self, sum: &mut Sum, ways: Ways, value: &[u8], now: Timestamp) {
        match self.verify(ways, value, now, &mut sum.tries) {
            Ok(principal) => sum.names(principal),
            Err(Invalid::Ambiguous) => sum.is_ambiguous = true,
            Err(Invalid::UnknownKey(_)) => {}
            Err(Invalid::Always(_)) => sum.rejects(),
        }
    }

    /// Adds what tokens say that count for nothing, and by which the site may go all the same.
    fn take_beside(&self, sum: &mut Sum, tokens: &[&[u8]], now: Timestamp) {
        let mut tries = Tries::default();
        sum.beside.extend(tokens.iter().filter_map(|token| self.verify(self.all, token, now, &mut tries).ok()));
    }

    /// Adds the word of a proxy in front.
    fn take_front(&self, sum: &mut Sum, front: &Front, sender: &Sender<'_>) {
        let said = front.value(sender.headers, sender.origin.as_ref()).and_then(|value| match (&front.holds, value) {
            (_, None) => Ok(()),
            (Holds::Token, Some(token)) => {
                self.take(sum, Ways::one(front.place), token, sender.now.time);
                Ok(())
            }
            (Holds::Account { prefix }, Some(value)) => {
                front::account(prefix, value).map(|account| sum.names(account.into()))
            }
        });
        if let Err(refusal) = said {
            sum.tries.refused.push((front.place, refusal));
            sum.rejects();
        }
    }

    /// The principal that a token names, or the check that it does not pass; keys that are published are there already.
    ///
    /// # Errors
    /// The check of each way, that of the one which the token fits best at the end.
    pub fn check(&self, token: &str, now: Timestamp) -> Result<Principal, Vec<(String, Refusal)>> {
        let readers = (0..self.ways.len()).map(Ways::one).fold(Ways::default(), |all, one| all | one);
        let mut tries = Tries::default();
        let nearest = match self.verify(readers, token.as_bytes(), now, &mut tries) {
            Ok(principal) => return Ok(principal),
            Err(invalid) => invalid.refusal(),
        };
        tries.refuse(tries.pending, Refusal::UnknownKey);
        tries.refused.sort_by_key(|(_, refusal)| *refusal == nearest);
        Err(tries
            .refused
            .into_iter()
            .map(|(place, refusal)| (self.refusals.source(place).to_owned(), refusal))
            .collect())
    }

    /// The principal that a credential names: remembered from before, or verified by each of the ways that read it.
    fn verify(&self, ways: Ways, value: &[u8], now: Timestamp, tries: &mut Tries) -> Result<Principal, Invalid> {
        if value.len() > TOKEN_BYTES_MAX {
            tries.refuse(ways, Refusal::TooLong);
            return Err(Invalid::Always(Refusal::TooLong));
        }
        // What one set of ways makes of it is nothing to another one.
        let digest = self.seen.digest(value) ^ u128::from(ways.bits());
        let generation = self.generation(ways);
        if let Some(principal) = self.seen.get(digest, generation, now) {
            return Ok(principal);
        }
        self.verify_anew(ways, value, now, tries).map(|verified| {
            let principal = verified.principal.clone();
            self.seen.remember(digest, Verified { generation, ..verified });
            principal
        })
    }

    /// Which sets of keys are in force.
    fn generation(&self, ways: Ways) -> u64 {
        ways.places().filter_map(|place| self.ways.get(place)).map(Reader::generation).fold(0, u64::wrapping_add)
    }

    #[cold]
    fn verify_anew(&self, ways: Ways, value: &[u8], now: Timestamp, tries: &mut Tries) -> Result<Verified, Invalid> {
        let (mut found, mut invalid): (Option<Verified>, Option<Invalid>) = (None, None);
        let mut refused: Vec<(usize, Invalid)> = Vec::new();
        for (place, way) in ways.places().filter_map(|place| Some((place, self.ways.get(place)?))) {
            match (way.verify(value, now, tries), found.take()) {
                (Ok(verified), Some(known)) => {
                    let Some(principal) = known.principal.and(&verified.principal) else {
                        tries.refuse(ways, Refusal::Ambiguous);
                        return Err(Invalid::Ambiguous);
                    };
                    // It is remembered for as long as all of them accept it.
                    found = Some(Verified { principal, expires: known.expires.min(verified.expires), ..verified });
                }
                (Ok(verified), None) => found = Some(verified),
                (Err(why), known) => {
                    found = known;
                    refused.push((place, why));
                }
            }
        }
        if let Some(found) = found {
            return Ok(found);
        }
        for (place, why) in refused {
            match why {
                // A newer set may have its key: nothing is refused yet.
                Invalid::UnknownKey(_) => tries.pending = tries.pending | Ways::one(place),
                _ => tries.refused.push((place, why.refusal())),
            }
            invalid = Some(invalid.map_or(why, |known| known.nearer(why)));
        }
        Err(invalid.unwrap_or(Invalid::Always(Refusal::Malformed)))
    }
}

#[cfg(test)]
mod tests;
