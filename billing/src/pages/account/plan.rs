//! The plan in words: its name, its state, its next date, and what can be done about it.

use entitlement::Timestamp;
use entitlement::catalog::{Cadence, Price, Provider};
use entitlement::subscription::{State, Subscription, SubscriptionId, WayBack, Withheld};
use entitlement::timeline::Status;

use super::ends::End;
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
    /// That another account pays for something of it.
    pub elsewhere: Option<String>,
    pub actions: Actions,
    /// The subscriptions that a button ends.
    pub ends: Vec<End>,
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
pub struct Actions {
    /// Whether there is none, so that a plan can be chosen.
    pub choose: bool,
    /// Whether a portal has something to manage.
    pub manage: bool,
    pub change: Change,
}

/// The changes to the subscriptions that buttons offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing: there is none, or one of them is of a provider that cannot be asked.
    None,
    /// A subscription that goes on can be ended.
    End,
    /// The end of one is taken back.
    Keep,
    /// Either.
    EndOrKeep,
}

impl Change {
    pub const fn ends(self) -> bool {
        matches!(self, Self::End | Self::EndOrKeep)
    }

    pub const fn keeps(self) -> bool {
        matches!(self, Self::Keep | Self::EndOrKeep)
    }
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
        self.warning.as_ref().is_some_and(|warning| !matches!(warning.way_back, WayBack::Wait | WayBack::PayInvoice))
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
        let mut bought = live
            .iter()
            .map(|live| live.subscription)
            .chain(unsettled.map(|(subscription, _)| subscription))
            .chain(standing.unnamed(now));
        let warn = |subscription| Some((subscription, warning(texts, subscription, (standing, now))?));
        let (warned, warning): (Option<&Subscription>, _) = bought.find_map(warn).unzip();
        let warned = warned.map(|subscription| &subscription.id);
        let told = |subscription: &Subscription| warned == Some(&subscription.id);
        Self {
            ends: End::of(texts, standing, now),
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
            elsewhere: standing.has_any_elsewhere(now).then(|| texts.account.elsewhere.clone()),
            actions: actions(standing, (sellers, is_incomplete), now),
            subscriptions: live
                .iter()
                .map(|live| {
                    let is_told = told(live.subscription);
                    line(
                        texts,
                        &live.tier.name,
                        live.price,
                        (live.subscription, standing.withheld(&live.subscription.id), is_told),
                    )
                })
                .chain(standing.unnamed(now).map(|subscription| unnamed(texts, subscription)))
                .collect(),
            addons: addons(texts, standing, now),
        }
    }
}

/// Nothing is offered where one of them cannot be ended: a buyer who goes on paying for it must not think otherwise. A pause ends by a button of its own, and a price that is
/// bought again is not kept.
fn actions(standing: &Standing, (sellers, is_incomplete): (&[Provider], bool), now: Timestamp) -> Actions {
    let running = standing.live(now).into_iter().map(|live| live.subscription).chain(standing.unnamed(now));
    let running: Vec<&Subscription> = running.collect();
    let choose = running.is_empty() && !is_incomplete;
    let has_addons = standing.addons(now).next().is_some();
    let can_ask = running.iter().all(|subscription| sellers.contains(&subscription.id.provider));
    let ends = running.iter().any(|subscription| subscription.cancel_at.is_none());
    let is_paused = |subscription: &Subscription| standing.way_back(subscription, now) == Some(WayBack::Resume);
    let keeps = standing.to_go_on(now).is_some_and(|own| own.cancel_at.is_some() && !is_paused(own))
        && standing.to_keep(now).is_some();
    let change = match (can_ask, ends, keeps) {
        (true, true, true) => Change::EndOrKeep,
        (true, true, false) => Change::End,
        (true, false, true) => Change::Keep,
        (false, ..) | (true, false, false) => Change::None,
    };
    Actions { choose, manage: standing.has_portal && (!choose || has_addons), change }
}

