//! Opening a checkout: the open one again, or one that takes its place.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use entitlement::subscription::State;
use http::StatusCode;

use super::choose::{self, Choice, Order};
use super::confirm::confirm;
use super::turn::Turn;
use super::{check_configured, client, links};
use crate::Billing;
use crate::api::standing::{self, Standing};
use crate::clock;
use crate::problem::Problem;
use crate::provider::client::{Buyer, Checkout, CheckoutState, Opened, ProviderError};
use crate::provider::{can_ask, sell};
use crate::store::StoreError;
use crate::store::checkouts::{self, Lease, Session};
use crate::store::consents::{self, Agreed};
use crate::store::customers::{self, Made};
use crate::store::trials;

/// Opens a checkout for what is ordered and answers its URL: that of the open one, when there is one for the same.
///
/// # Errors
/// What is wrong with the order, 409 when the account pays for a tier already, 502 with the provider's message, 503 when
/// nothing is sold or the account's checkout is worked on elsewhere.
pub async fn open(billing: &Billing, account: &AccountId, order: &Order, now: Timestamp) -> Result<String, Problem> {
    let standing = standing::of(billing, account, now).await?;
    let choice = chosen(billing, &standing, order)?;
    check_configured(billing, choice.price.provider)?;
    refuse_second(&standing, now)?;
    let seller = Seller { billing: billing.clone(), account: account.clone(), order: order.clone(), asked_at: now };
    // A buyer who goes away in the middle must not leave anything half done.
    let selling = billing.shared().tasks.spawn(async move { seller.sell().await });
    selling.await.unwrap_or_else(|_| Err(Problem::interrupted()))
}

/// One order on its way.
struct Seller {
    billing: Billing,
    account: AccountId,
    order: Order,
    /// When the buyer asked.
    asked_at: Timestamp,
}

/// What is sold to whom, once that is decided.
struct Sale<'a> {
    choice: Choice<'a>,
    trial_days: u32,
}

impl Seller {
    async fn sell(&self) -> Result<String, Problem> {
        let turn = Turn::take(&self.billing, &self.account).await?;
        let sold = self.sell_in_turn(&turn.lease).await;
        turn.end().await;
        sold
    }

    /// Everything is read again: the one before may have changed it.
    async fn sell_in_turn(&self, lease: &Lease) -> Result<String, Problem> {
        let now = clock::now();
        let mut standing = standing::of(&self.billing, &self.account, now).await?;
        refuse_second(&standing, now)?;
        if let Some(session) = &lease.session {
            let choice = chosen(&self.billing, &standing, &self.order)?;
            let sale = Sale { trial_days: self.trial_days(&standing, choice).await?, choice };
            if let Some(url) = self.still_open(lease, session, &sale).await? {
                return Ok(url);
            }
            // What was paid meanwhile is known by now.
            standing = standing::of(&self.billing, &self.account, now).await?;
            refuse_second(&standing, now)?;
        }
        let choice = chosen(&self.billing, &standing, &self.order)?;
        let sale = Sale { trial_days: self.trial_days(&standing, choice).await?, choice };
        self.record_consent(lease, choice, now).await?;
        let opened = self.create(lease, &sale, now).await?;
        self.keep(lease, &sale, opened).await
    }

    async fn trial_days(&self, standing: &Standing, choice: Choice<'_>) -> Result<u32, StoreError> {
        if choice.price.trial_days == 0 || !standing.is_new_buyer() {
            return Ok(0);
        }
        let mut conn = self.billing.pool().acquire().await?;
        let is_used = trials::is_used(&mut conn, &self.account).await?;
        Ok(if is_used { 0 } else { choice.price.trial_days })
    }

    /// The URL of the account's checkout, if it can still be paid and sells the same. One that sells something else is
    /// closed: both could be paid. One that was paid is learnt of.
    async fn still_open(&self, lease: &Lease, session: &Session, sale: &Sale<'_>) -> Result<Option<String>, Problem> {
        let price = sale.choice.price;
        let is_same =
            (session.provider, &session.price, session.trial_days) == (price.provider, &price.id, sale.trial_days);
        // Somebody looked after this buyer asked.
        if is_same && session.seen_at >= self.asked_at {
            return Ok(Some(session.url.clone()));
        }
        let providers = self.billing.providers();
        if !can_ask(&providers, session.provider) {
            return Ok(None);
        }
        let now = clock::now();
        let state = match sell::checkout_state(&providers, session.provider, &session.id).await? {
            CheckoutState::Open if is_same && self.has_customer(session.provider).await? => {
                let seen = Session { seen_at: now, ..session.clone() };
                let mut conn = self.billing.pool().acquire().await.map_err(StoreError::from)?;
                checkouts::put(&mut conn, &self.account, lease, Some(&seen)).await?;
                return Ok(Some(seen.url));
            }
            CheckoutState::Open => sell::close_checkout(&providers, session.provider, &session.id).await?,
            state => state,
        };
        match state {
            CheckoutState::Complete => self.refuse_unsettled(now).await.map(|()| None),
            CheckoutState::Processing => Err(payment_pending()),
            CheckoutState::Open | CheckoutState::Over => Ok(None),
        }
    }

    /// Whether the provider still knows as whom the account buys. Polar has customers only once they have paid.
    async fn has_customer(&self, provider: Provider) -> Result<bool, Problem> {
        if provider == Provider::Polar {
            return Ok(true);
        }
        let mut conn = self.billing.pool().acquire().await.map_err(StoreError::from)?;
        let stored = customers::customer_of(&mut conn, Provider::Stripe, &self.account).await?;
        drop(conn);
        match stored {
            Some(customer) => Ok(client(&self.billing)?.has_customer(&customer).await?),
            None => Ok(false),
        }
    }

