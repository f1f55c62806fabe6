//! Credits by the day among everything else that an account has.

use chrono::Duration;
use entitlement::Timestamp;
use entitlement::credit::{DayCredit, Spending, spend};
use entitlement::subscription::Access;
use entitlement::timeline::{Grant, Source, Status};

use crate::publish::compute;
use crate::store::catalogs::Rules;
use crate::store::snapshot::Snapshot;

/// The grants, and the days of credit where nothing else gives as much.
#[must_use]
pub fn with_days(mut grants: Vec<Grant>, snapshot: &Snapshot, rules: &Rules) -> Vec<Grant> {
    let spent = spendings(&grants, snapshot, rules);
    grants.extend(spent.into_iter().flat_map(|spending| spending.grants));
    grants
}

/// What is left at `now` of all credits that end: of those by the day, and of those with a date.
#[must_use]
pub fn left(snapshot: &Snapshot, rules: &Rules, now: Timestamp) -> Duration {
    let grants = compute::grants(snapshot, rules);
    // The days are spent beside everything but themselves.
    let days: Vec<i64> =
        snapshot.credits.iter().filter(|credit| credit.days.is_some()).map(|credit| credit.id).collect();
    let is_by_day = |grant: &Grant| matches!(grant.source, Source::Credit(id) if days.contains(&id));
    let others: Vec<Grant> = grants.into_iter().filter(|grant| !is_by_day(grant)).collect();
    let by_day = spendings(&others, snapshot, rules).into_iter().map(|spending| spending.left(now));
    let dated = others.iter().filter(|grant| grant.status == Status::Credit);
    let dated = dated.filter_map(|grant| Some((grant.until? - grant.from.max(now)).max(Duration::zero())));
    by_day.chain(dated).fold(Duration::zero(), |sum, left| sum + left)
}

fn spendings(grants: &[Grant], snapshot: &Snapshot, rules: &Rules) -> Vec<Spending> {
    let credits: Vec<DayCredit> =
        snapshot.credits.iter().filter_map(crate::store::credits::Credit::by_the_day).collect();
    if credits.is_empty() {
        return Vec::new();
    }
    let mut covers = grants.to_vec();
    covers.extend(used_until_suspended(snapshot, rules));
    spend(&rules.catalog, &covers, &credits)
}

/// What subscriptions gave before they were suspended: they give nothing now, but the days that they gave were not
/// days of credit.
fn used_until_suspended(snapshot: &Snapshot, rules: &Rules) -> Vec<Grant> {
    let suspended = snapshot.subscriptions.iter().filter_map(|subscription| {
        let since = snapshot.suspended.get(&subscription.id)?;
        compute::access(subscription, snapshot, rules).is_none().then_some(())?;
        let access = Access { from: subscription.started_at, until: Some(*since), status: Status::Active };
        Some(compute::of_access(subscription, access, rules))
    });
    suspended.flatten().filter(|grant| grant.until.is_none_or(|until| grant.from < until)).collect()
}
