//! Two builds that write records in different formats, side by side: neither breaks the other, whichever is newer.

use crate::freshness::{cached, version};
use crate::outage::{Reader, pushed};
use crate::world::{Arrangement, World, send};

#[tokio::test]
async fn a_record_of_a_newer_format_is_a_miss_and_stays_where_it_is() {
    let mut world = World::start(Arrangement::Separate).await;
    pushed(&world, 1.0).await;
    let reader = Reader::new();
    world.accepted(&reader.purchase()).await;
    world.everywhere("/premium/one", &reader.token, 200).await;
    let url = world.redis.as_ref().expect("this arrangement has one").url.clone();
    let mut redis = redis::Client::open(url).expect("a URL");
    let key = world.record_key(&reader.account).await;
    let newer = format!("3:{}:whatever comes after JSON", version(&world, &reader.account).await.expect("it is known"));
    redis::cmd("SET").arg(&key).arg(&newer).exec(&mut redis).expect("it is stored");
    redis::cmd("PUBLISH").arg(world.channel()).arg(&newer).exec(&mut redis).expect("it is published");
    // One that knows it, and one that knows nothing yet.
    world.processes[1].restart();
    world.processes[1].ready().await;
    for proxy in world.proxies() {
        let answer = send(world.request_to(proxy, "GET", "/premium/two", Some(&reader.token))).await;
        assert_eq!(answer.status, 200, "billing says what it cannot read: {answer:?}");
        let poisoned = proxy.metric("tollgate_lookups_total", &["outcome=\"poisoned\""]).await;
        assert_eq!(poisoned, 0.0, "{}: it is newer, not broken", proxy.process.name);
    }
    let stored: String = redis::cmd("GET").arg(&key).query(&mut redis).expect("it is there");
    assert_eq!(stored, newer, "the same version in an older format does not take its place");
    // A newer version does, in whatever format.
    world.accepted(&reader.end()).await;
    world.everywhere("/premium/three", &reader.token, 402).await;
    assert_eq!(cached(&world, &reader.account).await, version(&world, &reader.account).await);
    pushed(&world, 1.0).await;
}
