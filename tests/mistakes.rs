//! Files and variables that are hardly meant: refused or warned of by their key and their line, in plain words, with what to write.

use crate::bad_input::{LIMIT, Try};
use crate::world::tollgate::tollgate;
use crate::world::{Arrangement, World};

#[tokio::test]
async fn b17_a_file_that_no_text_can_be_read_from_says_what_to_do() {
    let wrong = Try::new();
    wrong.run(&["check"]).await.success();
    let place = |name: &str| wrong.dir.path().join(name);
    let told = async || tollgate(wrong.dir.path(), &wrong.environment, LIMIT, &["check"]).await.failure().to_owned();
    std::fs::write(place("tollgate.toml"), b"[pages]\nsite_name = \"Caf\xe9\"\n").expect("written");
    assert!(told().await.contains("save it as UTF-8"), "{}", told().await);
    std::fs::write(place("tollgate.toml"), &wrong.config).expect("written");
    std::fs::remove_file(place("catalog.toml")).expect("removed");
    assert!(told().await.contains("there is none: check the path"), "{}", told().await);
    std::fs::create_dir(place("catalog.toml")).expect("made");
    assert!(told().await.contains("it is a directory"), "{}", told().await);
}

#[tokio::test]
async fn b17_what_is_hardly_meant_is_warned_of_with_what_to_write() {
    let named = |name: &str| Try::new().environment(name, "hunter2");
    let prices = |from: &str, to: &str| {
        let (from, to) = (from.to_owned(), to.to_owned());
        Try::new().catalog(move |catalog| catalog.replacen(&from, &to, 1))
    };
    let cases: [(Try, &str); 9] = [
        (named("STRIPE_SECRET_KEY"), "STRIPE_SECRET_KEY is set and nothing reads it: Tollgate reads STRIPE_API_KEY"),
        (named("REDIS_URI"), "Tollgate reads REDIS_URL"),
        (named("POLAR_TOKEN"), "Tollgate reads POLAR_ACCESS_TOKEN"),
        (prices("cadence = \"annual\"", "cadence = \"monthly\""), "the first is sold, so write retired = true"),
        (prices("amount = 700\n", "amount = 99900\n"), "are the amounts mixed up?"),
        (
            Try::new().config(|config| format!("{config}\n[pages.words]\narchve = \"Archive\"\n")),
            "pages.words.archve is a word for a feature or a limit that the catalog does not have: did you mean `archive`?",
        ),
        (
            Try::new().config(|config| {
                config.replacen("site.url = \"http://127.0.0.1", "site.url = \"http://read.example\" # ", 1)
            }),
            "is http://: tokens and cookies travel in the open",
        ),
        (
            Try::new().environment("DATABASE_URL", "postgres://tollgate:hunter2@127.0.0.1:9"),
            "DATABASE_URL names no database",
        ),
        (Try::new().environment("RUST_LOG", "debgu"), "did you mean `debug`?"),
    ];
    for (doubtful, words) in &cases {
        let checked = doubtful.run(&["check"]).await;
        assert!(checked.code == 0 && checked.stderr.contains(words), "{words}: {checked:?}");
        assert!(!checked.stderr.contains("hunter2"), "{checked:?}");
    }
}

#[tokio::test]
async fn b17_what_the_reader_of_a_file_says_is_plain_and_has_its_line() {
    let added = |lines: &str| {
        let lines = lines.to_owned();
        Try::new().config(move |config| format!("{config}\n{lines}\n"))
    };
    let cases: [(Try, &[&str]); 9] = [
        (added("[cache]\ncapacity = \"many\""), &["tollgate.toml, line", "`cache.capacity` must be a whole number"]),
        (added("[referral]\ncredit_days = -1"), &["line", "a whole number from 0 to 4294967295, and is -1"]),
        (added("[proxy]\ntrusted_proxies = \"10.0.0.1\""), &["line", "write [\"10.0.0.1\"]"]),
        (added("[[route]]\npath = \"/x\"\nrequire = \"public\""), &["line", "write it like { public = true }"]),
        (
            added("[[route]]\npath = \"/x\"\ntimeout = 5\nrequire = { public = true }"),
            &["line", "a time with its unit"],
        ),
        (
            added("[[route]]\npath = \"/x\"\nrequire = { public = true }\nsite.login_url = \"/in\""),
            &["line", "write it above the first line in brackets"],
        ),
        (
            Try::new().catalog(|catalog| catalog.replacen("amount = 700\n", "amount = 7e2\n", 1)),
            &["catalog.toml: `amount = 7e2` is no whole number: write 700", "line"],
        ),
        (
            Try::new()
                .catalog(|catalog| catalog.replacen("id = \"price_monthly\"", "lookup_key = \"price_monthly\"", 1)),
            &["catalog.toml, line", "write id = \"price_monthly\""],
        ),
        (
            Try::new().catalog(|catalog| catalog.replacen("amount = 700\n", "amount = 700\nconsent = \"mine\"\n", 1)),
            &["catalog.toml, line", "the consent \"mine\""],
        ),
    ];
    for (wrong, words) in &cases {
        for command in ["check", "run"] {
            wrong.fails_with(&[command], words).await;
        }
    }
    for host in ["https://read..example", "https://-read.example.", "https://read.example."] {
        let site = host.to_owned();
        let wrong = Try::new().config(move |config| {
            config.replacen("site.url = \"http://127.0.0.1", &format!("site.url = \"{site}\" # "), 1)
        });
        wrong.fails_with(&["check"], &["tollgate.toml, line", "site.url"]).await;
    }
}

#[tokio::test]
async fn b17_a_provider_whose_secrets_are_not_set_is_told_of_at_the_start_and_in_readiness() {
    let mut world = World::start(Arrangement::AllPostgresRedis).await;
    let process = &mut world.processes[0];
    for name in ["STRIPE_WEBHOOK_SECRET", "STRIPE_API_KEY"] {
        process.unset(name);
    }
    process.restart();
    process.ready().await;
    let ready = process.admin("/readyz").await;
    let warnings = ready.json()["warnings"].to_string();
    process.logs("STRIPE_API_KEY is not set").await;
    let log = process.process.log();
    for (name, without) in [
        ("STRIPE_WEBHOOK_SECRET", "its webhooks are answered 503"),
        ("STRIPE_API_KEY", "checkout, portal and cancellation are answered 503"),
    ] {
        let told = format!("{name} is not set, and the catalog has prices of stripe: {without}");
        assert!(ready.status == 200 && warnings.contains(&told), "{ready:?}");
        assert!(log.lines().any(|line| line.contains("\"WARN\"") && line.contains(&told)), "{log}");
    }
}
