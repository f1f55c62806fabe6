//! Keys that an identity provider publishes: rotated, withdrawn, and not to be had.

use std::time::Instant;

use futures_util::future::join_all;

use super::host::{Answer, Host};
use super::*;

const EVER: Duration = Duration::from_secs(3_600);
const NEVER: Duration = Duration::from_millis(1);

/// Follows the host's keys for EdDSA and RS256, and asks it as often as this.
fn following(host: &Host, refresh: Duration, refetch_min: Duration) -> Identity {
    let location = host.url().parse().expect("a URL");
    let algorithms = vec![Algorithm::EdDSA, Algorithm::RS256];
    let identity = with_keys(Keys::Published(JwksSettings { location, algorithms, refresh, refetch_min }));
    identity.follow(&Handle::current());
    identity
}

/// A token that names a key.
fn naming(id: &str, key: &str) -> HeaderMap {
    let header = json!({ "alg": "EdDSA", "kid": id });
    bearing(&forged(&header.to_string(), &claims().to_string(), Algorithm::EdDSA, key))
}

fn ed25519(id: &str) -> Value {
    jwk(ED25519, Algorithm::EdDSA, id)
}

fn other(id: &str) -> Value {
    jwk(ED25519_OTHER, Algorithm::EdDSA, id)
}

async fn credential(identity: &Identity, headers: &HeaderMap) -> Credential {
    identity.identify(Sender { headers, origin: None, now: Moment { time: at(NOW), ..clock::moment() } }).await
}

