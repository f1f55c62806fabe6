//! Questions to a real server: their outcomes and their number.

use entitlement::account::AccountId;
use http::header::{COOKIE, SET_COOKIE};

use super::*;
use crate::clock;
use crate::identity::tests::host::{Answer as Told, Host};

/// Asks at `url`, and shows these cookies.
pub(super) fn plan(url: &str, cookies: &[&str]) -> Plan {
    let value = HeaderValue::from_static;
    Plan {
        place: 0,
        name: "session".to_owned(),
        cookies: cookies.iter().map(|name| (*name).to_owned()).collect(),
        naming: Naming {
            account: vec!["/id".parse().expect("a pointer")],
            user: None,
            prefix: String::new(),
            buyers: [].into(),
        },
        settings: Settings {
            location: url.parse().expect("a URL"),
            host: value("read.example"),
            scheme: value("https"),
            signature: Signature::None,
            keep: Duration::from_secs(30),
            deadline: Duration::from_secs(5),
            stale: Duration::from_secs(300),
        },
    }
}

fn asking(host: &Host, deadline: Duration) -> Asking {
    let mut plan = plan(&host.url(), &["sid"]);
    plan.settings.deadline = deadline;
    let asking = Asking::new(vec![plan], clock::moment().tick).expect("it can be made");
    asking.follow(&Handle::current());
    asking
}

/// A request with these cookies.
fn cookies(line: &str) -> HeaderMap {
    HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(line).expect("a value"))])
}

fn with(sessions: &[&str]) -> HeaderMap {
    let text: Vec<String> = sessions.iter().map(|session| format!("sid={session}")).collect();
    cookies(&text.join("; "))
}

/// The outcomes for the sessions of a request that can be shown, after questions where they are needed.
async fn outcomes(asking: &Asking, headers: &HeaderMap) -> Vec<Verdict> {
    let sender = Sender { headers, origin: None, now: clock::moment() };
    let (mut known, mut questions) = (Vec::new(), Vec::new());
    asking.each(&sender, Insist::No, |_, asked| match asked {
        Ok((_, Some(verdict))) => known.push(verdict),
        Ok((presented, None)) => questions.push(presented),
        Err(_) => {}
    });
    known.extend(asking.ask(&questions, &sender).await.into_iter().map(|(_, verdict)| verdict));
    known
}

async fn worth(asking: &Asking, sessions: &[&str]) -> Vec<Verdict> {
    outcomes(asking, &with(sessions)).await
}

fn account(id: &str) -> Verdict {
    Verdict::Account(id.parse::<AccountId>().expect("an id").into())
}

