//! Opening a checkout: the open one again, or one that takes its place.

use entitlement::Timestamp;
use entitlement::account::{AccountId, UserId};
use entitlement::catalog::{Catalog, Provider, Sold};
use entitlement::subscription::{State, Subscription};
use http::StatusCode;

use super::agreed;
use super::choose::{self, Choice, Order};
use super::confirm::{confirm, observe};
use super::refused::{payment_pending, refuse_beside_unpaid, refuse_blocked, refuse_moved, refuse_second};
use super::turn::Turn;
use super::{check_configured, check_to_sell, client, held, links};
use crate::Billing;
use crate::api::standing::{self, Ending, Standing, is_running};
use crate::asks::SERVES;
use crate::caller;
use crate::clock;
use crate::problem::Problem;
use crate::provider::client::{Buyer, Checkout, CheckoutState, Opened, ProviderError};
use crate::provider::{can_ask, sell};
use crate::store::StoreError;
use crate::store::addons::{self, Ordered};
use crate::store::checkouts::{self, Lease, Session};
use crate::store::consents::{self, Agreed};
use crate::store::customers::{self, Made};
use crate::store::trials;

/// Opens a checkout for what is ordered: the open one, when there is one for the same.
///
/// # Errors
/// What is wrong with the order, 409 when the account pays for it already, 502 with the provider's message, 503 when
/// nothing is sold or the account's checkout is worked on elsewhere.
pub async fn open(billing: &Billing, account: &AccountId, order: &Order, now: Timestamp) -> Result<Opened, Problem> {
    let opened = attempt(billing, account, order, now).await;
    opened.map_err(|problem| problem.at(billing.settings().own_paths()))
}

async fn attempt(billing: &Billing, account: &AccountId, order: &Order, now: Timestamp) -> Result<Opened, Problem> {
    let standing = standing::of(billing, account, now).await?;
    refuse_blocked(&standing)?;
    refuse_moved(billing, account).await?;
    let choice = chosen(billing, &standing, order)?;
    check_to_sell(billing, choice.price.provider).await?;
    refuse_second(&standing, &choice, now)?;
    let seller = Seller { billing: billing.clone(), account: account.clone(), order: order.clone(), asked_at: now };
    // A buyer who goes away in the middle must not leave anything half done.
    let selling = caller::on_behalf_of(account.clone(), async move { seller.sell().await });
    let selling = billing.shared().tasks.spawn(selling);
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
    catalog: &'a Catalog,
    choice: Choice<'a>,
    trial_days: u32,
}

impl Seller {
    async fn sell(&self) -> Result<Opened, Problem> {
        let turn = Turn::take(&self.billing, &self.account).await?;
        let sold = self.sell_in_turn(&turn.lease).await;
        turn.end().await;
        sold
    }

    /// Everything is read again: the one before may have changed it.
    async fn sell_in_turn(&self, lease: &Lease) -> Result<Opened, Problem> {
        let now = clock::now();
        let mut standing = standing::of(&self.billing, &self.account, now).await?;
        if let Some(session) = &lease.session {
            let sale = self.sale(&standing, now).await?;
            if let Some(open) = self.still_open(lease, session, &sale).await? {
                return Ok(open);
            }
            // What was paid meanwhile is known by now.
            standing = standing::of(&self.billing, &self.account, now).await?;
        } else {
            self.billing.shared().asks.act(&self.account)?;
        }
        if standing.held(now).is_empty() {
            held::refuse_unknown(&self.billing, &self.account, now).await?;
            standing = standing::of(&self.billing, &self.account, now).await?;
        }
        refuse_beside_unpaid(&standing)?;
        let sale = self.sale(&standing, now).await?;
        self.write_down(lease, &sale.choice, now).await?;
        let opened = self.create(lease, &sale, now).await?;
        // An order that cannot be bought ends nothing. Where an end is refused, nobody can pay: the checkout was shown to nobody, and closes by
        // itself.
        self.end_what_is_bought_again(&standing, now).await?;
        self.keep(lease, &sale, opened).await
    }