/// Asks again until it is so.
async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn the_first_set_is_waited_for_and_then_nothing_is() {
    let host = Host::start(Answer::Keys(vec![ed25519("a"), jwk(RSA, Algorithm::RS256, "b")]));
    let identity = following(&host, EVER, EVER);
    assert_eq!(credential(&identity, &naming("a", ED25519)).await, known("user-1"));
    assert!(identity.has_keys() && identity.reach().await.is_ok());
    assert_eq!(identity.peek(&naming("a", ED25519), at(NOW)), Some(known("user-1")));
    let rsa = forged(r#"{"alg":"RS256","kid":"b"}"#, &claims().to_string(), Algorithm::RS256, RSA);
    assert_eq!(identity.peek(&bearing(&rsa), at(NOW)), Some(known("user-1")));
    let nameless = bearing(&signed(Algorithm::EdDSA, ED25519, &claims()));
    assert_eq!(identity.peek(&nameless, at(NOW)), Some(known("user-1")), "the only key that it can mean");
    assert_eq!(host.asked(), 1);
}

#[tokio::test]
async fn a_key_serves_only_under_its_own_name_and_algorithm() {
    let host = Host::start(Answer::Keys(vec![ed25519("a"), other("b"), jwk(RSA, Algorithm::RS256, "c")]));
    let identity = following(&host, EVER, EVER);
    assert_eq!(credential(&identity, &naming("b", ED25519_OTHER)).await, known("user-1"));
    assert_eq!(credential(&identity, &naming("a", ED25519_OTHER)).await, Credential::Rejected);
    assert_eq!(credential(&identity, &naming("c", ED25519)).await, Credential::Rejected);
    let text = claims().to_string();
    for (algorithm, key) in [(Algorithm::PS256, RSA), (Algorithm::RS384, RSA), (Algorithm::RS256, RSA_OTHER)] {
        let header = json!({ "alg": algorithm, "kid": "c" }).to_string();
        let token = bearing(&forged(&header, &text, algorithm, key));
        assert_eq!(credential(&identity, &token).await, Credential::Rejected, "{algorithm:?}");
    }
    let set = json!({ "keys": [ed25519("a")] }).to_string();
    for secret in [set, ed25519("a").to_string(), ed25519("a")["x"].as_str().expect("a key").to_owned()] {
        let token = forged(r#"{"alg":"HS256","kid":"a"}"#, &text, Algorithm::HS256, &secret);
        assert_eq!(credential(&identity, &bearing(&token)).await, Credential::Rejected, "the set as a secret");
    }
    assert_eq!(host.asked(), 1, "none of these could be verified by another set");
}

#[tokio::test]
async fn a_new_key_is_found_by_the_first_token_that_names_it() {
    let host = Host::start(Answer::Keys(vec![ed25519("a")]));
    let identity = following(&host, EVER, NEVER);
    assert_eq!(credential(&identity, &naming("a", ED25519)).await, known("user-1"));
    host.answers(Answer::Keys(vec![ed25519("a"), other("b")]));
    eventually("the new key is found", async || {
        credential(&identity, &naming("b", ED25519_OTHER)).await == known("user-1")
    })
    .await;
    assert_eq!(identity.peek(&naming("a", ED25519), at(NOW)), Some(known("user-1")), "and the old one still counts");
}

#[tokio::test]
async fn a_withdrawn_key_counts_no_longer_for_tokens_seen_before() {
    let host = Host::start(Answer::Keys(vec![ed25519("a"), other("b")]));
    let identity = following(&host, Duration::from_millis(20), NEVER);
    let (old, new) = (naming("a", ED25519), naming("b", ED25519_OTHER));
    assert_eq!(credential(&identity, &old).await, known("user-1"));
    host.answers(Answer::Keys(vec![other("b")]));
    eventually("the old key is gone", async || identity.peek(&old, at(NOW)) != Some(known("user-1"))).await;
    assert_eq!(credential(&identity, &old).await, Credential::Rejected);
    assert_eq!(credential(&identity, &new).await, known("user-1"));
    host.answers(Answer::Keys(vec![other("a")]));
    eventually("the name has another key", async || {
        credential(&identity, &naming("a", ED25519_OTHER)).await == known("user-1")
    })
    .await;
    assert_eq!(identity.peek(&old, at(NOW)), Some(Credential::Rejected));
}

#[tokio::test]
async fn the_same_keys_again_change_nothing() {
    let host = Host::start(Answer::Keys(vec![ed25519("a")]));
    let identity = following(&host, NEVER, NEVER);
    assert_eq!(credential(&identity, &naming("a", ED25519)).await, known("user-1"));
    let Trust::Published { keys, .. } = &identity.ways[0].trust else { panic!("they are published") };
    let asked = host.asked();
    eventually("the set is fetched again", async || host.asked() > asked + 3).await;
    assert_eq!(keys.set().generation, 1, "so that no token has to be verified again");
}

#[tokio::test]
async fn made_up_key_ids_make_us_ask_no_more_often() {
    let host = Host::start(Answer::Keys(vec![ed25519("a")]));
    let identity = following(&host, EVER, EVER);
    assert_eq!(credential(&identity, &naming("a", ED25519)).await, known("user-1"));
    let made_up = ["../../../../dev/null", "' union select 'key", "\u{0}", "a ", "A", "", "http://evil.example/"];
    let ids: Vec<String> = made_up.iter().map(|id| (*id).to_owned()).chain((0..300).map(|n| n.to_string())).collect();
    let start = Instant::now();
    for answer in join_all(ids.iter().map(async |id| credential(&identity, &naming(id, ED25519)).await)).await {
        assert_eq!(answer, Credential::Rejected);
    }
    assert_eq!(host.asked(), 1, "the floor has not passed");
    assert!(start.elapsed() < Duration::from_secs(10), "and nobody waits for what does not come");

    let eager = following(&host, EVER, Duration::from_millis(300));
    assert_eq!(credential(&eager, &naming("a", ED25519)).await, known("user-1"));
    let (start, asked) = (Instant::now(), host.asked());
    while start.elapsed() < Duration::from_secs(1) {
        join_all(ids.iter().take(20).map(async |id| credential(&eager, &naming(id, ED25519)).await)).await;
    }
    let floors = start.elapsed().as_millis() / 300 + 1;
    let more = host.asked() - asked;
    assert!(more >= 1 && more as u128 <= floors, "{more} fetches in {floors} floors");
}

#[tokio::test]
async fn requests_that_miss_the_same_key_share_one_fetch() {
    let host = Host::start(Answer::Keys(vec![ed25519("a")]));
    let identity = following(&host, EVER, NEVER);
    assert_eq!(credential(&identity, &naming("a", ED25519)).await, known("user-1"));
    host.answers(Answer::Keys(vec![ed25519("a"), other("b")]));
    let token = naming("b", ED25519_OTHER);
    eventually("the floor has passed", async || credential(&identity, &token).await == known("user-1")).await;
    host.answers(Answer::Keys(vec![ed25519("a"), other("c")]));
    let (token, asked) = (naming("c", ED25519_OTHER), host.asked());
    eventually("the new key is found", async || {
        let all = join_all((0..100).map(async |_| credential(&identity, &token).await)).await;
        let learnt: Vec<bool> = all.iter().map(|one| *one == known("user-1")).collect();
        assert!(learnt.is_sorted(), "whoever asks after one that has learnt it learns it too");
        learnt[0]
    })
    .await;
    assert!(host.asked() <= asked + 2, "not one for each");
}

#[tokio::test]
async fn the_last_good_set_stays_whatever_the_host_says() {
    let elsewhere = Host::start(Answer::Keys(vec![other("evil")]));
    let host = Host::start(Answer::Keys(vec![ed25519("a")]));
    let identity = following(&host, Duration::from_millis(5), NEVER);
    let good = naming("a", ED25519);
    assert_eq!(credential(&identity, &good).await, known("user-1"));
    let evil = json!({ "keys": [other("evil")] }).to_string();
    let answers = [
        Answer::Raw(500, evil.clone()),
        Answer::Raw(404, evil.clone()),
        Answer::Raw(204, String::new()),
        Answer::Raw(200, "<html>sign in</html>".into()),
        Answer::Raw(200, String::new()),
        Answer::Raw(200, "{\"keys\":[]}".into()),
        Answer::Raw(200, evil.replace("OKP", "oct")),
        Answer::Raw(200, format!("{}{evil}", " ".repeat(256 * 1024))),
        Answer::Raw(200, format!("{}{evil}", " ".repeat(10 * 1024 * 1024))),
        Answer::Redirect(elsewhere.url()),
        Answer::Nobody,
        Answer::Endless,
        Answer::Silence,
    ];
    for answer in answers {
        let asked = host.asked();
        host.answers(answer);
        // The pause after failures grows: a token with an unknown key is what has it fetched now.
        eventually("the host is asked", async || {
            assert_eq!(credential(&identity, &naming("evil", ED25519_OTHER)).await, Credential::Rejected);
            host.asked() > asked
        })
        .await;
        assert_eq!(identity.peek(&good, at(NOW)), Some(known("user-1")));
    }
    assert_eq!(elsewhere.asked(), 0, "a redirect is not followed");
}

#[tokio::test]
async fn before_the_first_set_nobody_can_say() {
    let host = Host::start(Answer::Silence);
    let identity = following(&host, EVER, NEVER);
    let start = Instant::now();
    assert_eq!(credential(&identity, &naming("a", ED25519)).await, Credential::Unverified);
    assert!((KEY_WAIT..KEY_WAIT * 3).contains(&start.elapsed()), "it waits, but not for long");
    assert!(!identity.has_keys());
    for garbage in ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
        assert_eq!(
            credential(&identity, &bearing(garbage)).await,
            Credential::Rejected,
            "{garbage}: whatever the keys"
        );
    }
    let secret = bearing(&signed(Algorithm::HS256, SECRET, &claims()));
    assert_eq!(credential(&identity, &secret).await, Credential::Rejected);
    assert_eq!(credential(&identity, &HeaderMap::new()).await, Credential::Missing);
}

#[tokio::test]
async fn a_host_that_comes_back_is_found_again() {
    let host = Host::start(Answer::Nobody);
    let identity = following(&host, EVER, NEVER);
    let token = naming("a", ED25519);
    assert!(matches!(identity.reach().await, Err(PublishedError::Absent(_))));
    assert_eq!(credential(&identity, &token).await, Credential::Unverified);
    host.answers(Answer::Keys(vec![ed25519("a")]));
    eventually("the keys are there", async || credential(&identity, &token).await == known("user-1")).await;
    assert!(identity.has_keys());
}

#[tokio::test]
async fn nothing_is_fetched_for_an_identity_that_is_gone() {
    let host = Host::start(Answer::Keys(vec![ed25519("a")]));
    let identity = following(&host, NEVER, NEVER);
    assert_eq!(credential(&identity, &naming("a", ED25519)).await, known("user-1"));
    let Trust::Published { keys, .. } = &identity.ways[0].trust else { panic!("they are published") };
    let left = Arc::downgrade(keys);
    drop(identity);
    eventually("the background task lets go", async || left.upgrade().is_none()).await;
}

#[tokio::test]
async fn a_token_without_a_name_is_tried_with_every_key_that_fits_sixteen_at_most() {
    let others = |count: usize| (0..count).map(|number| other(&format!("k{number}"))).collect::<Vec<_>>();
    let nameless = bearing(&signed(Algorithm::EdDSA, ED25519, &claims()));
    for (before, expected) in [(5, known("user-1")), (15, known("user-1")), (16, Credential::Rejected)] {
        let rsa = vec![jwk(RSA, Algorithm::RS256, "r"); 8];
        let keys = rsa.into_iter().chain(others(before)).chain([ed25519("mine")]).collect();
        let host = Host::start(Answer::Keys(keys));
        let identity = following(&host, EVER, EVER);
        identity.reach().await.expect("there are keys");
        assert_eq!(credential(&identity, &nameless).await, expected, "behind {before}");
    }
}

#[tokio::test]
async fn a_key_without_a_name_hides_no_newer_one() {
    let mut nameless = other("any");
    nameless.as_object_mut().expect("an object").remove("kid");
    let host = Host::start(Answer::Keys(vec![nameless.clone()]));
    let identity = following(&host, EVER, NEVER);
    identity.reach().await.expect("there is a key");
    assert_eq!(credential(&identity, &naming("new", ED25519)).await, Credential::Rejected);
    host.answers(Answer::Keys(vec![nameless, ed25519("new")]));
    eventually("the new key is fetched", async || {
        credential(&identity, &naming("new", ED25519)).await == known("user-1")
    })
    .await;
}

#[tokio::test]
async fn a_user_with_a_good_session_waits_for_no_key_of_another_token() {
    let host = Host::start(Answer::Keys(vec![ed25519("a")]));
    let identity = following(&host, EVER, NEVER);
    identity.reach().await.expect("there is a key");
    let token = |id: &str, key| {
        let header = json!({ "alg": "EdDSA", "kid": id }).to_string();
        forged(&header, &claims().to_string(), Algorithm::EdDSA, key)
    };
    let cookies = format!("session={}; session={}", token("unknown", ED25519_OTHER), token("a", ED25519));
    assert_eq!(identity.peek(&headers(&[("cookie", &cookies)]), at(NOW)), Some(known("user-1")));
}