#[tokio::test]
async fn an_answer_is_kept_until_the_cookie_is_set_anew() {
    let host = Host::start(Told::Raw(200, r#"{"id":"u"}"#.to_owned()));
    let asking = asking(&host, Duration::from_secs(5));
    for _ in 0..3 {
        assert_eq!(worth(&asking, &["x"]).await, [account("u")]);
    }
    assert_eq!(host.asked(), 1);
    host.answers(Told::Raw(401, String::new()));
    assert_eq!(worth(&asking, &["x", "y"]).await, [account("u"), Verdict::Nobody], "each by itself");
    let line = |line: &'static str| HeaderMap::from_iter([(SET_COOKIE, HeaderValue::from_static(line))]);
    asking.end(&with(&["x"]), &line("other=1"));
    assert_eq!(worth(&asking, &["x"]).await, [account("u")], "another cookie");
    asking.end(&with(&["z"]), &line("sid=; Max-Age=0"));
    assert_eq!(worth(&asking, &["x"]).await, [account("u")], "another session");
    asking.end(&with(&["x"]), &line("sid=; Max-Age=0"));
    assert_eq!(worth(&asking, &["x"]).await, [Verdict::Nobody]);
    assert_eq!(host.asked(), 3);
}

#[tokio::test]
async fn a_session_that_is_named_anew_or_cleared_with_all_the_rest_has_ended() {
    let host = Host::start(Told::Raw(200, r#"{"id":"u"}"#.to_owned()));
    let asking = asking(&host, Duration::from_secs(5));
    assert_eq!(worth(&asking, &["x", "y"]).await, [account("u"), account("u")]);
    host.answers(Told::Raw(200, r#"{"id":"v"}"#.to_owned()));
    let named = HeaderMap::from_iter([(SET_COOKIE, HeaderValue::from_static("sid=y; Path=/"))]);
    asking.end(&with(&["z"]), &named);
    assert_eq!(worth(&asking, &["x", "y"]).await, [account("u"), account("v")], "y is another one's now");
    for (kinds, answer, expected) in
        [("\"cache\"", "v", "u"), ("\"cache\", \"cookies\"", "w", "w"), ("\"*\"", "z", "z")]
    {
        host.answers(Told::Raw(200, format!(r#"{{"id":"{answer}"}}"#)));
        let line = HeaderMap::from_iter([(CLEAR_SITE_DATA, HeaderValue::from_static(kinds))]);
        asking.end(&with(&["x"]), &line);
        assert_eq!(worth(&asking, &["x"]).await, [account(expected)], "{kinds}");
    }
}

#[tokio::test]
async fn a_session_of_nobody_that_may_have_an_account_now_is_asked_about_anew() {
    let host = Host::start(Told::Raw(401, String::new()));
    let asking = asking(&host, Duration::from_secs(5));
    assert_eq!(worth(&asking, &["x"]).await, [Verdict::Nobody]);
    host.answers(Told::Raw(200, r#"{"id":"u"}"#.to_owned()));
    assert_eq!(worth(&asking, &["x"]).await, [Verdict::Nobody]);
    asking.doubt(&with(&["x"]));
    assert_eq!(worth(&asking, &["x"]).await, [account("u")]);
    asking.doubt(&with(&["x"]));
    assert_eq!((worth(&asking, &["x"]).await, host.asked()), (vec![account("u")], 2), "an account goes on");
}

#[tokio::test]
async fn an_answer_counts_for_nothing_once_its_session_has_ended() {
    let host = Host::start(Told::Raw(200, r#"{"id":"u"}"#.to_owned()));
    let asking = asking(&host, Duration::from_secs(5));
    let sums = |session: &str| vec![sums::sum(session.as_bytes())];
    let ends: [&dyn Fn(&Asking); 3] = [
        &|asking| {
            let line = HeaderMap::from_iter([(SET_COOKIE, HeaderValue::from_static("sid=; Max-Age=0"))]);
            asking.end(&with(&["x"]), &line);
        },
        &|asking| asking.forget(&Forget::Session { way: "session".to_owned(), sums: sums("x"), seen_by: Some(7) }),
        &|asking| asking.forget(&Forget::Account(AccountId::parse("u").expect("an id"))),
    ];
    let headers = with(&["x", "y"]);
    let sender = Sender { headers: &headers, origin: None, now: clock::moment() };
    for end in ends {
        let mut questions = Vec::new();
        asking.each(&sender, Insist::No, |_, asked| questions.extend(asked.ok().map(|(presented, _)| presented)));
        let answers = asking.ask(&questions, &sender).await;
        let counts = |place: usize| asking.answer(&answers, &questions[place], sender.now);
        assert_eq!((counts(0), counts(1)), (Some(account("u")), Some(account("u"))));
        // The request may still wait for something else.
        asking.forget(&Forget::Session { way: "session".to_owned(), sums: sums("y"), seen_by: None });
        assert_eq!((counts(0), counts(1)), (Some(account("u")), None), "each by itself");
        end(&asking);
        assert_eq!(counts(0), None);
    }
}

#[tokio::test]
async fn a_question_that_is_under_way_when_its_session_ends_has_no_answer() {
    let host = Host::start(Told::Silence);
    let asking = asking(&host, Duration::from_secs(1));
    let headers = with(&["x"]);
    let sender = Sender { headers: &headers, origin: None, now: clock::moment() };
    let mut questions = Vec::new();
    asking.each(&sender, Insist::No, |_, asked| questions.extend(asked.ok().map(|(presented, _)| presented)));
    let end = async {
        while host.asked() == 0 {
            tokio::task::yield_now().await;
        }
        asking.forget(&Forget::Account(AccountId::parse("u").expect("an id")));
    };
    let (answers, ()) = tokio::join!(asking.ask(&questions, &sender), end);
    assert!(answers.is_empty(), "not even that the site says nothing: {answers:?}");
}

/// Cookies that may stand beside a session `xyz`, and other spellings of it.
const SPELLINGS: [&str; 14] = [
    "sid=xyz; sid.sig=y",
    "sid=xyz; sid.sig=a; sid.sig=b",
    "sid=xyz; sid.0=a; sid.1=b",
    "sid=xyz; sid_0=a",
    "sid=xyz; sid__0=a",
    "sid=xyz; sidC1=a",
    "sid=xyz; sid=abc",
    "sid=\"xyz\"",
    "sid=x%79z",
    "sid.0=x; sid.1=yz",
    "sid_0=xyz",
    "sid=chunks-1; sidC1=xyz",
    "sid=chunks-02; sidC1=xy; sidC2=z; sidC3=a",
    "other=xyz",
];

fn asking_with(host: &Host, signature: Signature) -> Asking {
    let mut plan = plan(&host.url(), &["sid", "other"]);
    plan.settings.signature = signature;
    let asking = Asking::new(vec![plan], clock::moment().tick).expect("it can be made");
    asking.follow(&Handle::current());
    asking
}

#[tokio::test]
async fn a_session_ends_in_every_spelling_whatever_stands_beside_it() {
    let host = Host::start(Told::Silence);
    let sets = HeaderMap::from_iter([(SET_COOKIE, HeaderValue::from_static("sid=; Max-Age=0"))]);
    let forget = Forget::Session { way: "session".to_owned(), sums: vec![sums::sum(b"xyz")], seen_by: None };
    for signature in [Signature::None, Signature::Beside] {
        for (kept, ended) in SPELLINGS.into_iter().flat_map(|beside| [(beside, "sid=xyz"), ("sid=xyz", beside)]) {
            for is_forgotten in [false, true] {
                let asking = asking_with(&host, signature);
                host.answers(Told::Raw(200, r#"{"id":"u"}"#.to_owned()));
                if outcomes(&asking, &cookies(kept)).await.is_empty() {
                    assert!(kept.contains("sid.sig=b") && signature == Signature::Beside, "{kept}: it can be shown");
                    continue;
                }
                host.answers(Told::Raw(401, String::new()));
                assert!(!outcomes(&asking, &cookies(kept)).await.contains(&Verdict::Nobody), "{kept}: it is kept");
                if is_forgotten {
                    asking.forget(&forget);
                } else {
                    asking.end(&cookies(ended), &sets);
                }
                let after = outcomes(&asking, &cookies(kept)).await;
                assert!(after.contains(&Verdict::Nobody), "{signature:?}, {kept}, {ended}, forgotten: {is_forgotten}");
            }
        }
    }
}

#[tokio::test]
async fn an_answer_counts_for_its_signature_and_a_made_up_one_takes_nothing_from_it() {
    let host = Host::start(Told::Raw(200, r#"{"id":"u"}"#.to_owned()));
    let asking = asking_with(&host, Signature::Beside);
    let (good, bad) = (cookies("sid=xyz; sid.sig=good"), cookies("sid=xyz; sid.sig=bad"));
    assert_eq!(outcomes(&asking, &good).await, [account("u")]);
    host.answers(Told::Raw(401, String::new()));
    assert_eq!(outcomes(&asking, &bad).await, [Verdict::Nobody]);
    assert_eq!(outcomes(&asking, &cookies("sid=xyz")).await, [Verdict::Nobody], "without one");
    assert_eq!(outcomes(&asking, &good).await, [account("u")]);
    assert_eq!(host.asked(), 3);
}

#[tokio::test]
async fn however_many_wait_for_a_slow_site_it_is_asked_once_and_not_again_at_once() {
    let host = Host::start(Told::Silence);
    let asking = asking(&host, Duration::from_millis(200));
    let all = join_all((0..50).map(|_| worth(&asking, &["x"]))).await;
    assert!(all.iter().all(|verdicts| *verdicts == [Verdict::Unknown]), "{all:?}");
    assert_eq!(worth(&asking, &["x"]).await, [Verdict::Unknown]);
    assert_eq!(host.asked(), 1);
}

#[tokio::test]
async fn a_request_asks_about_a_few_sessions_and_a_client_about_no_more_than_its_budget() {
    let host = Host::start(Told::Raw(401, String::new()));
    let asking = asking(&host, Duration::from_secs(30));
    let many: Vec<String> = (0..QUESTIONS_MAX + 5).map(|number| format!("many-{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let verdicts = worth(&asking, &many).await;
    assert_eq!(verdicts.iter().filter(|verdict| **verdict == Verdict::Nobody).count(), QUESTIONS_MAX);
    assert_eq!(verdicts.iter().filter(|verdict| **verdict == Verdict::Unknown).count(), 5);
    assert_eq!(host.asked(), QUESTIONS_MAX);
    let began = Instant::now();
    let (mut unknown, mut sent) = (0, QUESTIONS_MAX);
    for number in 0..2_000 {
        sent += 1;
        unknown += usize::from(worth(&asking, &[&format!("flood-{number}")]).await == [Verdict::Unknown]);
    }
    let most = clients::BURST + clients::PER_SECOND * (began.elapsed().as_secs() + 2);
    assert!(host.asked() as u64 <= most, "{} questions of {most}", host.asked());
    assert_eq!(host.asked() + unknown, sent, "what is not asked is unknown");
    host.answers(Told::Raw(200, r#"{"id":"u"}"#.to_owned()));
    assert_eq!(worth(&asking, &["flood-0"]).await, [Verdict::Nobody], "what is kept costs no budget");
}

#[tokio::test]
async fn what_is_no_answer_is_unknown_and_what_was_kept_counts_on() {
    let host = Host::start(Told::Raw(200, r#"{"id":"u"}"#.to_owned()));
    for (number, told) in [
        Told::Redirect("/login".to_owned()),
        Told::Raw(500, String::new()),
        Told::Raw(200, "<html>".to_owned()),
        Told::Raw(200, format!("{{\"id\":\"u\",\"x\":\"{}\"}}", "x".repeat(64 * 1024))),
        Told::Endless,
        Told::Nobody,
    ]
    .into_iter()
    .enumerate()
    {
        let asking = asking(&host, Duration::from_secs(5));
        let session = format!("x-{number}");
        host.answers(Told::Raw(200, r#"{"id":"u"}"#.to_owned()));
        assert_eq!(worth(&asking, &[&session]).await, [account("u")]);
        host.answers(told);
        assert_eq!(worth(&asking, &["new"]).await, [Verdict::Unknown], "{number}");
        let headers = with(&[&session]);
        let later = clock::moment().plus(Duration::from_secs(60));
        let sender = Sender { headers: &headers, origin: None, now: later };
        let mut questions = Vec::new();
        asking.each(&sender, Insist::No, |_, asked| questions.extend(asked.ok().map(|(presented, _)| presented)));
        let answers = asking.ask(&questions, &sender).await;
        assert_eq!(asking.answer(&answers, &questions[0], later), Some(account("u")), "{number}: within `stale`");
    }
}
