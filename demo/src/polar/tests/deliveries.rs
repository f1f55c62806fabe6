//! Webhooks by Standard Webhooks: signed, retried under one id, held and repeated.

use super::{PATIENCE, SECRET, settings, subscribed};
use crate::Timestamp;
use crate::polar::{KeyForm, NewCustomer, Parcel, Polar, Settings, StandardSecret, sign_standard};
use crate::receiver::{Received, Receiver};

async fn pair(answers: &[u16]) -> (Polar, Receiver) {
    let receiver = Receiver::start(answers).await;
    let settings = Settings { webhook_url: Some(receiver.url.clone()), ..settings() };
    (Polar::start(settings).await.expect("a Polar"), receiver)
}

fn header(received: &Received, name: &str) -> String {
    received.headers[name].to_str().expect("text").to_owned()
}

/// Whether a request carries the signature that this secret makes.
fn is_signed(received: &Received, secret: &StandardSecret) -> bool {
    let seconds = header(received, "webhook-timestamp").parse().expect("seconds");
    let at = Timestamp::from_timestamp(seconds, 0).expect("a moment");
    let parcel = Parcel { id: &header(received, "webhook-id"), at, body: &received.body };
    let expected = sign_standard(secret, &parcel).expect("a signature");
    received.signature.split(' ').any(|signature| signature == expected)
}

fn secret(form: KeyForm) -> StandardSecret {
    StandardSecret { secret: SECRET.to_owned(), form }
}

#[tokio::test]
async fn a_delivery_is_signed_over_its_id_its_moment_and_its_bytes() {
    let (polar, receiver) = pair(&[]).await;
    subscribed(&polar, 0);
    polar.settled(PATIENCE).await.expect("delivered");
    let ids: Vec<_> = polar.events().into_iter().map(|(id, _)| id).collect();
    assert_eq!(receiver.received().iter().map(|one| header(one, "webhook-id")).collect::<Vec<_>>(), ids);
    for (received, (_, body)) in receiver.received().iter().zip(polar.events()) {
        assert!(is_signed(received, &secret(KeyForm::Decoded)) && !is_signed(received, &secret(KeyForm::Whole)));
        assert_eq!(received.event(), body);
        let mut fields: Vec<_> = body.as_object().expect("an envelope").keys().cloned().collect();
        fields.sort();
        assert_eq!(fields, ["data", "timestamp", "type"]);
    }
}

#[tokio::test]
async fn old_secrets_sign_with_all_their_letters_and_several_secrets_all_sign() {
    let (polar, receiver) = pair(&[]).await;
    let whole = StandardSecret { secret: "polar_whs_old".to_owned(), form: KeyForm::Whole };
    polar.set_webhook_secrets(vec![whole.clone(), secret(KeyForm::Decoded)]);
    polar.create_customer(NewCustomer::default()).expect("a customer");
    polar.settled(PATIENCE).await.expect("delivered");
    let received = receiver.received()[0].clone();
    assert_eq!(received.signature.split(' ').count(), 2);
    assert!(is_signed(&received, &whole) && is_signed(&received, &secret(KeyForm::Decoded)));
}

#[tokio::test]
async fn every_try_has_the_same_id_and_events_can_be_held_and_repeated() {
    let (polar, receiver) = pair(&[500, 302]).await;
    polar.create_customer(NewCustomer::default()).expect("a customer");
    polar.settled(PATIENCE).await.expect("delivered");
    let id = polar.events()[0].0.clone();
    let tries = receiver.received().iter().filter(|one| header(one, "webhook-id") == id).count();
    assert!(tries >= 2, "it failed at first, and came again");

    polar.hold();
    polar.create_customer(NewCustomer::default()).expect("a customer");
    let waiting = polar.waiting();
    assert_eq!(waiting.len(), 2);
    let before = receiver.received().len();
    assert!(polar.deliver(&waiting[1]).await.expect("a try").is_accepted());
    assert!(polar.redeliver(&id).await.expect("a try").is_accepted());
    polar.discard(&waiting[0]).expect("dropped");
    assert!(polar.discard(&waiting[0]).is_err() && polar.waiting().is_empty());
    polar.release();
    polar.settled(PATIENCE).await.expect("nothing waits");
    let ids: Vec<_> = receiver.received()[before..].iter().map(|one| header(one, "webhook-id")).collect();
    assert_eq!(ids, [waiting[1].clone(), id]);
    polar.shutdown().await;
}

#[tokio::test]
async fn an_endpoint_that_always_fails_is_switched_off() {
    let receiver = Receiver::start(&[410; 20]).await;
    let settings = Settings { webhook_url: Some(receiver.url.clone()), failed_max: Some(10), ..settings() };
    let polar = Polar::start(settings).await.expect("a Polar");
    subscribed(&polar, 0);
    polar.settled(PATIENCE).await.expect("nothing waits");
    assert!(polar.is_switched_off());
    assert_eq!(receiver.received().len(), 10);
    polar.switch_on();
    polar.create_customer(NewCustomer::default()).expect("a customer");
    polar.settled(PATIENCE).await.expect("delivered, or given up");
    assert!(receiver.received().len() > 10);
}
