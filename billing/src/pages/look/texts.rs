//! Every text of the pages. The words stand in the configuration, where an operator can replace each of them.

use chrono::Datelike;
use entitlement::Timestamp;
use entitlement::fill::fill;
use serde::Deserialize;

use super::Locale;

/// All texts; their keys in the configuration are the names here.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Texts {
    pub common: Common,
    pub pricing: Pricing,
    pub account: Account,
    pub back: Back,
    pub errors: Errors,
}

/// Declares a table of texts.
macro_rules! texts {
    ($(#[$doc:meta])* $name:ident { $($key:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $(pub $key: String),+ }
    };
}

/// What several pages say.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Common {
    pub skip: String,
    pub back: String,
    pub pricing: String,
    pub account: String,
    pub terms: String,
    pub privacy: String,
    pub sign_out: String,
    pub signed_in: String,
    pub signed_in_for: String,
    pub date: String,
    pub months: [String; 12],
    pub day: String,
    pub days: String,
    pub monthly: String,
    pub annual: String,
    /// How the language writes numbers, days and money.
    #[serde(skip)]
    pub locale: Locale,
}

texts! {
    /// The pricing page.
    Pricing {
        title, lead, cadence, monthly, annual, saving, per_month, per_year, free, free_text, custom, contact, current, highlight, includes, only_monthly,
        only_annual, invited,
        limit, level, unlimited, trial, buy, buy_trial, order, close, sign_in, not_here, not_a_buyer, subscribed, manage,
    }
}

texts! {
    /// The page of one's own plan.
    Account {
        title, thanks, ending, kept, active, trialing, canceling, past_due, credit, none, trial_left, trial_then,
        next_payment, ends, access_until, failed_title, failed, unpaid, written_off, incomplete, withheld_title, beside_title, no_access, no_plan, on_pause,
        customer_gone, refunded, dispute_lost, buy_over, buy_or_cancel, nothing_charged, cancel_or_charged, disputed, paused_text, paused_ending, paused_until, not_renewed, unknown_status, unknown_price, elsewhere, unpaid_elsewhere,
        resume, buy_again, paused, unnamed, manage, pay, cancel, cancel_text, cancel_on,
        cancel_now, keep, plans, not_a_buyer, blocked, credit_days, credit_text, credit_waits, referral, referral_text, referral_link, copy,
        copied, conversion, conversions, invoices, invoice_paid,
        invoice_open, invoice_void, invoice_written_off, invoice_refunded, invoice_partly_refunded, invoice_taken_back, invoice_pay, invoice_pdf, invoices_unavailable,
    }
}

texts! {
    /// On the way to the provider, and back from it.
    Back { title, wait, later, again, unknown_title, unknown, going, go }
}

texts! {
    /// What went wrong, by the code of the problem.
    Errors {
        title, page, consent_required, consent_changed, already_subscribed, subscription_paused, payment_missing, not_sold, no_customer,
        no_active_subscription, not_canceling, not_a_buyer, blocked, foreign_origin, not_configured, provider_error, provider_refused,
        provider_away, invalid_token, not_found, busy, bad_request,
        internal,
    }
}

impl Texts {
    /// The day of a moment (UTC), in words: as the language writes it, or as the texts say.
    #[must_use]
    pub fn day(&self, at: Timestamp) -> String {
        if self.common.date.is_empty() {
            return self.common.locale.day(at);
        }
        let month = usize::try_from(at.month0()).ok().and_then(|month| self.common.months.get(month));
        let (day, year) = (at.day().to_string(), at.year().to_string());
        let month = month.map(String::as_str).unwrap_or_default();
        fill(&self.common.date, &[("day", &day), ("month", month), ("year", &year)])
    }

    /// A number of days, in words.
    #[must_use]
    pub fn days(&self, days: i64) -> String {
        if days == 1 { self.common.day.clone() } else { fill(&self.common.days, &[("days", &days.to_string())]) }
    }
}

/// Whole days of a span; one that has begun counts.
#[must_use]
pub fn days_left(left: chrono::Duration) -> i64 {
    const DAY_SECONDS: i64 = 86_400;
    (left.num_seconds().max(0) + DAY_SECONDS - 1) / DAY_SECONDS
}

#[cfg(test)]
mod tests {
    use super::super::examples;
    use super::*;

    #[test]
    fn a_day_that_has_begun_counts() {
        let texts = &examples::pages().texts;
        for (seconds, expected) in [(0, "0 days"), (1, "1 day"), (86_400, "1 day"), (86_401, "2 days"), (-5, "0 days")]
        {
            assert_eq!(texts.days(days_left(chrono::Duration::seconds(seconds))), expected);
        }
    }

    #[test]
    fn a_date_is_written_as_the_language_does_or_as_the_texts_say() {
        let mut texts = examples::pages().texts.clone();
        let at = crate::api::standing::examples::on(3, 9);
        assert_eq!(texts.day(at), "9 March 2026");
        texts.common.locale = Locale::of("de");
        assert_eq!(texts.day(at), "9. März 2026");
        "{month} {day}, {year}".clone_into(&mut texts.common.date);
        assert_eq!(texts.day(at), "March 9, 2026");
    }
}
