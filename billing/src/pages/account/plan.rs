//! The plan in words: its name, its state, its next date, and what can be done about it.

use entitlement::Timestamp;
use entitlement::catalog::{Cadence, Price, Provider};
use entitlement::subscription::{State, Subscription, SubscriptionId, WayBack, Withheld};
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
    /// What ending the subscriptions means, and when they end then.
    pub cancel_text: String,
}

/// A trial that runs.
#[derive(Clone, Debug)]
pub struct Trial {
    pub left: String,
    /// Days in all, and days that are left: for a bar.
    pub days: i64,
    pub remaining: i64,
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
    /// Names the bill that is open, by the date that it has among the invoices, where a payment failed.
    pub fn with_open_bill(mut self, texts: &Texts, date: Option<&str>) -> Self {
        // Access that ends all the same is told of a payment that failed alone.
        if let (Some(warning), Some(date)) = (self.warning.as_mut().filter(|warning| warning.until.is_some()), date) {
            warning.text = fill(&texts.account.failed, &[("date", date)]);
        }
        self
    }

    /// Whether the warning has a button: the others then stand back.
    pub fn has_way_back(&self) -> bool {
        self.warning.as_ref().is_some_and(|warning| warning.way_back != WayBack::Wait)
    }

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
        let mut bought =
            live.iter().map(|live| live.subscription).chain(unsettled.map(|(subscription, _)| subscription));
        let (warned, warning) =
            bought.find_map(|subscription| Some((&subscription.id, warning(texts, subscription, standing)?))).unzip();
        let way_back = warning.as_ref().map(|warning| warning.way_back);
        let told = |subscription: &Subscription| warned == Some(&subscription.id);
        Self {
            cancel_text: cancel_text(texts, standing, now),
            tier_name: tier.map_or_else(|| tier_code.clone(), |tier| tier.name.clone()),
            tier_code,
            status_code: segment.status.as_str(),
            status: match segment.status {
                Status::None if has_none && standing.addons(now).next().is_some() => texts.account.no_plan.clone(),
                Status::None => without_access(texts, standing, (warned, has_none)),
                status => in_words(texts, status),
            },
            trial: live.iter().find_map(|live| trial(texts, live, standing, now)),
            warning,
            actions: if is_incomplete { Actions::Manage } else { actions(running, sellers, way_back) },
            subscriptions: live
                .iter()
                .map(|live| {
                    let is_told = told(live.subscription);
                    line(texts, &live.tier.name, live.price, (live.subscription, standing, is_told))
                })
                .chain(standing.unnamed(now).map(|subscription| unnamed(texts, subscription)))
                .collect(),
            addons: addons(texts, standing, now),
        }
    }
}

/// All are ended, or none: who goes on paying for one must not think otherwise. Where access comes back by another button, that one stands
/// alone: letting a paused subscription go on takes its end back, and what is bought again is not kept.
fn actions<'a>(
    running: impl Iterator<Item = &'a Subscription>,
    sellers: &[Provider],
    way_back: Option<WayBack>,
) -> Actions {
    let running: Vec<&Subscription> = running.collect();
    if running.is_empty() {
        Actions::Choose
    } else if !running.iter().all(|subscription| sellers.contains(&subscription.id.provider)) {
        Actions::Manage
    } else if running.iter().all(|subscription| subscription.cancel_at.is_some()) {
        match way_back {
            Some(WayBack::Resume | WayBack::BuyAgain) => Actions::Manage,
            Some(WayBack::UpdateCard | WayBack::Wait) | None => Actions::Keep,
        }
    } else {
        Actions::End
    }
}

/// The state of a plan that gives nothing: a subscription that goes on is not called none.
fn without_access(texts: &Texts, standing: &Standing, (warned, has_none): (Option<&SubscriptionId>, bool)) -> String {
    let texts = &texts.account;
    let text = match warned.and_then(|id| standing.withheld(id)) {
        Some(Withheld::Unpaid | Withheld::PastDue | Withheld::Incomplete) => &texts.past_due,
        Some(Withheld::Paused) => &texts.on_pause,
        Some(Withheld::CustomerGone) => &texts.none,
        Some(
            Withheld::Refunded
            | Withheld::DisputeLost
            | Withheld::Disputed
            | Withheld::NotRenewed
            | Withheld::UnknownStatus,
        ) => &texts.no_access,
        None if has_none => &texts.none,
        None => &texts.no_access,
    };
    text.clone()
}