    /// Learns what a checkout that was paid has bought: nothing more is sold while its payment is on its way.
    async fn refuse_unsettled(&self, now: Timestamp) -> Result<(), Problem> {
        confirm(&self.billing, &self.account, now).await?;
        let standing = standing::of(&self.billing, &self.account, now).await?;
        let is_unsettled = standing.subscriptions.iter().any(|subscription| subscription.state == State::Incomplete);
        if is_unsettled { Err(payment_pending()) } else { Ok(()) }
    }

    async fn record_consent(&self, lease: &Lease, choice: Choice<'_>, now: Timestamp) -> Result<(), StoreError> {
        let Some(text) = &choice.price.consent else { return Ok(()) };
        let (provider, price) = (choice.price.provider, choice.price.id.as_str());
        let agreed = Agreed { account: &self.account, text, provider, price, attempt: lease.attempt, at: now };
        let mut conn = self.billing.pool().acquire().await?;
        consents::record(&mut conn, agreed).await
    }

    async fn create(&self, lease: &Lease, sale: &Sale<'_>, now: Timestamp) -> Result<Opened, Problem> {
        let (settings, price) = (self.billing.settings(), sale.choice.price);
        let metadata_key = match price.provider {
            Provider::Stripe => &settings.stripe.metadata_key,
            Provider::Polar => &settings.polar.metadata_key,
        };
        let next = self.order.next.as_deref().and_then(links::own_path);
        let checkout = Checkout {
            buyer: Buyer { account: &self.account, metadata_key },
            price: &price.id,
            tier: &sale.choice.tier.code,
            trial_days: sale.trial_days,
            success_url: &links::success_url(&settings.site_url, price.provider, next.as_deref()),
            cancel_url: &links::on_site(&settings.site_url, &settings.pricing_url),
            attempt: lease.attempt,
        };
        let providers = self.billing.providers();
        let customer = match price.provider {
            Provider::Stripe => Some(self.customer(checkout.buyer, now).await?),
            Provider::Polar => None,
        };
        match sell::create_checkout(&providers, price.provider, customer.as_deref(), &checkout, now).await {
            // Once: a provider that forgets a customer at once has another fault.
            Err(ProviderError::UnknownCustomer) if customer.is_some() => {
                let customer = self.new_customer(checkout.buyer, customer.as_deref(), now).await?;
                Ok(sell::create_checkout(&providers, price.provider, Some(&customer), &checkout, now).await?)
            }
            opened => Ok(opened?),
        }
    }

    /// Stores what was opened. Whoever has lost the turn meanwhile gives it up: another one may be open.
    async fn keep(&self, lease: &Lease, sale: &Sale<'_>, opened: Opened) -> Result<String, Problem> {
        let price = sale.choice.price;
        let session = Session {
            provider: price.provider,
            id: opened.id,
            price: price.id.clone(),
            trial_days: sale.trial_days,
            url: opened.url,
            seen_at: clock::now(),
        };
        let mut conn = self.billing.pool().acquire().await.map_err(StoreError::from)?;
        let is_kept = checkouts::put(&mut conn, &self.account, lease, Some(&session)).await?;
        drop(conn);
        if !is_kept {
            sell::close_checkout(&self.billing.providers(), session.provider, &session.id).await?;
            return Err(Problem::interrupted());
        }
        tracing::info!(account = %self.account, tier = sale.choice.tier.code, price = price.id, "a checkout was opened");
        Ok(session.url)
    }

    /// As which customer the account buys.
    async fn customer(&self, buyer: Buyer<'_>, now: Timestamp) -> Result<String, Problem> {
        let mut conn = self.billing.pool().acquire().await.map_err(StoreError::from)?;
        let stored = customers::customer_of(&mut conn, Provider::Stripe, &self.account).await?;
        drop(conn);
        match stored {
            Some(customer) => Ok(customer),
            None => self.new_customer(buyer, None, now).await,
        }
    }

    /// Makes a customer and stores it; `replaces` is the one that the provider no longer knows.
    async fn new_customer(&self, buyer: Buyer<'_>, replaces: Option<&str>, now: Timestamp) -> Result<String, Problem> {
        let customer = client(&self.billing)?.create_customer(buyer, replaces, now).await?;
        let made = Made { provider: Provider::Stripe, customer: &customer, account: buyer.account, replaces };
        let mut tx = self.billing.pool().begin().await.map_err(StoreError::from)?;
        let bought_as = customers::settle(&mut tx, made, now).await?;
        tx.commit().await.map_err(StoreError::from)?;
        // Events may have waited for the customer.
        self.billing.shared().event_due.notify_one();
        Ok(bought_as)
    }
}

fn chosen<'a>(billing: &Billing, standing: &'a Standing, order: &Order) -> Result<Choice<'a>, Problem> {
    let providers = billing.providers();
    Ok(choose::choose(standing.catalog(), order, |provider| can_ask(&providers, provider))?)
}

/// Who pays for a tier changes that in the portal.
fn refuse_second(standing: &Standing, now: Timestamp) -> Result<(), Problem> {
    if standing.live(now).is_empty() {
        return Ok(());
    }
    let detail = "There is a subscription already: change it in the customer portal instead of buying another one.";
    Err(Problem::new(StatusCode::CONFLICT, "already_subscribed", detail).instead("/api/billing/portal"))
}

fn payment_pending() -> Problem {
    let detail =
        "A payment for this account is still being processed. Nothing more can be bought until it has come or failed.";
    Problem::new(StatusCode::CONFLICT, "payment_pending", detail)
}
