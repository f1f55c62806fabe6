//! The freshness protocol under every order of events: the real ladders of two proxies, over a Redis that follows the rule
//! of the real script, and billing processes that publish, fill and fail in any order.
//!
//! Time passes only when it is said to, and what has a bound in reality is done before its bound is over: an answer, a
//! push over a channel that holds, the next attempt to publish, the test of a channel. Everything else may take for ever.
//! The wall clocks of the proxies are minutes apart.
//!
//! A model that cannot fail shows nothing: what it plays itself is left out, rule by rule, and then it must fail. What is in
//! the real ladders has a short scenario for each rule.

mod outside;
mod rule;
mod scenarios;
mod step;
mod world;

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use rule::Rule;
use step::{Step, any_step};
use world::World;

/// Sequences that are tried, each of so many steps. The seed is fixed: a run is the same everywhere.
const CASES: u32 = 300;
const STEPS: std::ops::Range<usize> = 40..160;
const SEED: [u8; 32] = *b"freshness: what was paid for now";

/// Runs one sequence from the beginning, without one of the rules; `Err` says what was broken.
fn run(steps: &[Step], without: Option<Rule>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let ran = runtime.block_on(async {
        let mut world = World::new(without);
        for step in steps {
            world.take(*step).await?;
        }
        world.converge().await
    });
    // What still waits for an answer waits in vain.
    runtime.shutdown_timeout(Duration::ZERO);
    ran
}

#[test]
fn nothing_is_served_that_is_older_than_it_may_be_whatever_races() {
    let config = Config { cases: CASES, failure_persistence: None, max_shrink_iters: 4000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &SEED));
    let steps = prop::collection::vec(any_step(), STEPS);
    let outcome = runner.run(&steps, |steps| run(&steps, None).map_err(TestCaseError::fail));
    if let Err(broken) = outcome {
        panic!("{broken}");
    }
}