/// What is said before all that runs is ended: with the last of its days, where each has one.
fn cancel_text(texts: &Texts, standing: &Standing, now: Timestamp) -> String {
    let live = standing.live(now);
    let ends = live.iter().map(|live| match (live.subscription.cancel_at, live.subscription.state) {
        (Some(end), _) | (None, State::Trialing { ends_at: end }) => Some(end),
        (None, State::Active { paid_until }) => Some(live.subscription.price_paid_until(&live.price.id, paid_until?)),
        (None, _) => None,
    });
    let last = ends.collect::<Option<Vec<_>>>().and_then(|ends| ends.into_iter().max());
    match last.filter(|_| standing.unnamed(now).next().is_none()) {
        Some(end) => fill(&texts.account.cancel_on, &[("date", &texts.day(end))]),
        None => texts.account.cancel_text.clone(),
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

fn trial(texts: &Texts, live: &Live<'_>, standing: &Standing, now: Timestamp) -> Option<Trial> {
    let State::Trialing { ends_at } = live.subscription.state else { return None };
    if standing.withheld(&live.subscription.id).is_some() {
        return None;
    }
    let left = days_left(ends_at - now);
    let days = days_left(ends_at - live.subscription.started_at).max(left).max(1);
    let text = fill(&texts.account.trial_left, &[("days", &texts.days(left))]);
    Some(Trial { left: text, days, remaining: left })
}

/// Why a subscription gives nothing, in a sentence.
fn reason(texts: &Texts, withheld: Withheld, subscription: &Subscription) -> String {
    let own = &texts.account;
    match (withheld, subscription.cancel_at) {
        (Withheld::CustomerGone, _) => own.customer_gone.clone(),
        (Withheld::Refunded, _) => own.refunded.clone(),
        (Withheld::DisputeLost, _) => own.dispute_lost.clone(),
        (Withheld::Disputed, _) => own.disputed.clone(),
        (Withheld::Paused, Some(end)) => fill(&own.paused_ending, &[("date", &texts.day(end))]),
        (Withheld::Paused, None) => own.paused_text.clone(),
        (Withheld::NotRenewed, _) => own.not_renewed.clone(),
        (Withheld::UnknownStatus, _) => own.unknown_status.clone(),
        (Withheld::Incomplete, _) => own.incomplete.clone(),
        (Withheld::Unpaid | Withheld::PastDue, _) => own.unpaid.clone(),
    }
}

fn warning(texts: &Texts, subscription: &Subscription, standing: &Standing) -> Option<Warning> {
    let own = &texts.account;
    let withheld = standing.withheld(&subscription.id);
    let text = match (withheld, subscription.state) {
        (Some(withheld), _) if withheld.way_back() == WayBack::BuyAgain => {
            let is_over = subscription.cancel_at.is_some() || subscription.is_ended();
            let next = if is_over { &own.buy_over } else { &own.buy_or_cancel };
            format!("{} {next}", reason(texts, withheld, subscription))
        }
        (Some(withheld), _) => reason(texts, withheld, subscription),
        (None, State::PastDue { since }) => fill(&own.failed, &[("date", &texts.day(since))]),
        (None, State::Unpaid) => own.unpaid.clone(),
        (None, _) => return None,
    };
    let way_back = withheld.map_or(WayBack::UpdateCard, Withheld::way_back);
    let has_access = standing.segment.status != Status::None;
    let title = match way_back {
        WayBack::UpdateCard => &own.failed_title,
        // Something else gives access.
        _ if has_access => &own.beside_title,
        WayBack::BuyAgain | WayBack::Resume | WayBack::Wait => &own.withheld_title,
    };
    let until = standing.segment.until.filter(|_| withheld.is_none() && standing.segment.status == Status::PastDue);
    let until = until.map(|until| fill(&own.access_until, &[("date", &texts.day(until))]));
    Some(Warning { title: title.clone(), text, way_back, until })
}

fn addons(texts: &Texts, standing: &Standing, now: Timestamp) -> Vec<Line> {
    let held = standing.held_addons(now).filter_map(|(addon, subscription)| {
        let price = subscription.prices.iter().find_map(|id| addon.prices.iter().find(|price| price.id == *id))?;
        Some(line(texts, &addon.name, price, (subscription, standing, false)))
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

/// The subscription in a line; `is_told` when the warning says already why it gives nothing.
fn line(
    texts: &Texts,
    name: &str,
    price: &Price,
    (subscription, standing, is_told): (&Subscription, &Standing, bool),
) -> Line {
    let own = &texts.account;
    let with = match price.cadence {
        Cadence::Monthly => &texts.common.monthly,
        Cadence::Annual => &texts.common.annual,
    };
    let id = price.id.as_str();
    let price = fill(with, &[("amount", &texts.common.locale.price(price))]);
    let dated = |text: &str, at: Timestamp| fill(text, &[("date", &texts.day(at)), ("price", &price)]);
    let withheld = standing.withheld(&subscription.id);
    let is_paused = subscription.collection_paused || subscription.state == State::Paused;
    let what = match (withheld, subscription.state, subscription.cancel_at) {
        // No payment is promised for what gives nothing.
        (Some(withheld), _, Some(end)) if !is_told && withheld != Withheld::Paused => {
            format!("{} {}", reason(texts, withheld, subscription), dated(&own.ends, end))
        }
        (Some(withheld), ..) if !is_told => reason(texts, withheld, subscription),
        (_, _, Some(end)) if is_paused => format!("{} {}", own.paused, dated(&own.ends, end)),
        _ if is_paused => own.paused.clone(),
        (_, _, Some(end)) => dated(&own.ends, end),
        // The warning says the rest.
        (Some(_), ..) | (_, State::PastDue { .. } | State::Unpaid, _) => String::new(),
        (_, State::Trialing { ends_at }, None) => {
            return Line { name: name.to_owned(), line: dated(&own.trial_then, ends_at) };
        }
        (_, State::Active { paid_until: Some(end) }, None) => {
            dated(&own.next_payment, subscription.price_paid_until(id, end))
        }
        _ => String::new(),
    };
    let is_free = matches!(subscription.state, State::Trialing { .. }) && withheld.is_none() && !is_paused;
    let line = if is_free { what } else { format!("{price}. {what}").trim_end().to_owned() };
    Line { name: name.to_owned(), line }
}
