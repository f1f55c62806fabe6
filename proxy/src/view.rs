//! What the application is told of an account, as header values that are made once and sent many times.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use chrono::{Duration, SecondsFormat};
use entitlement::Timestamp;
use entitlement::assertion::{self, AssertionError, AssertionKey, Claims, LIFETIME_SECONDS};
use entitlement::timeline::{Plan, Segment};
use http::header::InvalidHeaderValue;
use http::{HeaderName, HeaderValue};
use quick_cache::sync::Cache;

use crate::headers;
use crate::identity::Principal;
use crate::ladder::BILLING_AUDIENCE;
use crate::routes::Destination;

/// Most accounts whose header values are kept. They are large beside a record, and cheap to make again.
const VIEWS_MAX: usize = 32_768;

/// The header values of one account, and of one user who acts for it, during one segment of its timeline, for half the life of their assertion.
#[derive(Debug)]
pub struct View {
    pub(crate) account: HeaderValue,
    /// The user who acts, where that is another than the account.
    pub(crate) user: Option<HeaderValue>,
    /// Absent when nobody could say.
    pub(crate) plan: Option<PlanView>,
    /// For the site.
    pub(crate) assertion: HeaderValue,
    /// All that the site is told, as lines of a head. The values above are parts of it.
    pub(crate) lines: Block,
    /// For billing; made when billing is first asked.
    billing: OnceLock<Option<HeaderValue>>,
    claims: Claims,
    from: Timestamp,
    until: Timestamp,
}

/// The part of a view that tells what the account may use.
#[derive(Debug)]
pub(crate) struct PlanView {
    pub(crate) tier: HeaderValue,
    pub(crate) status: HeaderValue,
    pub(crate) features: HeaderValue,
    pub(crate) valid_until: Option<HeaderValue>,
    of: Segment,
}

/// Why header values cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    #[error(transparent)]
    Assertion(#[from] AssertionError),
    #[error("a value cannot travel in a header")]
    Header(#[from] InvalidHeaderValue),
}

/// Makes views, and keeps them.
#[derive(Debug)]
pub struct Views {
    key: AssertionKey,
    issuer: String,
    /// Of the site.
    audience: String,
    kept: Cache<Principal, Arc<View>>,
}

impl Views {
    #[must_use]
    pub fn new(key: AssertionKey, issuer: String, audience: String) -> Self {
        Self { key, issuer, audience, kept: Cache::new(VIEWS_MAX) }
    }

    /// The view of an account in a segment of its timeline at `now`.
    ///
    /// # Errors
    /// When a value cannot be signed or cannot travel in a header.
    pub fn of(&self, principal: &Principal, segment: &Segment, now: Timestamp) -> Result<Arc<View>, ViewError> {
        if let Some(view) = self.kept.get(principal)
            && view.shows(segment, now)
        {
            return Ok(view);
        }
        let view = Arc::new(self.make(principal, Some(segment), now)?);
        self.kept.insert(principal.clone(), Arc::clone(&view));
        Ok(view)
    }

    /// The view of an account of which nobody can say what it has.
    ///
    /// # Errors
    /// As [`Views::of`].
    pub fn of_unresolved(&self, principal: &Principal, now: Timestamp) -> Result<Arc<View>, ViewError> {
        if let Some(view) = self.kept.get(principal)
            && view.plan.is_none()
            && view.holds(now)
        {
            return Ok(view);
        }
        let view = Arc::new(self.make(principal, None, now)?);
        self.kept.insert(principal.clone(), Arc::clone(&view));
        Ok(view)
    }

    fn make(&self, principal: &Principal, segment: Option<&Segment>, now: Timestamp) -> Result<View, ViewError> {
        let iat = now.timestamp();
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: principal.account.clone(),
            act: principal.user().map(|user| assertion::Actor { sub: user.clone() }),
            buyer: principal.is_buyer(),
            iat,
            exp: iat + LIFETIME_SECONDS,
            tier: segment.map(|segment| segment.plan.tier.to_string()),
            status: segment.map(|segment| segment.status.as_str().to_owned()),
            features: segment.map(|segment| features(&segment.plan)).unwrap_or_default(),
            valid_until: segment.and_then(|segment| segment.until).map(|until| until.timestamp()),
        };
        let half_life = now + Duration::seconds(LIFETIME_SECONDS / 2);
        let ends = segment.and_then(|segment| segment.until);
        // In one piece of memory: among thousands of accounts each is new to the processor's caches, and what lies
        // together is fetched together.
        let mut lines = Lines::default();
        let account = lines.add(&headers::ACCOUNT, principal.account.as_str());
        let user = principal.user().map(|user| lines.add(&headers::USER, user.as_str()));
        let plan = segment.map(|segment| {
            let tier = lines.add(&headers::TIER, &segment.plan.tier);
            let status = lines.add(&headers::STATUS, segment.status.as_str());
            let features = lines.add(&headers::FEATURES, &claims.features.join(","));
            let valid_until = segment
                .until
                .map(|until| lines.add(&headers::VALID_UNTIL, &until.to_rfc3339_opts(SecondsFormat::AutoSi, true)));
            (segment, tier, status, features, valid_until)
        });
        let assertion = lines.add(&headers::ASSERTION, &self.key.sign(&claims)?);
        let lines = Bytes::from(lines.0);
        let value = |range| HeaderValue::from_maybe_shared(lines.slice(range));
        let plan = plan.map(|(segment, tier, status, features, valid_until)| {
            Ok::<_, ViewError>(PlanView {
                tier: value(tier)?,
                status: value(status)?,
                features: value(features)?,
                valid_until: valid_until.map(value).transpose()?,
                of: segment.clone(),
            })
        });
        Ok(View {
            account: value(account)?,
            user: user.map(value).transpose()?,
            plan: plan.transpose()?,
            assertion: secret(value(assertion)?),
            lines: Block(lines.clone()),
            billing: OnceLock::new(),
            claims,
            from: now,
            until: ends.map_or(half_life, |ends| ends.min(half_life)),
        })
    }

    /// The assertion for whoever serves a request. None when it cannot be signed.
    #[must_use]
    pub fn assertion<'a>(&self, view: &'a View, destination: Destination) -> Option<&'a HeaderValue> {
        match destination {
            Destination::Site => Some(&view.assertion),
            Destination::Billing | Destination::Webhook => self.billing_assertion(view),
        }
    }

    /// Of the same moment as the one for the site.
    fn billing_assertion<'a>(&self, view: &'a View) -> Option<&'a HeaderValue> {
        let sign = || {
            let claims = Claims { aud: BILLING_AUDIENCE.to_owned(), ..view.claims.clone() };
            self.key.sign(&claims).ok().and_then(|token| HeaderValue::try_from(token).ok()).map(secret)
        };
        view.billing.get_or_init(sign).as_ref()
    }
}

