//! By which claims accounts are named: what is in force, although the configuration says otherwise, until a person agrees.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use billing::Billing;
use entitlement::naming::Names;
use prometheus::{IntGauge, register_int_gauge};
use proxy::Control;
use proxy::identity::{Claim, Keys, Settings};

use crate::admin::Ready;

/// How long readiness warns that sessions are not taken any more: whoever has to sign in again soon has.
const WARNED: Duration = Duration::from_secs(3600);

/// Names accounts as `names` say, where the way of signing in is there; `wanted` are the names of the configuration.
pub fn keep(settings: &mut Settings, names: &Names, wanted: &Names) {
    for way in &mut settings.ways {
        let Some(named) = names.of(&way.name, wanted) else { continue };
        let claims: Result<Vec<Claim>, _> = named.account.iter().map(|claim| claim.parse()).collect();
        match (&way.keys, claims) {
            // The account stands in a header, whatever claims there are.
            (Keys::Unsigned, _) => {}
            (_, Ok(claims)) if !claims.is_empty() => way.account = claims,
            _ => continue,
        }
        way.prefix.clone_from(&named.prefix);
    }
}

/// Waits until accounts are named otherwise than is known: billing of this process says so, or that which the proxy asks.
pub async fn change(billing: Option<&Billing>, control: &Control, known: Option<&Names>) -> Option<Names> {
    match billing {
        Some(billing) => billing.names_change(known).await,
        None => control.names_change(known).await,
    }
}

/// How a proxy without billing names accounts: as billing says, whatever its own configuration does.
#[derive(Clone, Default)]
pub struct Kept {
    gate: Option<Control>,
    /// The same as billing's, by the same name.
    gauge: Option<IntGauge>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// By which claims accounts are named here, as far as billing has said so.
    in_force: Option<Names>,
    /// The difference to the configuration.
    warning: Option<String>,
    /// The ways of signing in whose sessions are not taken any more, and since when.
    signed_out: Vec<String>,
    signed_out_at: Option<Instant>,
}

impl Kept {
    /// None where billing runs in the same process, which is asked and warns itself.
    pub fn of(gate: Option<Control>) -> Self {
        let gauge = gate.as_ref().and_then(|_| {
            let registered = register_int_gauge!("tollgate_names_held_back", billing::NAMES_HELD_BACK);
            registered.inspect_err(|error| tracing::error!(%error, "a metric of the proxy cannot be registered")).ok()
        });
        Self { gate, gauge, state: Arc::default() }
    }

    /// Notes what is in force here from now on, and what the configuration says.
    pub fn note(&self, in_force: Option<&Names>, wanted: &Names) {
        let lost = in_force.map(|in_force| (in_force, in_force.lost_by(wanted))).filter(|(_, lost)| !lost.is_nothing());
        let warning =
            lost.map(|(in_force, lost)| billing::names_held_back(&in_force.to_string(), &wanted.to_string(), &lost));
        if let Some(gauge) = &self.gauge {
            gauge.set(i64::from(warning.is_some()));
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.gate.is_some() && state.warning != warning {
            match &warning {
                Some(why) => tracing::error!(why, "other names of accounts are held back"),
                None => tracing::info!("accounts are named as the configuration says"),
            }
            state.warning = warning;
        }
        state.in_force = in_force.cloned();
    }

    /// Notes which sessions of those that `before` took are not taken `now`: everybody is signed out, which somebody may not have meant.
    pub fn note_sessions(&self, before: Option<&Names>, now: &Names) {
        let signed_out = before.map(|before| before.signed_out_by(now)).unwrap_or_default();
        if signed_out.is_empty() {
            return;
        }
        for warning in &signed_out {
            tracing::warn!(warning, "sessions are not taken any more");
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.signed_out, state.signed_out_at) = (signed_out, Some(Instant::now()));
    }
}

#[async_trait]
impl Ready for Kept {
    async fn missing(&self) -> Vec<String> {
        let told = self.gate.as_ref().and_then(Control::names);
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_behind = told.is_some() && told != state.in_force;
        is_behind.then(|| "accounts are not named yet as billing says".to_owned()).into_iter().collect()
    }

    async fn warnings(&self) -> Vec<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = state.signed_out_at.is_some_and(|at| at.elapsed() < WARNED);
        let signed_out = if is_recent { state.signed_out.as_slice() } else { &[] };
        state.warning.iter().chain(signed_out).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use entitlement::naming::Named;
    use proxy::identity::Way;

    use super::*;

    #[test]
    fn the_claims_in_force_are_kept_for_a_way_that_is_there() {
        let way = |name: &str, prefix: &str| {
            let keys = Keys::Fixed(Vec::new());
            let way = Way::simple(None, ("https://id.example", "read.example"), Duration::ZERO, keys);
            Way { name: name.to_owned(), prefix: prefix.to_owned(), ..way }
        };
        let named = |way: &str, prefix: &str, account: &str| Named {
            way: way.to_owned(),
            prefix: prefix.to_owned(),
            account: vec![account.to_owned()],
            verified: None,
        };
        let shown = |ways: Vec<Way>, names: Vec<Named>| {
            let mut settings = Settings { ways, buyers: Vec::new() };
            let wanted = settings.ways.iter().map(|way| named(&way.name, &way.prefix, "sub")).collect();
            keep(&mut settings, &Names::new(names), &Names::new(wanted));
            let shown = |way: &Way| {
                format!("{}{}", way.prefix, way.account.iter().map(ToString::to_string).collect::<String>())
            };
            settings.ways.iter().map(shown).collect::<Vec<_>>()
        };
        let one = || vec![named("a", "o:", "/org/id")];
        assert_eq!(shown(vec![way("a", "")], one()), ["o:/org/id"]);
        assert_eq!(shown(vec![way("b", "")], one()), ["o:/org/id"], "the only one");
        assert_eq!(shown(vec![way("b", "b:"), way("c", "c:")], one()), ["b:sub", "c:sub"]);
        assert_eq!(shown(vec![way("b", "b:"), way("a", "a:")], one()), ["b:sub", "o:/org/id"]);
        let unsigned = Way { keys: Keys::Unsigned, ..way("a", "") };
        assert_eq!(shown(vec![unsigned], vec![named("a", "o:", "header x-user")]), ["o:sub"]);
        assert_eq!(shown(vec![way("a", "a:")], vec![Named { account: Vec::new(), ..named("a", "o:", "") }]), ["a:sub"]);
    }
}
