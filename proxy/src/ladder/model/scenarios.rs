//! One short sequence for each rule: taken out, that sequence breaks. Some are too rare for chance.

use super::rule::Rule;
use super::run;
use super::step::Step::{
    self, Answer, Commit, Deliver, Evict, Failover, Fill, Flood, Forget, Lose, Pass, Publish, Read, Recheck, Reconnect,
    Refuse, Replicate, Silence, Snapshot,
};

/// Longer than anything may be stale.
const LONG: Step = Pass(6_000);

/// How long after a change that the cache could not be told of every proxy has heard of it.
const HEARD: Step = Pass(1_300);

/// What must hold of these steps for proxy 0 and account 0.
fn holds(steps: &[Step]) {
    if let Err(broken) = run(steps, None) {
        panic!("{broken}\nafter {steps:?}");
    }
}

/// The account changes, and the cache is told.
const fn told() -> [Step; 3] {
    [Commit(0), Snapshot(0), Publish(0)]
}

/// Asks, and is answered by Redis and then, when it holds nothing, by billing.
const fn read() -> [Step; 3] {
    [Read(0, 0), Answer(0), Answer(0)]
}

fn steps(parts: &[&[Step]]) -> Vec<Step> {
    parts.concat()
}

/// What breaks when a rule is left out.
fn needing(rule: Rule) -> Vec<Step> {
    let known = steps(&[&[Reconnect(0)], &told(), &[Deliver(0)], &read()]);
    let late = [LONG, Read(0, 0), Answer(0), Answer(0)];
    match rule {
        // Two read the account; whoever read it first comes last.
        Rule::SetIfNewer => {
            let two = [Commit(0), Snapshot(0), Commit(0), Snapshot(0), Publish(1), Publish(0)];
            steps(&[&two, &late])
        }
        Rule::PushWhatIsKnown => {
            let filled = [Commit(0), Recheck(1, 0), Answer(0), Fill(0), Snapshot(0), Publish(0), Deliver(0)];
            steps(&[&known, &filled, &late])
        }
        Rule::VerifyFills => {
            let asked = [Commit(0), Recheck(1, 0), Answer(0)];
            steps(&[&asked, &told(), &[Evict(0), Fill(0)], &late])
        }
        Rule::StoreAgain => steps(&[&told(), &[Replicate], &told(), &[Failover], &late]),
        Rule::TellOfBacklog => {
            let refused = [Refuse, Commit(0), Snapshot(0), Publish(0)];
            steps(&[&known, &refused, &[HEARD], &late])
        }
        Rule::NoticeLoss => steps(&[&known, &[Lose(0)], &told(), &late]),
        Rule::NoticeSilence => steps(&[&known, &[Silence(0)], &told(), &late]),
        Rule::TakePushesIn => steps(&[&known, &told(), &[Deliver(0)], &late]),
        Rule::KeepTheBound => steps(&[&[Commit(0), Recheck(0, 0), Answer(0), Commit(0)], &late]),
    }
}

#[test]
fn without_any_one_of_the_rules_something_older_is_served() {
    for rule in Rule::ALL {
        let steps = needing(rule);
        holds(&steps);
        assert!(run(&steps, Some(rule)).is_err(), "nothing breaks without {rule:?}");
    }
}

#[test]
fn an_answer_counts_for_the_epoch_in_which_it_was_asked_for() {
    // Redis has nothing; billing has read, and its answer is under way, while the channel is another.
    let asked = [Reconnect(0), Commit(0), Read(0, 0), Answer(0)];
    let landed = [Lose(0), Commit(0), Snapshot(0), Publish(0), Reconnect(0), Answer(0)];
    holds(&steps(&[&asked, &landed, &[LONG, Read(0, 0)]]));
}

#[test]
fn a_push_that_overtakes_an_answer_wins() {
    let asked = [Reconnect(0), Commit(0), Read(0, 0), Answer(0)];
    holds(&steps(&[&asked, &told(), &[Deliver(0), Answer(0)], &[LONG, Read(0, 0)]]));
}

#[test]
fn a_push_that_overtakes_a_question_before_a_denial_wins() {
    let asked = [Reconnect(0), Commit(0), Recheck(0, 0)];
    holds(&steps(&[&asked, &told(), &[Deliver(0), Answer(0)], &[LONG, Read(0, 0)]]));
}

#[test]
fn a_cache_that_could_not_be_told_is_not_read() {
    let known = steps(&[&told(), &read()]);
    let refused = [Refuse, Commit(0), Snapshot(0), Publish(0), HEARD];
    holds(&steps(&[&known, &refused, &[Pass(4_000), Forget(0, 0)], &read(), &[Pass(1_000)], &read()]));
}

#[test]
fn while_the_cache_cannot_be_told_nothing_is_taken_for_pushed() {
    let known = steps(&[&[Reconnect(0)], &told(), &read()]);
    let refused = [Refuse, Commit(0), Snapshot(0), Publish(0), HEARD];
    // Neither what was known before, nor what billing says meanwhile.
    let later = [Commit(0), Snapshot(0), Publish(0)];
    holds(&steps(&[&known, &refused, &[LONG], &read(), &later, &[LONG], &read()]));
}

#[test]
fn what_redis_says_is_believed_for_half_of_the_time() {
    // It is outdated already when it is read, and that is noticed later.
    let refused = [Refuse, Commit(0), Snapshot(0), Publish(0), Pass(1_200)];
    holds(&steps(&[&told(), &refused, &read(), &[Pass(4_900), Read(0, 0)]]));
}

#[test]
fn a_record_in_redis_that_is_older_than_what_is_known_is_not_believed() {
    // The older one comes back with a server that takes over.
    let known = steps(&[&told(), &[Replicate, Reconnect(0)], &told(), &[Deliver(0)], &read(), &[Lose(0)]]);
    holds(&steps(&[&known, &[Commit(0), LONG, Failover, Read(0, 0), Answer(0), Answer(0)]]));
}

#[test]
fn that_nothing_is_known_lasts_for_no_epoch_when_redis_says_so() {
    // Billing has read it; then the account is created, and told, and Redis forgets it before the old answer is filled in.
    let filled = steps(&[&[Recheck(1, 0), Answer(0)], &told(), &[Deliver(0), Evict(0), Fill(0)]]);
    // In a memory that knows the account from Redis alone, while so many are denied that nobody asks again.
    let read_again = [Pass(1_500), Flood(0), Read(0, 0), Answer(0), Answer(0)];
    let again = steps(&[&read_again, &read_again, &read_again, &read_again, &read_again]);
    holds(&steps(&[&[Reconnect(0)], &filled, &read(), &again]));
}
