//! What a delivery is answered, and what of it is kept.

use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::voice::{Message, Status, VOICES};
use super::{Stage, ok, send, world};
use crate::settings::Secret;
use crate::tests::{WEBHOOK_SECRET, World, billing_on, settings};

const MIB: usize = 1024 * 1024;

#[sqlx::test(migrations = "../migrations")]
async fn a_delivery_is_ok_accepted_ignored_or_a_duplicate(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    for voice in VOICES {
        let stage = Stage::new(&world, voice);
        let subscribed = voice.subscription("evt-1", "c-1", &stage.standing(Status::Active, 0));
        assert_eq!(stage.deliver(&subscribed).await, ok("accepted"), "{voice:?}: parked, but durable");
        assert_eq!(stage.deliver(&subscribed).await, ok("accepted"), "{voice:?}: not done, so no duplicate");
        assert_eq!(stage.deliver(&stage.linked("evt-2", "c-1")).await, ok("ok"), "{voice:?}");
        world.billing.apply_due(crate::clock::now()).await.expect("the worker");
        assert_eq!(stage.deliver(&subscribed).await, ok("duplicate"), "{voice:?}");
        assert_eq!(stage.has(world.at(60)).await, "paid active", "{voice:?}");
        let ended = voice.subscription("evt-3", "c-1", &stage.standing(Status::Ended, 1));
        assert_eq!(stage.deliver(&ended).await, ok("ok"), "{voice:?}");
        let of_no_concern = voice.of_no_concern("evt-4", world.now);
        assert_eq!(stage.deliver(&of_no_concern).await, ok("ignored"), "{voice:?}");
        assert_eq!(stage.deliver(&of_no_concern).await, ok("duplicate"), "{voice:?}");
        let unreadable = voice.unreadable("evt-5", world.now);
        assert_eq!(stage.deliver(&unreadable).await, ok("accepted"), "{voice:?}: durable, though nobody can read it");
        assert_eq!(stage.has(world.at(60)).await, "free none", "{voice:?}");
    }
    let kept = world.billing.events(&crate::Filter::default(), 100).await.expect("the inbox");
    assert_eq!(kept.len(), 10, "an id of one provider is not the other's");
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_not_a_signed_event_is_refused_and_not_kept(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let second = crate::clock::now().timestamp();
    for voice in VOICES {
        let good = voice.of_no_concern("evt-1", world.now);
        let signed = |message: &Message| voice.signed(&[WEBHOOK_SECRET], second, message);
        let made = |body: Vec<u8>| Message { id: "evt-1".into(), body };
        let other = made(b"other".to_vec());
        let full = made([good.body.clone(), vec![b' '; MIB - good.body.len()]].concat());
        let large = made([full.body.clone(), vec![b' ']].concat());
        let deep = made(vec![b'['; 9999]);
        let no_kind =
            made(json!({ "id": "evt-1", "created": 1, "timestamp": "2026-03-01T00:00:00Z" }).to_string().into());
        let old = voice.signed(&[WEBHOOK_SECRET], second - 400, &good);
        let ahead = voice.signed(&[WEBHOOK_SECRET], second + 400, &good);
        let none = voice.signed(&[], second, &good);
        let cases = [
            ("a bad signature", signed(&other), &good, 401, "invalid_signature"),
            ("another secret", voice.signed(&["whsec_other"], second, &good), &good, 401, "invalid_signature"),
            ("an old signature", old, &good, 401, "invalid_signature"),
            ("a signature from the future", ahead, &good, 401, "invalid_signature"),
            ("no signature in the header", none, &good, 401, "invalid_signature"),
            ("too large", signed(&large), &large, 413, "too_large"),
            ("not JSON", signed(&other), &other, 400, "not_an_event"),
            ("not UTF-8", signed(&made(b"\xff".to_vec())), &made(b"\xff".to_vec()), 400, "not_an_event"),
            ("empty", signed(&made(Vec::new())), &made(Vec::new()), 400, "not_an_event"),
            ("no type", signed(&no_kind), &no_kind, 400, "not_an_event"),
            ("nested beyond reason", signed(&deep), &deep, 400, "not_an_event"),
        ];
        for (what, headers, message, status, code) in cases {
            let (seen, problem) = send(&world.billing, voice, &headers, &message.body).await;
            assert_eq!((seen.as_u16(), problem["code"].as_str()), (status, Some(code)), "{voice:?}, {what}: {problem}");
        }
        for (missing, _) in signed(&good) {
            let headers: Vec<_> = signed(&good).into_iter().filter(|(name, _)| *name != missing).collect();
            let (seen, problem) = send(&world.billing, voice, &headers, &good.body).await;
            let expected = (400, Some("missing_signature"));
            assert_eq!((seen.as_u16(), problem["code"].as_str()), expected, "{voice:?}, without {missing}");
        }
        let kept = world.billing.events(&crate::Filter::default(), 10).await.expect("the inbox");
        assert!(kept.iter().all(|line| line.provider != voice.0.as_str()), "{voice:?}: {kept:?}");
        let answer = send(&world.billing, voice, &signed(&full), &full.body).await;
        assert_eq!(answer, ok("ignored"), "{voice:?}: 1 MiB is not too large");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn headers_that_nobody_expects_are_refused_and_never_an_error_of_ours(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = World::new(options, connect).await;
    let second = crate::clock::now().timestamp();
    for voice in VOICES {
        let good = voice.of_no_concern("evt-1", world.now);
        for (at, (name, value)) in voice.signed(&["whsec_other"], second, &good).into_iter().enumerate() {
            let odd =
                ["", " ", "café", ",", "=", "v1", "-1", &"9".repeat(60_000), &format!("{value},{value}"), "\u{7f}"];
            for odd in odd.iter().filter(|odd| http::HeaderValue::from_str(odd).is_ok()) {
                let mut headers = voice.signed(&["whsec_other"], second, &good);
                headers[at].1 = (*odd).to_owned();
                for headers in [headers.clone(), [headers, vec![(name, value.clone())]].concat()] {
                    let (status, problem) = send(&world.billing, voice, &headers, &good.body).await;
                    assert!(matches!(status.as_u16(), 400 | 401), "{voice:?}, {name}: {status} {problem}");
                }
            }
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn while_a_secret_is_replaced_both_are_believed(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    let mut two = settings();
    let secrets = || vec![Secret::from("whsec_old"), Secret::from("whsec_new")];
    (two.stripe.webhook_secrets, two.polar.webhook_secrets) = (secrets(), secrets());
    world.billing = billing_on(&world.pool, two, None);
    let second = crate::clock::now().timestamp();
    for voice in VOICES {
        let cases: [(&str, &[&str], u16); 4] = [
            ("evt-old", &["whsec_old"], 200),
            ("evt-new", &["whsec_new"], 200),
            ("evt-both", &["whsec_other", "whsec_new"], 200),
            ("evt-none", &["whsec_other", "whsec_third"], 401),
        ];
        for (id, secrets, expected) in cases {
            let message = voice.of_no_concern(id, world.now);
            let headers = voice.signed(secrets, second, &message);
            let (status, answer) = send(&world.billing, voice, &headers, &message.body).await;
            assert_eq!(status.as_u16(), expected, "{voice:?} {id}: {answer}");
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn without_a_secret_or_a_database_a_delivery_is_to_come_again(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    world.pool.close().await;
    for voice in VOICES {
        let (status, problem) = Stage::new(&world, voice).deliver(&voice.of_no_concern("evt-1", world.now)).await;
        let expected = (503, Some("database_unavailable"));
        assert_eq!((status.as_u16(), problem["code"].as_str()), expected, "{voice:?}");
    }
    let mut unset = settings();
    unset.stripe.webhook_secrets.clear();
    // One that is only a prefix would let everybody sign.
    unset.polar.webhook_secrets = vec![Secret::from("whsec_")];
    world.billing = billing_on(&world.pool, unset, None);
    for voice in VOICES {
        let message = voice.of_no_concern("evt-1", world.now);
        for headers in [vec![], voice.signed(&["whsec_"], crate::clock::now().timestamp(), &message)] {
            let (status, problem) = send(&world.billing, voice, &headers, &message.body).await;
            let expected = (503, Some("not_configured"));
            assert_eq!((status.as_u16(), problem["code"].as_str()), expected, "{voice:?}");
        }
    }
}
