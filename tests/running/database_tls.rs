//! A Postgres that speaks TLS alone: reached when its certificate is of the authority that the URL names, and else refused with what to do.

use crate::bad_input::Try;
use crate::world::own_postgres::OwnPostgres;
use crate::world::servers::Postgres;
use crate::world::stripe::{Subscription, unique};
use crate::world::tls_keys::Authority;
use crate::world::{Arrangement, Setup, World, token};

/// A URL with these parameters.
fn with(url: &str, parameters: &str) -> String {
    format!("{url}?{parameters}")
}

#[tokio::test]
async fn a_postgres_that_speaks_tls_alone_is_reached_and_one_of_another_authority_is_refused_in_words() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let dir = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: String| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("it is written");
        path.display().to_string()
    };
    let (known, unknown) = (file("known.pem", authority.pem()), file("unknown.pem", stranger.pem()));
    let postgres = OwnPostgres::start().await;
    let (certificate, key) = authority.issue(&["127.0.0.1"]);
    postgres.secure(&certificate.pem(), &key.serialize_pem()).await;

    let verified = with(&postgres.url, &format!("sslmode=verify-full&sslrootcert={known}"));
    let world = World::with(Setup::new(Arrangement::AllPostgres).environment("DATABASE_URL", &verified)).await;
    let account = unique("reader");
    let subscription = Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) };
    world.accepted(&subscription.event("created")).await;
    world.everywhere("/premium/secured", &token(&account), 200).await;
    let sessions = "select count(*), count(*) filter (where s.ssl) from pg_stat_activity a join pg_stat_ssl s using (pid) \
                    where a.application_name = 'tollgate'";
    let (all, secured): (i64, i64) =
        sqlx::query_as(sessions).fetch_one(&mut postgres.connect().await).await.expect("they are counted");
    assert!(all > 0 && all == secured, "{secured} of {all}");

    let other_name = postgres.url.replace("127.0.0.1", "localhost");
    let refused = ["certificate of Postgres at", "sslrootcert="];
    for (url, words) in [
        (with(&postgres.url, &format!("sslmode=verify-full&sslrootcert={unknown}")), refused),
        (with(&postgres.url, &format!("sslmode=verify-ca&sslrootcert={unknown}")), refused),
        (with(&postgres.url, "sslmode=verify-full"), refused),
        (with(&other_name, &format!("sslmode=verify-full&sslrootcert={known}")), refused),
        (with(&postgres.url, "sslmode=verify-full&sslrootcert=/nowhere/ca.pem"), ["cannot be read", "sslrootcert"]),
        (with(&postgres.url, "sslmode=disable"), ["pg_hba.conf", "no encryption"]),
        (with(&Postgres::shared().url, "sslmode=require"), ["sslmode", "switch ssl on"]),
    ] {
        for command in ["migrate", "run"] {
            Try::new().environment("DATABASE_URL", &url).fails_with(&[command], &words).await;
        }
    }
    for parameters in ["sslmode=require", "sslmode=prefer", "application_name=shop"] {
        Try::new().environment("DATABASE_URL", &with(&postgres.url, parameters)).run(&["migrate"]).await.success();
    }
}
