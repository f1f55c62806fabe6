//! Lives at the simulated provider, told over a network and to processes of which everything can fail. In the end
//! every account has what the provider says, and nothing that was acknowledged is lost.
//!
//! Everything that is done follows from a seed; when it happens does not. `make chaos` runs a hundred seeds, and
//! `CHAOS_SEEDS=1000 make chaos` more; a failure names its seed, and `CHAOS_SEED=17 make chaos` repeats it.

mod absent;
mod calm;
mod life;
mod post;
mod story;
mod truth;
mod weather;

use std::time::Instant;

use demo::provider::Shape;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use tokio::task::LocalSet;

use crate::world::{Arrangement, Setup, World, send, token};

use absent::Absent;
use life::Lives;
use post::{Network, Post};
use story::{Story, say};
use weather::{Operator, Outage, Weather};

/// What runs with all other tests.
const FIXED: [u64; 3] = [1, 2, 3];

/// Steps in one run.
const STEPS: usize = 8;

#[tokio::test]
async fn whatever_fails_every_account_ends_with_what_the_provider_says() {
    let seeds: Vec<u64> = match (number("CHAOS_SEED"), number("CHAOS_SEEDS")) {
        (Some(seed), _) => vec![seed],
        (None, Some(count)) => (1..=count).collect(),
        (None, None) => FIXED.to_vec(),
    };
    let mut failed = Vec::new();
    for seed in &seeds {
        let start = Instant::now();
        // A failure of one seed must not hide those of the others.
        let ended = LocalSet::new().run_until(async { tokio::task::spawn_local(run(*seed)).await }).await;
        match ended {
            Ok(summary) => {
                say(&format!("chaos: seed {seed}: well in {:.1} s: {summary}", start.elapsed().as_secs_f32()));
            }
            Err(_) => failed.push(*seed),
        }
    }
    let repeat: Vec<String> = failed.iter().map(|seed| format!("CHAOS_SEED={seed} make chaos")).collect();
    assert!(failed.is_empty(), "{} of {} seeds failed; to repeat: {}", failed.len(), seeds.len(), repeat.join("; "));
}

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number: {text:?}")))
}

/// Sources of chance that do not depend on each other: how long something takes must not change what happens elsewhere.
fn chance(seed: u64, what: u64) -> StdRng {
    StdRng::seed_from_u64(seed.wrapping_mul(16).wrapping_add(what))
}

/// One world, one seed. Answers what there was of everything.
async fn run(seed: u64) -> String {
    let story = Story::of(seed);
    let shape = *Shape::ALL.choose(&mut chance(seed, 0)).expect("there are some");
    let setup = Setup::new(Arrangement::Separate).provider(shape).relays();
    // Only what is lost is made good by comparing, and only when the operator does.
    let setup = setup.key("reconcile.delta", "\"0s\"").key("reconcile.full", "\"0s\"");
    let mut world = World::with(setup).await;
    let provider = world.provider.take().expect("this world has one");
    calm::watch_for_returns(&world).await;
    let mut post = Post::take_over(chance(seed, 1), &provider);
    let mut lives = Lives::begin(chance(seed, 2), &provider, seed);
    let mut skies = chance(seed, 3);
    let mut absent = Absent::default();
    // Connections that Postgres lost are found out one by one, by those who use them.
    let mut trust = Network::Fine;
    for step in 0..STEPS {
        story.tell(format!("- step {step}"));
        let weather = Weather::draw(&mut skies, world.processes.len());
        weather.set_manner(&provider);
        lives.step(&provider, &story);
        post.collect(&provider, step, &story);
        absent.step(&mut world).await;
        weather.begin(&mut world, &provider, &story);
        trust = if weather.postgres == Outage::None { trust } else { Network::Disturbed };
        let is_fine = absent.is_nobody() && weather.kill.is_none() && trust == Network::Fine;
        let network = if is_fine { Network::Fine } else { Network::Disturbed };
        let url = world.url.clone();
        let mut kill = weather.kill.filter(|kill| !absent.has(kill.process));
        post.round(step, &provider, &url, network, |made| {
            if let Some(due) = kill.take_if(|kill| kill.after <= made) {
                absent.kill(&mut world.processes, due);
            }
        })
        .await;
        look(&world, &lives, &absent).await;
        if weather.operator == Operator::Compares && network == Network::Fine {
            // The provider may fail, and then so does this; it must only end.
            world.tollgate(&["reconcile"]).await;
        }
        Weather::end(&world, &provider);
    }
    let counts = format!(
        "{} events, {} dropped, {} cut off, {} refused",
        post::bodies(&provider).len(),
        post.dropped.len(),
        post.cut_off,
        post.refused
    );
    calm::settle(&mut world, &provider, &mut post, &mut absent).await;
    calm::compare(&world, &provider, &lives).await;
    counts
}

/// Whatever is wrong, a reader gets an answer that means something.
async fn look(world: &World, lives: &Lives, absent: &Absent) {
    for (number, proxy) in world.processes.iter().enumerate() {
        if proxy.role == "billing" || absent.has(number) {
            continue;
        }
        for account in &lives.accounts {
            let request = world.request_to(proxy, "GET", "/premium/one", Some(&token(&account.name)));
            let answer = send(request).await;
            assert!([200, 402, 503].contains(&answer.status), "{}: {answer:?}", account.name);
        }
    }
}
