//! Connections that end when they should, and not before.

use std::future::pending;

use tokio::time::advance;

use super::*;

const PATIENCE: Patience = Patience { headers: Duration::from_secs(10), idle: Duration::from_secs(30) };

fn end(outcome: Outcome) -> End {
    match outcome {
        Outcome::Ended(end) => end,
        Outcome::GoesOn(_) => panic!("it goes on"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_goes_on_when_its_last_request_says_so() {
    let outcome = connection(async { go_on(Box::pin(async { End::Held("over") })) }, PATIENCE, pending::<()>()).await;
    let Outcome::GoesOn(rest) = outcome else { panic!("it ended") };
    assert_eq!(rest.await, End::Held("over"));
    let slow = async {
        go_on(Box::pin(async { End::Done }));
        pending::<()>().await;
    };
    assert_eq!(end(connection(slow, PATIENCE, pending::<()>()).await), End::Slow);
}

#[tokio::test(start_paused = true)]
async fn who_sends_no_headers_is_let_go_after_the_time_for_them() {
    let start = Instant::now();
    assert_eq!(end(connection(pending::<()>(), PATIENCE, pending::<()>()).await), End::Slow);
    assert_eq!(start.elapsed(), PATIENCE.headers);
}

#[tokio::test(start_paused = true)]
async fn between_requests_a_client_may_be_idle_for_so_long_and_no_longer() {
    // Longer than the time for headers, shorter, and no multiple of it.
    for idle in [1, 3, 10, 30, 37] {
        for busy in [0, 1, 4, 9, 12, 100] {
            let (idle, busy) = (Duration::from_secs(idle), Duration::from_secs(busy));
            let start = Instant::now();
            let work = async {
                begin();
                sleep(busy).await;
                finish();
                pending::<()>().await;
            };
            let patience = Patience { idle, ..PATIENCE };
            assert_eq!(end(connection(work, patience, pending::<()>()).await), End::Slow);
            assert_eq!(start.elapsed(), busy + idle, "busy for {busy:?}, idle for {idle:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_head_has_the_time_for_headers_and_no_more() {
    for before in [1, 9, 10, 11, 25, 29] {
        let work = async {
            begin();
            finish();
            sleep(Duration::from_secs(before)).await;
            // More and more of it comes, but not the whole.
            loop {
                wait_for_head();
                sleep(Duration::from_secs(1)).await;
            }
        };
        let start = Instant::now();
        assert_eq!(end(connection(work, PATIENCE, pending::<()>()).await), End::Slow);
        assert_eq!(start.elapsed(), Duration::from_secs(before) + PATIENCE.headers, "idle for {before} s");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_idle_when_all_ends_is_let_go_and_who_asks_is_answered() {
    let closing = || sleep(Duration::from_secs(1));
    let start = Instant::now();
    assert_eq!(end(connection(pending::<()>(), PATIENCE, closing()).await), End::Done);
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    let work = async {
        begin();
        sleep(Duration::from_secs(3600)).await;
    };
    assert_eq!(end(connection(work, PATIENCE, closing()).await), End::Done);
    assert_eq!(start.elapsed(), Duration::from_secs(3601));
}

#[tokio::test(start_paused = true)]
async fn a_request_under_way_is_not_idle() {
    let work = async {
        begin();
        sleep(Duration::from_secs(3600)).await;
    };
    assert_eq!(end(connection(work, PATIENCE, pending::<()>()).await), End::Done);
}

#[tokio::test(start_paused = true)]
async fn the_timer_is_polled_only_when_it_has_something_to_say() {
    let mut polls = 0;
    let mut timer = pin!(sleep(PATIENCE.headers));
    let slow = poll_fn(|context| {
        polls += 1;
        timer.as_mut().poll(context).map(|()| End::Slow)
    });
    let work = async {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        pending::<()>().await;
    };
    assert_eq!(streams(work, slow).await, End::Slow);
    assert_eq!(polls, 2, "once to begin and once to end");
}

#[tokio::test(start_paused = true)]
async fn what_is_held_ends_the_stream_while_it_waits() {
    let work = async {
        hold(Box::pin(async {
            sleep(Duration::from_secs(5)).await;
            "over"
        }));
        pending::<()>().await;
    };
    let start = Instant::now();
    assert_eq!(stream(work).await, End::Held("over"));
    assert_eq!(start.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn what_was_released_ends_nothing() {
    let work = async {
        hold(Box::pin(async {
            sleep(Duration::from_secs(5)).await;
            "over"
        }));
        tokio::task::yield_now().await;
        release();
        sleep(Duration::from_secs(60)).await;
    };
    assert_eq!(stream(work).await, End::Done);
}

#[tokio::test(start_paused = true)]
async fn guards_of_one_thread_do_not_meddle() {
    let ended = stream(async {
        hold(Box::pin(async { "mine" }));
        pending::<()>().await;
    });
    let other = async {
        advance(Duration::from_secs(1)).await;
    };
    assert_eq!(tokio::join!(ended, stream(other)), (End::Held("mine"), End::Done));
}