/// The state of a plan that gives nothing: a subscription that goes on is not called none.
fn without_access(texts: &Texts, standing: &Standing, (warned, has_none): (Option<&SubscriptionId>, bool)) -> String {
    let texts = &texts.account;
    let text = match warned.and_then(|id| standing.withheld(id)) {
        Some(Withheld::WrittenOff | Withheld::Unpaid | Withheld::PastDue | Withheld::Incomplete) => &texts.past_due,
        Some(Withheld::Paused) => &texts.on_pause,
        Some(Withheld::CustomerGone) => &texts.none,
        Some(
            Withheld::Refunded
            | Withheld::DisputeLost
            | Withheld::UnknownPrice
            | Withheld::Disputed
            | Withheld::NotRenewed
            | Withheld::UnknownStatus,
        ) => &texts.no_access,
        None if has_none => &texts.none,
        None => &texts.no_access,
    };
    text.clone()
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
        (Withheld::UnknownPrice, _) => own.unknown_price.clone(),
        (Withheld::Paused, Some(end)) => fill(&own.paused_ending, &[("date", &texts.day(end))]),
        (Withheld::Paused, None) => match subscription.resumes_at {
            Some(at) => fill(&own.paused_until, &[("date", &texts.day(at))]),
            None => own.paused_text.clone(),
        },
        (Withheld::NotRenewed, _) => own.not_renewed.clone(),
        (Withheld::UnknownStatus, _) => own.unknown_status.clone(),
        (Withheld::Incomplete, _) => own.incomplete.clone(),
        (Withheld::WrittenOff, _) => own.written_off.clone(),
        (Withheld::Unpaid | Withheld::PastDue, _) => own.unpaid.clone(),
    }
}

fn warning(texts: &Texts, subscription: &Subscription, (standing, now): (&Standing, Timestamp)) -> Option<Warning> {
    let own = &texts.account;
    let withheld = standing.withheld(&subscription.id);
    let is_elsewhere = standing.is_elsewhere(&subscription.id);
    let way_back = match standing.way_back(subscription, now) {
        Some(way_back) => way_back,
        None if is_elsewhere => WayBack::Wait,
        None => WayBack::UpdateCard,
    };
    let text = match (withheld, subscription.state) {
        (Some(withheld), _) if withheld.way_back() == WayBack::BuyAgain => {
            let is_over = subscription.cancel_at.is_some() || subscription.is_ended();
            let next = match (way_back, is_over) {
                (WayBack::BuyAgain, true) => &own.buy_over,
                (WayBack::BuyAgain, false) => &own.buy_or_cancel,
                (_, true) => &own.nothing_charged,
                (_, false) => &own.cancel_or_charged,
            };
            format!("{} {next}", reason(texts, withheld, subscription))
        }
        (Some(Withheld::WrittenOff | Withheld::Unpaid | Withheld::PastDue | Withheld::Incomplete), _)
        | (None, State::PastDue { .. } | State::Unpaid)
            if is_elsewhere =>
        {
            own.unpaid_elsewhere.clone()
        }
        (Some(withheld), _) => reason(texts, withheld, subscription),
        (None, State::PastDue { since }) => fill(&own.failed, &[("date", &texts.day(since))]),
        (None, State::Unpaid) => own.unpaid.clone(),
        (None, _) => return None,
    };
    let has_access = standing.segment.status != Status::None;
    let title = match withheld {
        None | Some(Withheld::WrittenOff | Withheld::Unpaid | Withheld::PastDue | Withheld::Incomplete) => {
            &own.failed_title
        }
        // Something else gives access.
        _ if has_access => &own.beside_title,
        _ => &own.withheld_title,
    };
    let until = standing.segment.until.filter(|_| withheld.is_none() && standing.segment.status == Status::PastDue);
    let until = until.map(|until| fill(&own.access_until, &[("date", &texts.day(until))]));
    Some(Warning { title: title.clone(), text, way_back, until })
}

fn addons(texts: &Texts, standing: &Standing, now: Timestamp) -> Vec<Line> {
    let paid = standing.addons(now).filter_map(|(addon, subscription)| {
        let price = subscription.prices.iter().find_map(|id| addon.prices.iter().find(|price| price.id == *id))?;
        let withheld = standing.withheld_price(&subscription.id, &price.id);
        Some(line(texts, &addon.name, price, (subscription, withheld, false)))
    });
    paid.collect()
}

/// One whose price the catalog does not name: what it is called and costs is not known here, and its provider charges for it.
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

/// The amount that is charged, and how often.
pub fn priced(texts: &Texts, price: &Price) -> String {
    let with = match price.cadence {
        Cadence::Monthly => &texts.common.monthly,
        Cadence::Annual => &texts.common.annual,
    };
    fill(with, &[("amount", &texts.common.locale.price(price))])
}

/// The subscription in a line; `is_told` when the warning says already why it gives nothing.
fn line(
    texts: &Texts,
    name: &str,
    price: &Price,
    (subscription, withheld, is_told): (&Subscription, Option<Withheld>, bool),
) -> Line {
    let own = &texts.account;
    let id = price.id.as_str();
    let price = priced(texts, price);
    let dated = |text: &str, at: Timestamp| fill(text, &[("date", &texts.day(at)), ("price", &price)]);
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
