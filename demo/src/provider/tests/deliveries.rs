//! Webhooks: signed, in order, retried, held, dropped and repeated.

use super::{PATIENCE, SECRET, settings};
use crate::Timestamp;
use crate::provider::{CancelAt, EventForm, Provider, Settings, Shape, Subscribe, sign};
use crate::receiver::Receiver;

async fn pair(answers: &[u16]) -> (Provider, Receiver) {
    let receiver = Receiver::start(answers).await;
    let settings = Settings { webhook_url: Some(receiver.url.clone()), ..settings(Shape::Endive) };
    (Provider::start(settings).await.expect("a provider"), receiver)
}

fn emitted(provider: &Provider) -> Vec<String> {
    provider.events().iter().map(|event| event["id"].as_str().expect("an id").to_owned()).collect()
}

fn subscribe(provider: &Provider) -> String {
    let customer = provider.create_customer(Default::default()).expect("a customer");
    let new = Subscribe { customer, price: "price_monthly".to_owned(), ..Subscribe::default() };
    provider.subscribe(new).expect("a subscription")
}

#[tokio::test]
async fn events_arrive_in_the_order_of_emission_signed_over_their_bytes() {
    let (provider, receiver) = pair(&[]).await;
    subscribe(&provider);
    provider.settled(PATIENCE).await.expect("delivered");
    assert_eq!(receiver.ids(), emitted(&provider));
    for (place, received) in receiver.received().iter().enumerate() {
        let parts: Vec<(&str, &str)> =
            received.signature.split(',').map(|part| part.split_once('=').expect("a pair")).collect();
        assert_eq!((parts[0].0, parts[1].0), ("t", "v1"));
        let seconds: i64 = parts[0].1.parse().expect("seconds");
        assert!((crate::clock::now().timestamp() - seconds).abs() < 60, "the clock of the machine");
        let at = Timestamp::from_timestamp(seconds, 0).expect("a moment");
        assert_eq!(parts[1].1, sign(SECRET, at, &received.body).expect("a signature"));
        assert_eq!(parts.get(2).is_some_and(|part| part.0 == "v0"), place % 2 == 1, "now and then another scheme");
    }
}

#[tokio::test]
async fn signatures_keep_the_clock_of_the_machine_when_the_provider_is_in_the_future() {
    let (provider, receiver) = pair(&[]).await;
    subscribe(&provider);
    provider.advance(std::time::Duration::from_secs(400 * 86_400)).expect("later");
    provider.settled(PATIENCE).await.expect("delivered");
    let last = receiver.received().pop().expect("a request");
    let told = last.event()["created"].as_i64().expect("seconds");
    let signed: i64 = last.signature["t=".len()..].split(',').next().expect("t").parse().expect("seconds");
    assert!(told - signed > 300 * 86_400, "{told} {signed}");
}

#[tokio::test]
async fn what_is_not_accepted_is_sent_again_and_a_redirect_is_not_accepted() {
    let (provider, receiver) = pair(&[500, 302, 404]).await;
    provider.create_customer(Default::default()).expect("a customer");
    provider.settled(PATIENCE).await.expect("delivered");
    let statuses: Vec<_> = provider.delivery_log().iter().map(|attempt| attempt.status).collect();
    assert_eq!(statuses, [Some(500), Some(302), Some(404), Some(200)]);
    assert_eq!(receiver.ids(), vec![emitted(&provider)[0].clone(); 4]);
    assert_eq!(provider.delivery_log()[1].body, "answer 302");
}

#[tokio::test]
async fn after_the_last_try_an_event_is_given_up() {
    let (provider, receiver) = pair(&[503; 4]).await;
    let event = {
        provider.create_customer(Default::default()).expect("a customer");
        emitted(&provider)[0].clone()
    };
    provider.settled(PATIENCE).await.expect("given up");
    assert_eq!(receiver.received().len(), 4, "the first try and three delays");
    assert!(provider.deliver(&event).await.expect("a try").is_accepted(), "it can still be sent by hand");
}

