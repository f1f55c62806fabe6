//! Every head of an answer passes the same filter, however it comes and wherever it goes.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Wire, get, rest, statuses};
use crate::world::stripe::{Subscription, checkout_completed, unique};
use crate::world::token;

const PAGE: &str = "HTTP/1.1 200 OK\r\nCache-Control: public, max-age=60\r\nContent-Length: 4\r\n\r\npaid";
const HINT: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
const PROCESSING: &str = "HTTP/1.1 102 Processing\r\n\r\n";

#[tokio::test]
async fn a_final_head_that_comes_with_others_before_it_is_filtered_like_any() {
    for (way, wire) in Wire::both().await {
        let paying = super::super::paying(&wire.world).await;
        let cases: [(&str, Vec<&str>); 7] = [
            ("one", vec![PAGE]),
            ("hint", vec![HINT, PAGE]),
            ("hints", vec![HINT, HINT, CONTINUE, PROCESSING, PAGE]),
            ("continue", vec![CONTINUE, PAGE]),
            ("processing", vec![PROCESSING, PAGE]),
            ("cut", vec![HINT, &PAGE[..9], &PAGE[9..40], &PAGE[40..]]),
            ("odd", vec![&HINT[..20], &HINT[20..], PAGE]),
        ];
        for (name, pieces) in cases {
            for joined in [false, true] {
                let whole = pieces.concat();
                let pieces = if joined { vec![whole.as_str()] } else { pieces.clone() };
                for (target, lines) in [(format!("/premium/{name}"), paying.as_str()), (format!("/{name}"), "X: y")] {
                    wire.site.says(&target, &pieces);
                    // As often as a race would have to be lost.
                    for _ in 0..5 {
                        let answer = wire.all(get(&target, &format!("{lines}\r\n"))).await;
                        let last = *statuses(&answer).last().expect("an answer");
                        let head = answer.rsplit_once("HTTP/1.").expect("a head").1.to_lowercase();
                        assert_eq!((last, answer.ends_with("\r\n\r\npaid")), (200, true), "{way} {target}: {answer}");
                        let is_gated = target.starts_with("/premium");
                        assert_eq!(
                            head.contains("cache-control: private, max-age=60"),
                            is_gated,
                            "{way} {target}: {answer}"
                        );
                        assert!(head.contains("vary: cookie, authorization"), "{way} {target}: {answer}");
                        assert_eq!(
                            statuses(&answer).len(),
                            whole.matches("HTTP/1.1 ").count(),
                            "{way} {target}: {answer}"
                        );
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn an_answer_without_a_length_is_framed_though_others_come_before_it() {
    for (way, wire) in Wire::both().await {
        let open = super::Script {
            pieces: vec![format!("{HINT}HTTP/1.1 200 OK\r\n\r\nuntil the end").into_bytes()],
            closes: true,
            ..Default::default()
        };
        wire.site.plays("/open", open);
        let mut stream = TcpStream::connect(wire.public).await.expect("a connection");
        stream.write_all((get("/open", "") + get("/next", "").as_str()).as_bytes()).await.expect("it is sent");
        stream.shutdown().await.expect("it is open");
        let answer = rest(&mut stream).await;
        assert_eq!(statuses(&answer), [103, 200, 200], "{way}: {answer}");
        assert!(answer.to_lowercase().contains("transfer-encoding: chunked"), "{way}: {answer}");
        assert!(answer.contains("until the end\r\n0\r\n\r\n"), "{way}: {answer}");
    }
}

#[tokio::test]
async fn a_change_of_protocol_that_nobody_asked_for_reaches_nobody() {
    const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    for (way, wire) in Wire::both().await {
        let paying = super::super::paying(&wire.world).await;
        let cases: [(&str, Vec<String>); 4] = [
            ("at-once", vec![format!("{SWITCH}SECRET")]),
            ("hinted", vec![format!("{HINT}{SWITCH}SECRET")]),
            ("later", vec![HINT.to_owned(), SWITCH.to_owned(), "SECRET".to_owned()]),
            ("continued", vec![format!("{CONTINUE}{HINT}{SWITCH}SECRET{PAGE}")]),
        ];
        for (name, pieces) in cases {
            for (target, lines) in [(format!("/premium/{name}"), paying.as_str()), (format!("/{name}"), "X: y")] {
                wire.site.says(&target, &pieces.iter().map(String::as_str).collect::<Vec<_>>());
                let answer = wire.all(get(&target, &format!("{lines}\r\n"))).await;
                assert_eq!(statuses(&answer).last(), Some(&502), "{way} {target}: {answer}");
                assert!(!answer.contains("SECRET") && !statuses(&answer).contains(&101), "{way} {target}: {answer}");
            }
        }
    }
}

#[tokio::test]
async fn an_event_stream_behind_an_early_hint_ends_with_its_right() {
    for (way, wire) in Wire::both().await {
        let (account, subscription) = (unique("streamer"), Subscription::of(&unique("cus")));
        let token = token(&account);
        let world = &wire.world;
        world.accepted(&checkout_completed(Some(&account), &subscription.customer, &subscription.id)).await;
        world.accepted(&subscription.event("created")).await;
        world.everywhere("/premium/page", &token, 200).await;
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: welcome\n\n";
        wire.site.says("/premium/events", &[&format!("{HINT}{head}")]);
        let mut stream = TcpStream::connect(wire.public).await.expect("a connection");
        stream
            .write_all(get("/premium/events", &format!("Authorization: Bearer {token}\r\n")).as_bytes())
            .await
            .expect("it is sent");
        let mut seen = Vec::new();
        while !seen.windows(7).any(|some| some == b"welcome") {
            assert_ne!(stream.read_buf(&mut seen).await.expect("an answer"), 0, "{way}");
        }
        world.applied(&subscription.ended().event("deleted")).await;
        // It ends, although the site goes on: else this waits for the deadline.
        rest(&mut stream).await;
    }
}
