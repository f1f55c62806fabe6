//! What happens at the provider: the lives of a few accounts, made up by chance.

use std::time::Duration;

use demo::provider::{
    CancelAt, Card, Exhausted, Metadata, NewCustomer, PauseBehavior, Proration, Provider, Shape, Subscribe,
};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::story::Story;

const ACCOUNTS: usize = 3;

/// How far the provider's clock may be moved after a step, in seconds.
const STEPS_OF_TIME: [u64; 6] = [0, 0, 1, 60, 5 * 86_400, 33 * 86_400];

/// The kinds of things that can happen; a few are refused, and then nothing does.
const KINDS: u32 = 17;

/// Who lives.
pub struct Lives {
    pub accounts: Vec<Account>,
    random: StdRng,
}

/// An account, the customer at the provider that it is, and all that it ever bought there.
pub struct Account {
    pub name: String,
    customer: String,
    /// The customers that were deleted.
    pub gone: Vec<String>,
    pub subscriptions: Vec<String>,
    /// Invoices of which something went back, or was disputed, and the refund or dispute.
    pub refunds: Vec<(String, String)>,
    pub disputes: Vec<(String, String)>,
}

impl Lives {
    /// Every account begins with a customer, and most with a subscription.
    pub fn begin(mut random: StdRng, provider: &Provider, seed: u64) -> Self {
        let mut accounts: Vec<Account> = (1..=ACCOUNTS).map(|n| Account::begin(provider, seed, n)).collect();
        for account in accounts.iter_mut().filter(|_| random.random_bool(0.8)) {
            account.subscribe(provider, "price_monthly", 0);
        }
        Self { accounts, random }
    }

    /// Something happens to some of them; then time passes.
    pub fn step(&mut self, provider: &Provider, story: &Story) {
        let Self { accounts, random } = self;
        for account in accounts {
            for _ in 0..random.random_range(0..3) {
                let kind = random.random_range(0..KINDS);
                account.act(kind, random, provider, story);
            }
        }
        let exhausted = [Exhausted::Cancel, Exhausted::Unpaid, Exhausted::LeavePastDue];
        provider.set_exhausted(*exhausted.choose(random).expect("there are three"));
        if random.random_bool(0.1) {
            let shape = *Shape::ALL.choose(random).expect("there are some");
            story.tell(format!("the account's API version becomes {}", shape.api_version()));
            provider.set_shape(shape);
        }
        let seconds = *STEPS_OF_TIME.choose(random).expect("there are some");
        story.tell(format!("{seconds} s pass"));
        provider.advance(Duration::from_secs(seconds)).expect("time passes");
    }
}

impl Account {
    fn begin(provider: &Provider, seed: u64, number: usize) -> Self {
        let name = format!("chaos-{seed}-{number}");
        let customer = NewCustomer { metadata: named(&name), ..NewCustomer::default() };
        let customer = provider.create_customer(customer).expect("a customer");
        Self { name, customer, gone: Vec::new(), subscriptions: Vec::new(), refunds: Vec::new(), disputes: Vec::new() }
    }

    fn subscribe(&mut self, provider: &Provider, price: &str, trial_days: u32) {
        let (customer, metadata) = (self.customer.clone(), named(&self.name));
        let new = Subscribe { customer, price: price.to_owned(), trial_days, metadata, ..Subscribe::default() };
        // Nobody buys once their customer is deleted.
        self.subscriptions.extend(provider.subscribe(new));
    }

    fn act(&mut self, kind: u32, random: &mut StdRng, provider: &Provider, story: &Story) {
        let subscription = self.subscriptions.choose(random).cloned().unwrap_or_default();
        let paid = self.paid(provider);
        let is_won = random.random_bool(0.5);
        let done = match kind {
            0 => provider.cancel(&subscription, CancelAt::PeriodEnd).map(|()| "ends with its period"),
            1 => provider.cancel(&subscription, CancelAt::Now).map(|()| "is canceled"),
            2 => provider.reactivate(&subscription).map(|()| "is reactivated"),
            3 | 15 => provider.set_card(&self.customer, Card::Declined).map(|()| "has a bad card"),
            4 => provider.set_card(&self.customer, Card::Good).map(|()| "has a good card"),
            5 => provider.pause_collection(&subscription, PauseBehavior::Void, None).map(|()| "is paused"),
            6 => provider.unpause_collection(&subscription).map(|()| "is not paused"),
            7 => provider.change_price(&subscription, "price_business", Proration::None).map(|()| "becomes business"),
            8 => provider.set_quantity(&subscription, "price_monthly", 3).map(|()| "is bought three times"),
            9 => self.give_back(provider, paid.last(), None),
            10 => self.give_back(provider, paid.first(), Some(100)),
            11 => self.dispute(provider, paid.last(), "needs_response"),
            12 => self.dispute(provider, paid.last(), if is_won { "won" } else { "lost" }),
            13 => self.delete(provider),
            14 => {
                self.subscribe(provider, "price_annual", 14);
                Ok("begins a trial")
            }
            _ => {
                self.subscribe(provider, "price_monthly", 0);
                Ok("subscribes")
            }
        };
        if let Ok(done) = done {
            story.tell(format!("{} {subscription} {done}", self.name));
        }
    }

    /// Who was deleted comes back as another customer.
    fn delete(&mut self, provider: &Provider) -> Done {
        provider.delete_customer(&self.customer)?;
        let customer = NewCustomer { metadata: named(&self.name), ..NewCustomer::default() };
        self.gone.push(std::mem::replace(&mut self.customer, provider.create_customer(customer)?));
        Ok("is deleted")
    }

    /// The invoices for which money came, oldest first.
    fn paid(&self, provider: &Provider) -> Vec<String> {
        let invoices = provider.invoices();
        let mine = invoices.iter().filter(|invoice| {
            invoice["customer"] == *self.customer && invoice["status"] == "paid" && invoice["amount_paid"] != 0
        });
        mine.filter_map(|invoice| invoice["id"].as_str().map(str::to_owned)).collect()
    }

    fn give_back(&mut self, provider: &Provider, invoice: Option<&String>, part: Option<i64>) -> Done {
        let Some(invoice) = invoice else { return Ok("has nothing to give back") };
        let refund = provider.refund(invoice, part)?;
        self.refunds.push((invoice.clone(), refund));
        Ok(if part.is_some() { "gets a part back" } else { "gets everything back" })
    }

    fn dispute(&mut self, provider: &Provider, invoice: Option<&String>, status: &str) -> Done {
        let Some(invoice) = invoice else { return Ok("has nothing to dispute") };
        let dispute = provider.dispute(invoice, status)?;
        self.disputes.push((invoice.clone(), dispute));
        Ok(match status {
            "won" => "loses a dispute with us",
            "lost" => "wins a dispute with us",
            _ => "disputes a payment",
        })
    }
}

type Done = anyhow::Result<&'static str>;

fn named(account: &str) -> Metadata {
    Metadata::from([("account".to_owned(), account.to_owned())])
}