    /// Ends what has to be bought again to give something, before its buyer can pay: it would go on to be charged for beside what is
    /// bought now. The rest of its subscription goes on.
    async fn end_what_is_bought_again(&self, standing: &Standing, now: Timestamp) -> Result<(), Problem> {
        let again = standing.subscriptions.iter().filter(|own| is_running(own, now));
        let again: Vec<_> = again.filter_map(|own| Some((own, standing.ending(own)?))).collect();
        for (subscription, ending) in &again {
            check_configured(&self.billing, subscription.id.provider).await?;
            match ending {
                Ending::Whole => sell::end_now(&self.billing.providers(), &subscription.id).await?,
                Ending::Prices(prices) => {
                    self.had(standing, subscription).await?;
                    sell::end_prices(&self.billing.providers(), &subscription.id, prices).await?;
                }
            }
            tracing::info!(account = %self.account, subscription = %subscription.id.id, "what was given back has ended, to be bought again");
            observe(&self.billing, &subscription.id).await;
        }
        Ok(())
    }

    /// A tier that is taken off its subscription was had all the same: no trial comes after it.
    async fn had(&self, standing: &Standing, own: &Subscription) -> Result<(), StoreError> {
        if standing::bought(standing.catalog(), own).is_none() {
            return Ok(());
        }
        let mut conn = self.billing.pool().acquire().await?;
        trials::begun(&mut conn, &self.account, &own.id, own.started_at).await
    }

