//! The plan in words: its name, its state, its next date, and what can be done about it.

use entitlement::Timestamp;
use entitlement::catalog::{Cadence, Price, Provider};
use entitlement::subscription::{State, Subscription, WayBack, Withheld};
use entitlement::timeline::Status;

use crate::api::standing::{Live, Standing};
use crate::pages::look::{Texts, days_left, fill};

/// What an account has, and what it can do about it.
#[derive(Clone, Debug)]
pub struct Plan {
    pub tier_code: String,
    pub tier_name: String,
    pub status_code: &'static str,
    pub status: String,
    pub trial: Option<Trial>,
    /// What has to be done for access to stay.
    pub warning: Option<Warning>,
    pub subscriptions: Vec<Line>,
    /// What is paid for beside the tiers.
    pub addons: Vec<Line>,
    pub actions: Actions,
}

/// A trial that runs.
#[derive(Clone, Debug)]
pub struct Trial {
    pub left: String,
    /// Days in all, and days that are over: for a bar.
    pub days: i64,
    pub past: i64,
}

/// A payment is missing, or something else takes access.
#[derive(Clone, Debug)]
pub struct Warning {
    pub title: String,
    pub text: String,
    /// What the visitor can do about it.
    pub way_back: WayBack,
    /// Until when there is access all the same.
    pub until: Option<String>,
}

/// A subscription in one line.
#[derive(Clone, Debug)]
pub struct Line {
    pub name: String,
    pub line: String,
}

/// What can be done about the subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actions {
    /// There is none: choose a plan.
    Choose,
    /// Manage them, and end them.
    End,
    /// Manage them, and take their end back.
    Keep,
    /// Manage them: one of them is of a provider that cannot be asked.
    Manage,
}

impl Plan {
    /// `sellers` are the providers that can be asked.
    pub fn of(texts: &Texts, standing: &Standing, sellers: &[Provider], now: Timestamp) -> Self {
        let segment = &standing.segment;
        let tier_code = segment.plan.tier.to_string();
        let live = standing.live(now);
        let tier = standing.catalog().tier(&tier_code);
        // A subscription that runs says more than one that does not.
        let has_none = live.is_empty() && standing.unnamed(now).next().is_none();
        let unsettled = standing.unsettled().filter(|_| has_none && segment.status == Status::None);
        let is_incomplete = unsettled.is_some_and(|(_, withheld)| withheld == Withheld::Incomplete);
        let running = live.iter().map(|live| live.subscription).chain(standing.unnamed(now));
        Self {
            tier_name: tier.map_or_else(|| tier_code.clone(), |tier| tier.name.clone()),
            tier_code,
            status_code: segment.status.as_str(),
            status: in_words(texts, if is_incomplete { Status::PastDue } else { segment.status }),
            trial: live.iter().find_map(|live| trial(texts, live, now)),
            warning: live
                .iter()
                .map(|live| live.subscription)
                .chain(unsettled.map(|(subscription, _)| subscription))
                .find_map(|subscription| warning(texts, subscription, standing)),
            actions: if is_incomplete { Actions::Manage } else { actions(running, sellers) },
            subscriptions: live
                .iter()
                .map(|live| line(texts, &live.tier.name, live.price, (live.subscription, standing)))
                .chain(standing.unnamed(now).map(|subscription| unnamed(texts, subscription)))
                .collect(),
            addons: addons(texts, standing, now),
        }
    }
}

/// All are ended, or none: who goes on paying for one must not think otherwise.
fn actions<'a>(running: impl Iterator<Item = &'a Subscription>, sellers: &[Provider]) -> Actions {
    let running: Vec<&Subscription> = running.collect();
    if running.is_empty() {
        Actions::Choose
    } else if !running.iter().all(|subscription| sellers.contains(&subscription.id.provider)) {
        Actions::Manage
    } else if running.iter().all(|subscription| subscription.cancel_at.is_some()) {
        Actions::Keep
    } else {
        Actions::End
    }
}

fn in_words(texts: &Texts, status: Status) -> String {
    let texts = &texts.account;
    let text = match status {
        Status::Active => &texts.active,
        Status::Trialing => &texts.trialing,
        Status::Canceling => &texts.canceling,
        Status::PastDue => &texts.past_due,
        Status::Credit => &texts.credit,
        Status::None => &texts.none,
    };
    text.clone()
}

