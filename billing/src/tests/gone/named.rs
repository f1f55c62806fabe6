//! Accounts that are gone, when files, operators and events of no consequence name them.

use chrono::TimeDelta;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::{count, erase, relocate};
use crate::ops::{Asker, Block, Cancel, Doing, EraseWish, ImportRow, Imported, Merge, Rehearsal, Unknown};
use crate::store::accounts;
use crate::store::credits::Term;
use crate::tests::{World, active, checkout, event, with};

fn row(world: &World, account: &AccountId) -> ImportRow {
    ImportRow {
        line: 2,
        account: account.clone(),
        customers: vec![(Provider::Stripe, "cus_named".to_owned())],
        credit_until: Some(world.now + TimeDelta::days(400)),
        trial_used_at: Some(world.now),
        referral_code: Some("named-1".to_owned()),
        referred_by: None,
    }
}

async fn import(world: &World, row: ImportRow, doing: Doing) -> Imported {
    world.billing.import_accounts(&[row], None, doing, |_| {}).await.expect("an outcome")
}

async fn given(world: &World, account: &AccountId) -> Result<(), String> {
    let given = world.billing.grant(account, "paid", "a gift", Term::Open, None).await;
    given.map(|_| ()).map_err(|error| error.to_string())
}

#[sqlx::test(migrations = "../migrations")]
async fn a_file_names_no_account_that_is_gone(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let (old, new, erased, fresh) = (world.account.clone(), world.other(1), world.other(2), world.other(3));
    for account in [&old, &erased] {
        given(&world, account).await.expect("known");
    }
    relocate(&world, &old, &new, Merge::Refuse).await.expect("it goes");
    let pseudonym = erase(&world, &erased, Rehearsal::No).await.expect("it goes").erasure.pseudonym;
    let pseudonym = AccountId::parse(&pseudonym).expect("an id");
    for (account, told) in [(&old, "goes by"), (&erased, "was erased"), (&pseudonym, "is the pseudonym")] {
        for doing in [Doing::Show, Doing::Apply] {
            let invited = ImportRow {
                referred_by: Some(account.to_string()),
                customers: Vec::new(),
                referral_code: None,
                ..row(&world, &fresh)
            };
            let report = import(&world, row(&world, account), doing).await;
            assert_eq!((report.refused.len(), report.accounts, report.credits), (1, 0, 0), "{told}: {report:?}");
            assert!(report.refused[0].why.contains(told), "{report:?}");
            let report = import(&world, invited, doing).await;
            assert_eq!((report.refused.len(), report.referrals), (1, 0), "{told}: {report:?}");
            assert!(report.refused[0].why.contains(told), "{report:?}");
        }
    }
    // Of the rows that named another inviter the rest was done.
    assert_eq!(count(&world.pool, "select count(*) from referrals".into()).await, 0);
    for table in ["provider_customers", "trials", "referral_codes"] {
        let of_others = format!("select count(*) from {table} where account <> '{fresh}'");
        assert_eq!(count(&world.pool, of_others).await, 0, "{table}");
    }
    // By a person's word alone it comes back, and then a file may name it.
    given(&world, &erased).await.expect("it is back");
    let report = import(&world, row(&world, &erased), Doing::Apply).await;
    assert_eq!((report.refused.len(), report.customers, report.credits), (0, 1, 1), "{report:?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn nothing_is_given_to_an_earlier_id_or_to_a_pseudonym(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let (old, new, erased) = (world.account.clone(), world.other(1), world.other(2));
    for account in [&old, &erased] {
        given(&world, account).await.expect("known");
    }
    relocate(&world, &old, &new, Merge::Refuse).await.expect("it goes");
    let pseudonym = erase(&world, &erased, Rehearsal::No).await.expect("it goes").erasure.pseudonym;
    let pseudonym = AccountId::parse(&pseudonym).expect("an id");
    for (account, told) in [(&old, "goes by"), (&pseudonym, "is the pseudonym")] {
        let refused = given(&world, account).await.expect_err(told);
        assert!(refused.contains(told), "{refused}");
        let refused = world.billing.link_customer(account, Provider::Stripe, "cus_1").await.expect_err(told);
        assert!(refused.to_string().contains(told), "{refused}");
        let refused = erase(&world, account, Rehearsal::No).await.expect_err(told);
        assert!(refused.to_string().contains(told), "{refused}");
    }
    let blocked =
        world.billing.block(&pseudonym, (Block::Begin, Unknown::Block), Asker::Operator).await.expect_err("no account");
    assert!(blocked.to_string().contains("is the pseudonym"), "{blocked}");
    for (from, to) in [(&pseudonym, &new), (&new, &pseudonym)] {
        let refused = relocate(&world, from, to, Merge::Allow).await.expect_err("no account");
        assert!(refused.to_string().contains("is the pseudonym"), "{refused}");
    }
    assert_eq!(world.has(&old, world.now).await, "free none");
    assert_eq!(count(&world.pool, "select count(*) from provider_customers".into()).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn events_that_name_an_account_without_a_customer_are_its(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let (old, account) = (world.other(1), world.account.clone());
    given(&world, &old).await.expect("known");
    relocate(&world, &old, &account, Merge::Refuse).await.expect("it goes");
    let paid_once = |id: &str, kind: &str, account: &AccountId| {
        let session = json!({
            "id": "cs_1", "object": "checkout.session", "customer": null, "subscription": null, "mode": "payment",
            "client_reference_id": account, "customer_details": { "email": "a@b.example" },
        });
        event(id, kind, world.now, &session)
    };
    let intent =
        json!({ "id": "pi_2", "object": "payment_intent", "customer": null, "metadata": { "account": account } });
    let paid = json!({ "id": "inpay_1", "invoice": "in_1", "payment": { "type": "payment_intent", "payment_intent": "pi_1" } });
    let charge = json!({
        "id": "ch_1", "object": "charge", "customer": "cus_1", "payment_intent": "pi_1", "amount": 700,
        "amount_captured": 700, "amount_refunded": 0, "created": world.now.timestamp(),
    });
    let subscription = active("cus_1", "sub_1", "price_monthly", world.now);
    let ended = with(&subscription, &json!({ "status": "canceled", "ended_at": world.now.timestamp() }));
    let told = [
        checkout("evt_1", "cus_1", "sub_1", &account, world.now),
        event("evt_2", "customer.subscription.created", world.now, &subscription),
        event("evt_3", "invoice_payment.paid", world.now, &paid),
        event("evt_4", "charge.succeeded", world.now, &charge),
        event("evt_5", "customer.subscription.deleted", world.at(1), &ended),
        paid_once("evt_6", "checkout.session.completed", &account),
        paid_once("evt_7", "checkout.session.completed", &old),
        paid_once("evt_8", "checkout.session.expired", &account),
        event("evt_9", "payment_intent.succeeded", world.now, &intent),
    ];
    world.apply(&told).await;
    let copied = world.billing.export_account(&account).await.expect("a copy").tables["webhook_events"].clone();
    let copied: Vec<&str> = copied.iter().filter_map(|event| event["event_id"].as_str()).collect();
    for id in ["evt_6", "evt_7", "evt_8", "evt_9"] {
        assert!(copied.contains(&id), "{id}: {copied:?}");
    }
    let id = format!("gone-{account}");
    let wish = EraseWish {
        account: &account,
        cancel: Cancel::Refuse,
        id: Some(&id),
        asker: Asker::Operator,
        rehearsal: Rehearsal::No,
    };
    assert!(world.billing.erase_account(wish).await.expect("it goes").changed);
    let dispute = json!({
        "id": "du_1", "object": "dispute", "charge": "ch_1", "payment_intent": "pi_1", "status": "needs_response",
        "created": world.at(5).timestamp(), "evidence": { "customer_email_address": "a@b.example" },
    });
    let refund = json!({
        "id": "re_1", "object": "refund", "charge": "ch_1", "payment_intent": "pi_1", "amount": 700, "status": "succeeded",
        "created": world.at(5).timestamp(),
    });
    for late in [
        event("evt_10", "charge.dispute.created", world.at(5), &dispute),
        event("evt_11", "refund.created", world.at(5), &refund),
        paid_once("evt_12", "checkout.session.completed", &account),
        paid_once("evt_13", "checkout.session.completed", &old),
        paid_once("evt_14", "checkout.session.expired", &account),
        event("evt_15", "payment_intent.succeeded", world.now, &intent),
    ] {
        world.apply(std::slice::from_ref(&late)).await;
        let (state, reason) = world.fate(late["id"].as_str().expect("an id")).await;
        assert_eq!(state, "ignored", "{late}: {reason:?}");
        assert!(reason.is_some_and(|reason| reason.starts_with("erased")), "{late}");
    }
    // The payment of an invoice names nobody.
    let with_body = "webhook_events where octet_length(body) > 0 and event_id <> 'evt_3'";
    for left in [with_body, "webhook_events where account is not null", "disputes"] {
        assert_eq!(count(&world.pool, format!("select count(*) from {left}")).await, 0, "{left}");
    }
    // The id of the wish had the name in it: it is known again, and cannot be read.
    let named = format!("select count(*) from operator_wishes where id like '%{account}%'");
    assert_eq!(count(&world.pool, named).await, 0);
    let mut conn = world.pool.acquire().await.expect("a connection");
    accounts::ensure(&mut conn, &account, world.now).await.expect("it is back");
    drop(conn);
    assert!(!world.billing.erase_account(wish).await.expect("it was done").changed, "once under one id");
}
