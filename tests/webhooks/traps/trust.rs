//! Which deliveries are believed: those that the provider signed, over these very bytes, of our account and mode.

use demo::provider::{Mode, Shape};
use serde_json::{Value, json};

use super::{Buyer, calm, number, provider, rests, shop};
use crate::world::stripe::{Event, SECRETS, Subscription, signature, unique};
use crate::world::{Answer, Arrangement, Setup, World, in_seconds, send};

#[tokio::test]
async fn w22_while_a_secret_is_rolled_both_are_believed() {
    let world = shop().await;
    let provider = provider(&world);
    let [old, new] = SECRETS;
    for secrets in [vec![old], vec![old, new], vec![new, old], vec![new], vec!["whsec_of_another_endpoint", new]] {
        provider.set_webhook_secrets(secrets.iter().map(|secret| (*secret).to_owned()).collect());
        let buyer = Buyer::at(provider);
        buyer.subscribes(provider);
        buyer.reads(&world, 200, &format!("{secrets:?}")).await;
    }
    let refused: Vec<_> = provider.delivery_log().into_iter().filter(|attempt| attempt.status != Some(200)).collect();
    assert!(refused.is_empty(), "none was refused on the way: {refused:?}");
    let body = Event::new("product.updated", json!({ "id": "prod_1" })).body();
    for secrets in
        [&["whsec_of_another_endpoint"][..], &[&old[..old.len() - 1]], &["", "whsec_"], &[&SECRETS.join(",")]]
    {
        let answer = world.deliver_raw(&body, Some(&signature(&body, in_seconds(0), secrets))).await;
        assert_eq!(answer.status, 401, "{secrets:?}: {answer:?}");
    }
}

#[tokio::test]
async fn w29_another_mode_and_another_account_give_nothing() {
    // The API key of this world is a test one, which sees nothing of the other mode.
    let setup = Setup::new(Arrangement::AllPostgres).provider(Shape::Endive);
    let world = World::with(setup.key("reconcile.delta", "\"0s\"").key("reconcile.full", "\"0s\"")).await;
    let provider = provider(&world);
    let buyer = Buyer::at(provider);
    calm(&world).await;
    provider.set_mode(Mode::Live);
    provider.hold();
    buyer.subscribes(provider);
    let told = provider.waiting();
    for event in &told {
        provider.deliver(event).await.expect("delivered");
    }
    calm(&world).await;
    for event in &told {
        let (state, reason) = rests(&world, event).await;
        assert!(state == "parked" && reason.contains("a live event, and it is a test key"), "{state} ({reason})");
    }
    provider.release();
    buyer.reads(&world, 402, "live events, test key").await;
    provider.set_mode(Mode::Test);
    let ours = Buyer::at(provider);
    ours.subscribes(provider);
    ours.reads(&world, 200, "test events, test key").await;

    for (configured, named, expected) in [
        (None, None, 200),
        (None, Some("acct_other"), 402),
        (Some("acct_ours"), Some("acct_ours"), 200),
        (Some("acct_ours"), Some("acct_other"), 402),
        (Some("acct_ours"), None, 200),
    ] {
        let setup = Setup::new(Arrangement::AllPostgres);
        let world = World::with(match configured {
            Some(account) => setup.key("stripe.account", &format!("\"{account}\"")),
            None => setup,
        })
        .await;
        let account = unique("buyer");
        let buyer = Buyer { token: crate::world::token(&account), account: account.clone(), customer: unique("cus") };
        let subscription = Subscription { metadata: Some(account), ..Subscription::of(&buyer.customer) };
        let event = match named {
            Some(named) => subscription.event("created").saying("account", json!(named)),
            None => subscription.event("created"),
        };
        let (state, reason) = world.settled(&event).await;
        assert!(expected == 200 || (state == "ignored" && reason.contains("account")), "{state} ({reason})");
        buyer.reads(&world, expected, &format!("{configured:?} is told of {named:?}")).await;
    }
}

/// An event that changes nothing, under an id.
fn event(id: &str) -> Event {
    Event::new("product.updated", json!({ "id": "prod_1", "name": "Käse", "amount": 1.5 })).called(id)
}

/// Writes the event of an id in one of many ways.
type Form = fn(&str) -> String;

/// One event in ever other bytes.
const FORMS: [(&str, Form); 6] = [
    ("compact", |id| event(id).body()),
    ("pretty", |id| {
        let parsed: Value = serde_json::from_str(&event(id).body()).expect("JSON");
        serde_json::to_string_pretty(&parsed).expect("JSON")
    }),
    ("with white space around it", |id| format!("\r\n\t {} \n\n", event(id).body())),
    ("escaped", |id| event(id).body().replace('ä', "\\u00e4").replace("prod_1", "prod\\u005f1")),
    ("with another spelling of a number", |id| event(id).body().replace("1.5", "1.50e0")),
    ("with a member twice", |id| event(id).body().replacen('{', "{\"pending_webhooks\":9,", 1)),
];

#[tokio::test]
async fn w37_a_signature_is_over_the_bytes_as_they_were_sent() {
    let world = World::start(Arrangement::AllPostgres).await;
    let deliver = async |body: Vec<u8>, signature: String| -> Answer {
        let request = world.request("POST", "/api/stripe/webhook", None).header("stripe-signature", signature);
        send(request.body(body)).await
    };
    for (what, form) in FORMS {
        let id = unique("evt");
        let sent = form(&id);
        let reencoded = event(&id).body();
        let over_these = signature(&sent, in_seconds(0), &SECRETS[..1]);
        if sent != reencoded {
            let answer = deliver(reencoded.into_bytes(), over_these.clone()).await;
            assert_eq!(answer.status, 401, "{what}, re-encoded: {answer:?}");
        }
        let answer = deliver(sent.clone().into_bytes(), over_these).await;
        assert_eq!(answer.status, 200, "{what}: {answer:?}");
        calm(&world).await;
        let kept = "select count(*) from webhook_events where body = convert_to($1, 'UTF8')";
        assert_eq!(number(&world, kept, &sent).await, 1, "{what}: kept as it was sent");
    }
    // Bytes that are no text: refused for what they are, and not by a signature over a repaired text.
    let mut broken = event(&unique("evt")).body().into_bytes();
    let place = broken.iter().position(|byte| *byte == 0xc3).expect("a two-byte letter");
    broken[place] = 0xff;
    let repaired = String::from_utf8_lossy(&broken).into_owned();
    let answer = deliver(broken, signature(&repaired, in_seconds(0), &SECRETS[..1])).await;
    assert_eq!(answer.status, 401, "{answer:?}");
}