fn trial(texts: &Texts, live: &Live<'_>, now: Timestamp) -> Option<Trial> {
    let State::Trialing { ends_at } = live.subscription.state else { return None };
    let left = days_left(ends_at - now);
    let days = days_left(ends_at - live.subscription.started_at).max(left).max(1);
    let text = fill(&texts.account.trial_left, &[("days", &texts.days(left))]);
    Some(Trial { left: text, days, past: days - left })
}

fn warning(texts: &Texts, subscription: &Subscription, standing: &Standing) -> Option<Warning> {
    let own = &texts.account;
    let withheld = standing.withheld(&subscription.id);
    let text = match (withheld, subscription.state) {
        (Some(Withheld::CustomerGone), _) => own.customer_gone.clone(),
        (Some(Withheld::Refunded), _) => own.refunded.clone(),
        (Some(Withheld::DisputeLost), _) => own.dispute_lost.clone(),
        (Some(Withheld::Disputed), _) => own.disputed.clone(),
        (Some(Withheld::Paused), _) => own.paused_text.clone(),
        (Some(Withheld::NotRenewed), _) => own.not_renewed.clone(),
        (Some(Withheld::UnknownStatus), _) => own.unknown_status.clone(),
        (Some(Withheld::Incomplete), _) => own.incomplete.clone(),
        (Some(Withheld::Unpaid | Withheld::PastDue), _) | (None, State::Unpaid) => own.unpaid.clone(),
        (_, State::PastDue { since }) => fill(&own.failed, &[("date", &texts.day(since))]),
        (None, _) => return None,
    };
    let way_back = withheld.map_or(WayBack::UpdateCard, Withheld::way_back);
    let title = match way_back {
        WayBack::UpdateCard => &own.failed_title,
        WayBack::BuyAgain | WayBack::Resume | WayBack::Wait => &own.withheld_title,
    };
    let until = standing.segment.until.filter(|_| standing.segment.status == Status::PastDue);
    let until = until.map(|until| fill(&own.access_until, &[("date", &texts.day(until))]));
    Some(Warning { title: title.clone(), text, way_back, until })
}

fn addons(texts: &Texts, standing: &Standing, now: Timestamp) -> Vec<Line> {
    let held = standing.held_addons(now).filter_map(|(addon, subscription)| {
        let price = subscription.prices.iter().find_map(|id| addon.prices.iter().find(|price| price.id == *id))?;
        Some(line(texts, &addon.name, price, (subscription, standing)))
    });
    held.collect()
}

/// One whose price the catalog does not name: what it is called and costs is not known here.
fn unnamed(texts: &Texts, subscription: &Subscription) -> Line {
    let dated = |text: &str, at: Timestamp| fill(text, &[("date", &texts.day(at))]);
    let line = match (subscription.state, subscription.cancel_at) {
        (_, Some(end)) => dated(&texts.account.ends, end),
        (State::Paused, None) => texts.account.paused.clone(),
        (State::Active { paid_until: Some(at) } | State::Trialing { ends_at: at }, None) => {
            dated(&texts.account.next_payment, at)
        }
        (_, None) => String::new(),
    };
    Line { name: texts.account.unnamed.clone(), line }
}

fn line(texts: &Texts, name: &str, price: &Price, (subscription, standing): (&Subscription, &Standing)) -> Line {
    let with = match price.cadence {
        Cadence::Monthly => &texts.common.monthly,
        Cadence::Annual => &texts.common.annual,
    };
    let id = price.id.as_str();
    let price = fill(with, &[("amount", &texts.common.locale.price(price))]);
    let dated = |text: &str, at: Timestamp| fill(text, &[("date", &texts.day(at)), ("price", &price)]);
    let line = match (subscription.state, subscription.cancel_at) {
        // No payment is promised for what gives nothing: the warning says the rest.
        _ if standing.withheld(&subscription.id).is_some_and(|withheld| withheld != Withheld::Paused) => {
            format!("{price}.")
        }
        _ if subscription.collection_paused => format!("{price}. {}", texts.account.paused),
        (State::Trialing { .. }, Some(end)) => dated(&texts.account.ends, end),
        (State::Trialing { ends_at }, None) => dated(&texts.account.trial_then, ends_at),
        (State::Paused, _) => format!("{price}. {}", texts.account.paused),
        // The warning says the rest.
        (State::PastDue { .. } | State::Unpaid, _) => format!("{price}."),
        (_, Some(end)) => format!("{price}. {}", dated(&texts.account.ends, end)),
        (State::Active { paid_until: Some(end) }, None) => {
            format!("{price}. {}", dated(&texts.account.next_payment, subscription.price_paid_until(id, end)))
        }
        (_, None) => format!("{price}."),
    };
    Line { name: name.to_owned(), line }
}