    async fn sale<'a>(&self, standing: &'a Standing, now: Timestamp) -> Result<Sale<'a>, Problem> {
        let choice = chosen(&self.billing, standing, &self.order)?;
        refuse_second(standing, &choice, now)?;
        Ok(Sale { catalog: standing.catalog(), trial_days: self.trial_days(standing, &choice).await?, choice })
    }

    /// A trial is of a tier: what is sold beside it is paid for at once.
    async fn trial_days(&self, standing: &Standing, choice: &Choice<'_>) -> Result<u32, StoreError> {
        let is_tier = matches!(choice.item, Sold::Tier(_));
        if !is_tier || choice.price.trial_days == 0 || !standing.is_new_buyer() {
            return Ok(0);
        }
        let mut conn = self.billing.pool().acquire().await?;
        let is_used = trials::is_used(&mut conn, &self.account).await?;
        Ok(if is_used { 0 } else { choice.price.trial_days })
    }

    /// The account's checkout, if it can still be paid and sells the same. One that sells something else is
    /// closed: both could be paid. One that was paid is learnt of.
    async fn still_open(&self, lease: &Lease, session: &Session, sale: &Sale<'_>) -> Result<Option<Opened>, Problem> {
        let price = sale.choice.price;
        let is_same = (session.provider, &session.price, session.trial_days)
            == (price.provider, &price.id, sale.trial_days)
            && self.states_the_same(lease, &sale.choice).await?;
        // Somebody looked after this buyer asked, or has looked too often lately.
        if is_same && (session.seen_at >= self.asked_at || self.serves(session)) {
            self.agree(lease.attempt - 1, &sale.choice, clock::now()).await?;
            return Ok(Some(opened(session)));
        }
        self.billing.shared().asks.act(&self.account)?;
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
                drop(conn);
                self.agree(lease.attempt - 1, &sale.choice, now).await?;
                return Ok(Some(opened(&seen)));
            }
            CheckoutState::Open => sell::close_checkout(&providers, session.provider, &session.id).await?,
            state => state,
        };
        match state {
            // It could not be closed, and would be paid beside a new one. The same provider lets nobody subscribe twice.
            CheckoutState::Open if session.provider != price.provider => self.lead_on(session, sale).map(Some),
            CheckoutState::Complete => self.refuse_unsettled(now).await.map(|()| None),
            CheckoutState::Processing => Err(payment_pending()),
            CheckoutState::Open | CheckoutState::Over => Ok(None),
        }
    }

    /// Whether what was seen of the open checkout a few seconds ago serves once more: each look is a question or two.
    fn serves(&self, session: &Session) -> bool {
        let age = clock::now() - session.seen_at;
        age.to_std().is_ok_and(|age| age < SERVES) && !self.billing.shared().asks.may_look(&self.account)
    }

    /// The checkout that is open elsewhere, when it sells the same.
    fn lead_on(&self, session: &Session, sale: &Sale<'_>) -> Result<Opened, Problem> {
        if sale.choice.sells(sale.catalog, session.provider, &session.price) {
            tracing::info!(account = %self.account, provider = %session.provider, "an open checkout leads on: it cannot be closed");
            return Ok(opened(session));
        }
        let detail = "Another checkout of this account is still open, and could be paid beside this one. Pay it, or try again when it has expired.";
        Err(Problem::new(StatusCode::CONFLICT, "checkout_open", detail))
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

    /// Whether the session was opened for an add-on of which the same was stated: else another domain would be bought.
    async fn states_the_same(&self, lease: &Lease, choice: &Choice<'_>) -> Result<bool, StoreError> {
        if choice.details.is_empty() {
            return Ok(true);
        }
        let mut conn = self.billing.pool().acquire().await?;
        let stated = addons::of_attempt(&mut conn, &self.account, lease.attempt - 1).await?;
        Ok(stated.as_ref() == Some(&choice.details))
    }

    /// What the buyer agreed to, and has stated.
    async fn write_down(&self, lease: &Lease, choice: &Choice<'_>, at: Timestamp) -> Result<(), StoreError> {
        let (account, attempt) = (&self.account, lease.attempt);
        self.agree(attempt, choice, at).await?;
        if let Sold::Addon(addon) = choice.item {
            let mut conn = self.billing.pool().acquire().await?;
            let ordered = Ordered { account, addon: &addon.code, details: &choice.details, attempt, at };
            addons::record(&mut conn, ordered).await?;
        }
        Ok(())
    }

    /// What the buyer agreed to, each time: the text may be another one than when the open checkout was opened.
    async fn agree(&self, attempt: i64, choice: &Choice<'_>, at: Timestamp) -> Result<(), StoreError> {
        let Some(text) = &choice.price.consent else { return Ok(()) };
        let wording = agreed::wording(&self.billing.settings().pages, choice);
        let digest = wording.map(agreed::digest).unwrap_or_default();
        let (wording, digest) = (wording.unwrap_or_default(), digest.as_str());
        let (provider, price) = (choice.price.provider, choice.price.id.as_str());
        let mut conn = self.billing.pool().acquire().await?;
        let (account, user) = (&self.account, caller::user());
        consents::record(
            &mut conn,
            Agreed { account, user: user.as_ref(), text, wording, digest, provider, price, attempt, at },
        )
        .await
    }

    async fn create(&self, lease: &Lease, sale: &Sale<'_>, now: Timestamp) -> Result<Opened, Problem> {
        let (settings, price) = (self.billing.settings(), sale.choice.price);
        let metadata_key = match price.provider {
            Provider::Stripe => &settings.stripe.metadata_key,
            Provider::Polar => &settings.polar.metadata_key,
        };
        let next = self.order.next.as_deref().and_then(|next| links::own_path(settings.own_paths(), next));
        let is_metered =
            price.provider == Provider::Stripe && self.billing.is_metered(price.provider, &price.id).await?;
        let checkout = Checkout {
            buyer: Buyer { account: &self.account, metadata_key },
            price: &price.id,
            is_metered,
            sold: sale.choice.named(),
            details: &sale.choice.details,
            trial_days: sale.trial_days,
            success_url: &links::success_url(&settings.site_url, settings.own_paths(), price.provider, next.as_deref()),
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
    async fn keep(&self, lease: &Lease, sale: &Sale<'_>, opened: Opened) -> Result<Opened, Problem> {
        let price = sale.choice.price;
        let session = Session {
            provider: price.provider,
            id: opened.id.clone(),
            price: price.id.clone(),
            trial_days: sale.trial_days,
            url: opened.url.clone(),
            seen_at: clock::now(),
        };
        let mut conn = self.billing.pool().acquire().await.map_err(StoreError::from)?;
        let is_kept = checkouts::put(&mut conn, &self.account, lease, Some(&session)).await?;
        drop(conn);
        if !is_kept {
            sell::close_checkout(&self.billing.providers(), session.provider, &session.id).await?;
            return Err(Problem::interrupted());
        }
        // This sees a purchase that was made elsewhere until now; a later one finds the session.
        let now = clock::now();
        if let Err(held) = refuse_second(&standing::of(&self.billing, &self.account, now).await?, &sale.choice, now) {
            sell::close_checkout(&self.billing.providers(), session.provider, &session.id).await?;
            return Err(held);
        }
        let (kind, code) = sale.choice.named();
        let user = caller::user();
        let user = user.as_ref().map(UserId::as_str);
        tracing::info!(account = %self.account, user, kind, code, price = price.id, "a checkout was opened");
        Ok(opened)
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

fn opened(session: &Session) -> Opened {
    Opened { id: session.id.clone(), url: session.url.clone() }
}

fn chosen<'a>(billing: &Billing, standing: &'a Standing, order: &Order) -> Result<Choice<'a>, Problem> {
    let providers = billing.providers();
    let choice = choose::choose(standing.catalog(), order, |provider| can_ask(&providers, provider))?;
    agreed::refuse_changed(&billing.settings().pages, &choice, order)?;
    Ok(choice)
}