impl View {
    /// Whether this is what would be made again.
    fn shows(&self, segment: &Segment, now: Timestamp) -> bool {
        let same = self.plan.as_ref().is_some_and(|plan| {
            Arc::ptr_eq(&plan.of.plan, &segment.plan)
                && plan.of.status == segment.status
                && plan.of.until == segment.until
        });
        same && self.holds(now)
    }

    /// Whether its assertion is in the first half of its life, and what it shows has not ended.
    fn holds(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }
}

fn features(plan: &Plan) -> Vec<String> {
    plan.features.iter().map(ToString::to_string).collect()
}

/// Lines of a head. One of them is an assertion, so `Debug` shows none.
#[derive(Clone)]
pub struct Block(Bytes);

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Block").finish_non_exhaustive()
    }
}

/// Lines of a head in the making.
#[derive(Default)]
struct Lines(String);

impl Lines {
    /// Adds a line. Returns where its value stands.
    fn add(&mut self, name: &HeaderName, value: &str) -> Range<usize> {
        self.0.extend([name.as_str(), ": "]);
        let start = self.0.len();
        self.0.extend([value, "\r\n"]);
        start..start + value.len()
    }
}

/// A value that no log shows.
fn secret(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

#[cfg(test)]
pub(crate) mod tests {
    use entitlement::account::AccountId;
    use entitlement::timeline::Status;

    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_timestamp(1_700_000_000 + second, 0).expect("in range")
    }

    fn views() -> Views {
        let key = AssertionKey::parse(SECRET).expect("a key");
        Views::new(key, "https://read.example".into(), "read.example".into())
    }

    fn principal(account: &str) -> Principal {
        AccountId::parse(account).expect("an id").into()
    }

    /// A view with everything in it.
    pub(crate) fn paid_view() -> Arc<View> {
        views().of(&principal("user-1"), &segment(Some(90)), at(0)).expect("a view")
    }

    fn segment(until: Option<i64>) -> Segment {
        let plan = Plan {
            tier: "paid".into(),
            includes: ["free".into(), "paid".into()].into(),
            features: ["alerts".into(), "archive".into()].into(),
            limits: Default::default(),
            levels: Default::default(),
        };
        Segment { until: until.map(at), status: Status::Trialing, plan: Arc::new(plan), sources: None }
    }

    #[test]
    fn a_view_says_what_holds_and_is_signed_for_each_reader() {
        let (views, account) = (views(), principal("üser 1"));
        let view = views.of(&account, &segment(Some(90)), at(0)).expect("a view");
        let plan = view.plan.as_ref().expect("a plan");
        assert_eq!(view.account.as_bytes(), "üser 1".as_bytes());
        assert_eq!(
            (&plan.tier, &plan.status),
            (&"paid".parse().expect("a value"), &"trialing".parse().expect("a value"))
        );
        assert_eq!(plan.features, "alerts,archive");
        assert_eq!(plan.valid_until.as_ref().expect("an end"), "2023-11-14T22:14:50Z");
        let line = |name: &str, value: &HeaderValue| [name.as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat();
        let lines = [
            line("x-entitlement-account", &view.account),
            line("x-entitlement-tier", &plan.tier),
            line("x-entitlement-status", &plan.status),
            line("x-entitlement-features", &plan.features),
            line("x-entitlement-valid-until", plan.valid_until.as_ref().expect("an end")),
            line("x-entitlement-assertion", &view.assertion),
        ];
        assert_eq!(view.lines.as_ref(), lines.concat());
        assert!(!format!("{view:?}").contains(view.assertion.to_str().expect("text")), "no log shows an assertion");
        let billing = views.billing_assertion(&view).expect("it signs");
        for (token, audience) in [(&view.assertion, "read.example"), (billing, BILLING_AUDIENCE)] {
            let token = token.to_str().expect("text");
            let claims = views.key.verify(token, "https://read.example", audience, at(59)).expect("it verifies");
            assert_eq!((claims.sub, claims.tier), (account.account.clone(), Some("paid".into())));
            assert_eq!((claims.act, claims.buyer), (None, true));
            assert_eq!((claims.exp - claims.iat, claims.valid_until), (60, Some(at(90).timestamp())));
        }
    }

    #[test]
    fn users_of_one_account_have_views_of_their_own() {
        let (views, open) = (views(), segment(None));
        let of = |user: &str, is_buyer| {
            let user = AccountId::parse(user).expect("an id");
            let principal = Principal::acting(principal("acme").account, user, is_buyer);
            views.of(&principal, &open, at(0)).expect("a view")
        };
        let (ada, bob) = (of("ada", true), of("bob", false));
        let alone = views.of(&principal("acme"), &open, at(0)).expect("a view");
        assert!(Arc::ptr_eq(&ada, &of("ada", true)), "made once for many requests");
        assert!(!Arc::ptr_eq(&ada, &of("ada", false)), "a right that ends is seen at once");
        let told = |view: &View| {
            let token = views.billing_assertion(view).and_then(|token| token.to_str().ok()).expect("it signs");
            let claims = views.key.verify(token, "https://read.example", BILLING_AUDIENCE, at(1)).expect("it verifies");
            let user = view.user.as_ref().map(|user| user.to_str().expect("text").to_owned());
            assert_eq!(claims.user().map(ToString::to_string), user, "the header and the assertion name the same");
            let lines = String::from_utf8_lossy(view.lines.as_ref()).into_owned();
            assert_eq!(lines.contains("x-entitlement-user: "), user.is_some(), "{lines}");
            (claims.sub.to_string(), user, claims.buyer)
        };
        assert_eq!(told(&ada), ("acme".to_owned(), Some("ada".to_owned()), true));
        assert_eq!(told(&bob), ("acme".to_owned(), Some("bob".to_owned()), false));
        assert_eq!(told(&alone), ("acme".to_owned(), None, true));
    }

    #[test]
    fn a_value_that_would_begin_a_line_makes_no_view() {
        let mut odd = segment(None);
        let plan = Plan { tier: "paid\r\nx-entitlement-tier: enterprise".into(), ..Plan::clone(&odd.plan) };
        odd.plan = Arc::new(plan);
        assert!(matches!(views().of(&principal("a"), &odd, at(0)), Err(ViewError::Header(_))));
    }

    #[test]
    fn a_view_is_kept_for_half_a_life_unless_what_it_shows_ends() {
        let (views, account) = (views(), principal("a"));
        let open = segment(None);
        let first = views.of(&account, &open, at(0)).expect("a view");
        let kept =
            |segment: &Segment, second| Arc::ptr_eq(&first, &views.of(&account, segment, at(second)).expect("a view"));
        assert!(kept(&open, 29));
        let ending = Segment { until: Some(at(10)), ..open.clone() };
        let short = views.of(&account, &ending, at(0)).expect("a view");
        assert!(!Arc::ptr_eq(&short, &views.of(&account, &ending, at(10)).expect("a view")), "the segment is over");
        assert!(!kept(&open, 30), "the assertion is at half its life");
        let other = Segment { status: Status::Active, ..open };
        assert_eq!(views.of(&account, &other, at(30)).expect("a view").plan.as_ref().expect("a plan").status, "active");
    }

    #[test]
    fn of_an_unresolved_account_only_its_id_is_told() {
        let (views, account) = (views(), principal("a"));
        let view = views.of_unresolved(&account, at(0)).expect("a view");
        assert!(view.plan.is_none());
        let token = view.assertion.to_str().expect("text");
        let claims = views.key.verify(token, "https://read.example", "read.example", at(1)).expect("it verifies");
        assert_eq!((claims.tier, claims.status, claims.features), (None, None, Vec::new()));
        let again = |second| views.of_unresolved(&account, at(second)).expect("a view");
        assert!(Arc::ptr_eq(&view, &again(29)), "signed once for many requests");
        assert!(!Arc::ptr_eq(&view, &again(30)));
        let known = views.of(&account, &segment(None), at(31)).expect("a view");
        assert!(known.plan.is_some(), "as soon as somebody can say");
    }
}