#[tokio::test]
async fn held_events_can_be_reordered_repeated_and_dropped() {
    let (provider, receiver) = pair(&[]).await;
    provider.hold();
    let subscription = subscribe(&provider);
    provider.cancel(&subscription, CancelAt::Now).expect("canceled");
    let ids = emitted(&provider);
    assert_eq!(provider.waiting(), ids);
    let (first, second, last) = (&ids[0], &ids[1], &ids[ids.len() - 1]);

    provider.deliver(last).await.expect("delivered early");
    provider.redeliver(first).await.expect("delivered twice");
    provider.discard(second).expect("dropped");
    assert!(provider.discard(second).is_err(), "it no longer waits");
    assert_eq!(receiver.ids(), [last.clone(), first.clone()], "nothing else got out");

    provider.release();
    provider.settled(PATIENCE).await.expect("delivered");
    let rest = ids[2..ids.len() - 1].iter().cloned();
    let expected: Vec<String> = [last.clone(), first.clone(), first.clone()].into_iter().chain(rest).collect();
    assert_eq!(receiver.ids(), expected);
}

#[tokio::test]
async fn without_an_endpoint_events_are_kept_and_sent_by_hand() {
    let receiver = Receiver::start(&[]).await;
    let provider = Provider::start(settings(Shape::Basil)).await.expect("a provider");
    let event = provider.emit("charge.dispute.created", serde_json::json!({ "id": "du_1" })).expect("emitted");
    assert!(provider.deliver(&event).await.is_err(), "nowhere to send it");
    provider.set_webhook_url(Some(receiver.url.clone()));
    provider.settled(PATIENCE).await.expect("nothing waits");
    assert!(receiver.ids().is_empty());
    provider.deliver(&event).await.expect("delivered");
    assert_eq!(receiver.received()[0].event()["data"]["object"]["id"], "du_1");
    provider.shutdown().await;
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_is_a_failed_try() {
    let (provider, receiver) = pair(&[]).await;
    drop(receiver);
    provider.create_customer(Default::default()).expect("a customer");
    provider.settled(PATIENCE).await.expect("given up");
    let log = provider.delivery_log();
    assert_eq!(log.len(), 4);
    assert!(log.iter().all(|attempt| attempt.status.is_none() && !attempt.body.is_empty()), "{log:?}");
}

#[tokio::test]
async fn while_a_secret_is_rolled_both_sign() {
    let (provider, receiver) = pair(&[]).await;
    provider.set_webhook_secrets(vec!["whsec_old".to_owned(), "whsec_new".to_owned()]);
    provider.create_customer(Default::default()).expect("a customer");
    provider.settled(PATIENCE).await.expect("delivered");
    let received = receiver.received()[0].clone();
    let seconds = received.signature["t=".len()..].split(',').next().expect("t").parse().expect("seconds");
    let at = Timestamp::from_timestamp(seconds, 0).expect("a moment");
    for secret in ["whsec_old", "whsec_new"] {
        let signature = sign(secret, at, &received.body).expect("a signature");
        assert!(received.signature.contains(&format!(",v1={signature}")), "{}", received.signature);
    }
    assert!(!received.signature.contains(&sign(SECRET, at, &received.body).expect("a signature")));
}

#[tokio::test]
async fn during_a_migration_both_forms_of_an_event_arrive() {
    let receiver = Receiver::start(&[]).await;
    let settings = Settings {
        webhook_url: Some(receiver.url.clone()),
        events: EventForm::Both,
        mode: crate::provider::Mode::Live,
        account: Some("acct_other".to_owned()),
        ..settings(Shape::Endive)
    };
    let provider = Provider::start(settings).await.expect("a provider");
    let customer = provider.create_customer(Default::default()).expect("a customer");
    provider.settled(PATIENCE).await.expect("delivered");
    let [snapshot, thin] = [0, 1].map(|place| receiver.received()[place].event());
    assert_eq!((&snapshot["object"], &thin["object"]), (&"event".into(), &"v2.core.event".into()));
    assert_eq!((&snapshot["account"], &snapshot["livemode"]), (&"acct_other".into(), &true.into()));
    assert_eq!((&thin["context"], &thin["livemode"]), (&"acct_other".into(), &true.into()));
    assert_eq!((&thin["snapshot_event"], &thin["related_object"]["id"]), (&snapshot["id"], &customer.into()));
    assert_eq!(snapshot["data"]["object"]["livemode"], true);
}
