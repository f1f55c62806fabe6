//! What can happen.

use proptest::prelude::*;

pub(super) const REPLICAS: usize = 2;
pub(super) const ACCOUNTS: usize = 2;

/// One thing that happens. Numbers that choose among what waits are taken modulo how much does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// An account changes: committed, not yet told.
    Commit(usize),
    /// A billing process reads an account, to publish what it has.
    Snapshot(usize),
    /// One of those is stored and pushed, or fails.
    Publish(usize),
    /// The answer to a miss is put into Redis at last.
    Fill(usize),
    /// Whoever has filled looks whether it was outdated.
    Verify(usize),
    /// A request asks a proxy.
    Read(usize, usize),
    /// A proxy asks billing itself, before a denial.
    Recheck(usize, usize),
    /// A proxy asks Redis alone, before a denial that billing does not check.
    Reread(usize, usize),
    /// So many were denied that a proxy asks billing about those who have not paid no more for now.
    Flood(usize),
    /// A layer answers a question.
    Answer(usize),
    /// A proxy takes in the next change that was pushed to it.
    Deliver(usize),
    /// A proxy loses its channel and knows it.
    Lose(usize),
    /// A proxy loses its channel without a word.
    Silence(usize),
    Reconnect(usize),
    /// Redis evicts a record.
    Evict(usize),
    /// Redis starts again, empty.
    Restart,
    /// A replica of Redis has what the master has now.
    Replicate,
    /// That replica takes over, with what it had.
    Failover,
    /// Redis refuses to store: no memory, or read-only.
    Refuse,
    Accept,
    /// A proxy forgets an account.
    Forget(usize, usize),
    /// So many milliseconds pass.
    Pass(u64),
}

pub(super) fn any_step() -> impl Strategy<Value = Step> {
    use Step::{
        Accept, Answer, Commit, Deliver, Evict, Failover, Fill, Flood, Forget, Lose, Pass, Publish, Read, Recheck,
        Reconnect, Refuse, Replicate, Reread, Restart, Silence, Snapshot, Verify,
    };
    let (replica, account, any) = (0..REPLICAS, 0..ACCOUNTS, 0..8_usize);
    prop_oneof![
        3 => account.clone().prop_map(Commit),
        4 => account.clone().prop_map(Snapshot),
        5 => any.clone().prop_map(Publish),
        3 => any.clone().prop_map(Fill),
        2 => any.clone().prop_map(Verify),
        10 => (replica.clone(), account.clone()).prop_map(|(replica, account)| Read(replica, account)),
        4 => (replica.clone(), account.clone()).prop_map(|(replica, account)| Recheck(replica, account)),
        2 => (replica.clone(), account.clone()).prop_map(|(replica, account)| Reread(replica, account)),
        1 => replica.clone().prop_map(Flood),
        8 => any.prop_map(Answer),
        5 => replica.clone().prop_map(Deliver),
        1 => replica.clone().prop_map(Lose),
        1 => replica.clone().prop_map(Silence),
        4 => replica.clone().prop_map(Reconnect),
        2 => account.clone().prop_map(Evict),
        1 => Just(Restart),
        1 => Just(Replicate),
        1 => Just(Failover),
        1 => Just(Refuse),
        2 => Just(Accept),
        4 => (replica, account).prop_map(|(replica, account)| Forget(replica, account)),
        9 => (1..1200_u64).prop_map(Pass),
    ]
}
