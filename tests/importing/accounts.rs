//! `tollgate import accounts`: line by line, shown first, and again without effect.

use serde_json::Value;

use super::{customer, first, naming, number, provider, subscribed, table, world};
use crate::world::{in_seconds, token};

const EFFECTS: &str = "select (select count(*) from accounts) + (select count(*) from provider_customers)
    + (select count(*) from credits) + (select count(*) from trials) + (select count(*) from referral_codes)
    + (select count(*) from referrals)";

#[tokio::test]
async fn a_table_is_shown_then_done_and_again_it_does_nothing() {
    let world = world().await;
    let buyer = customer(&world, [].into());
    subscribed(&world, &buyer, "price_monthly", [].into());
    let text = format!(
        "account,stripe_customer,polar_customer,credit_until,trial_used_at,referral_code,referred_by\n\
         buyer,{buyer},,,2026-01-31 09:30:00.123456+00,,host\n\
         host,,,2031-01-31,,Abc-1234,\n\
         guest,,0a000000-0000-4000-8000-00000000000a,2031-01-31T10:00:00,,,ABC-1234\n\
         late,,,2020-01-01,,,\n\
         plain,,,,,,\n"
    );
    let shown = table(&world, &text, &["--json"]).await.success();
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    let counts = |told: &Value| {
        ["rows", "accounts", "customers", "credits", "trials", "codes", "referrals", "credits_over", "unchanged"]
            .map(|name| told[name].as_u64().expect("a number"))
    };
    assert_eq!((counts(&shown), &shown["applied"]), ([5, 5, 2, 2, 1, 1, 2, 1, 0], &Value::Bool(false)), "{shown}");
    assert_eq!(number(&world, EFFECTS).await, 0);
    assert_eq!(first(&world, "host").await, 402);

    let done = table(&world, &text, &["--apply", "--json"]).await.success();
    let done: Value = serde_json::from_str(&done).expect("JSON");
    assert_eq!((counts(&done), &done["applied"]), (counts(&shown), &Value::Bool(true)));
    assert_eq!(
        (first(&world, "host").await, first(&world, "guest").await, first(&world, "late").await),
        (200, 200, 402)
    );
    let bound = "select count(*) from referrals where referrer = 'host' and referee in ('buyer', 'guest')";
    assert_eq!(number(&world, bound).await, 2);
    let all = number(&world, EFFECTS).await;
    assert_eq!(all, 5 + 2 + 2 + 1 + 1 + 2);

    let again: Value =
        serde_json::from_str(&table(&world, &text, &["--apply", "--json"]).await.success()).expect("JSON");
    assert_eq!(counts(&again), [5, 0, 0, 0, 0, 0, 0, 1, 5]);
    assert_eq!(number(&world, EFFECTS).await, all);
    // A code in a link counts in any case, and a trial is had once.
    let followed = world.browse("/billing/r/abc-1234", None).await;
    assert!(followed.header("set-cookie").contains("tollgate_referral"), "{followed:?}");

    let compared = world.tollgate(&["import", "stripe"]).await.success();
    assert!(compared.contains("1 customer: 1 linked before, 0 linked now"), "{compared}");
    world.everywhere("/premium/one", &token("buyer"), 200).await;
    assert_eq!(number(&world, "select count(*) from credits where reason like 'invited%'").await, 2, "both have days");
}

#[tokio::test]
async fn a_bad_line_is_named_and_spoils_no_other() {
    let world = world().await;
    let long = "x".repeat(10 * 1024 * 1024);
    let mut text = b"\xef\xbb\xbfreferred_by,\"account\",stripe_customer,credit_until,referral_code\r\n".to_vec();
    let lines = [
        ",first,cus_first,2031-01-31,",         // 2
        ",second,cus_first,,",                  // 3: another's customer
        ",first,cus_first,2031-01-31,",         // 4: says it again
        ",first,,2032-01-31,",                  // 5: another credit
        ",third,cus_third",                     // 6: too few
        ",,,2031-01-31,",                       // 7: no account
        ",fourth,cus fourth,,",                 // 8: no id
        ",fifth,,31.01.2031,",                  // 9: no moment
        "",                                     // 10: empty
        ",\"quoted, \"\"so\"\"\",cus_quoted,,", // 11
        ",sixth,,,no code at all",              // 12
        "seventh,seventh,,,",                   // 13: oneself
        ",\"one\r\ntwo\",,,",                   // 14 and 15: a field of two lines
    ];
    text.extend(lines.join("\r\n").into_bytes());
    text.extend(format!("\r\n,{long},,,\r\n").into_bytes()); // 16
    text.extend(b",caf\xe9,,,\r\n"); // 17
    text.extend(",last,cus_last,,\r\n,\"never closed,,,\r\n,after,,,\r\n,open,,,\"open".as_bytes()); // 18 to 21
    let done = table(&world, &text, &["--apply"]).await;
    let lines: Vec<&str> = done.stdout.lines().filter(|line| line.starts_with("line ")).collect();
    let told = [
        "line 3 (second) is left out: line 2 says that the customer cus_first is first's",
        "line 5 (first) is left out: line 2 says another credit_until",
        "line 6 is left out: it has 3 fields, and the first line names 5 columns",
        "line 7 is left out: account: an account id must not be empty",
        "line 8 (fourth) is left out: stripe_customer: that is not the id of a customer",
        "line 9 (fifth) is left out: credit_until: write it like 2027-01-31",
        "line 12 (sixth) is left out: referral_code: a code has 4 to 32 letters",
        "line 13 (seventh), referred_by, is left out: nobody invites themselves",
        "line 14 is left out: a field in quotes goes on in the next line",
        "line 16 is left out: it is longer than 64 KiB",
        "line 17 is left out: it is not UTF-8",
        "line 19 is left out: a quote that is opened on it is not closed: nothing behind it is read",
    ];
    assert_eq!(lines.len(), told.len(), "{lines:#?}");
    for (line, told) in lines.iter().zip(told) {
        assert!(line.starts_with(told), "{line}\n{told}");
    }
    assert_eq!(done.failure(), "12 lines are left out, or a part of it: correct them, and run it again");
    let linked = "select count(*) from provider_customers where customer_id in ('cus_first', 'cus_quoted', 'cus_last')";
    assert_eq!((number(&world, linked).await, number(&world, "select count(*) from accounts").await), (3, 3));
    assert_eq!(first(&world, "first").await, 200);
    assert_eq!(number(&world, "select count(*) from accounts where account = 'quoted, \"so\"'").await, 1);
}

#[tokio::test]
async fn what_stands_behind_an_open_quote_or_in_a_field_of_lines_does_nothing() {
    let world = world().await;
    let head = "account,stripe_customer,credit_until\n";
    for (rows, refused, known) in [
        ("one,cus_1,\"\nevil,cus_evil,2031-01-31\n", "line 2 is left out: a quote that is opened", 0),
        ("one,cus_1,\n\"two,cus_2,\nevil,cus_evil,2031-01-31\nthree,\"cus_3\",\n", "line 3 is left out: a quote", 1),
        (
            "\"a\nevil,cus_evil,2031-01-31\nb\",cus_4,\nfour,cus_4,\n",
            "line 2 is left out: a field in quotes goes on",
            2,
        ),
    ] {
        let text = format!("{head}{rows}");
        for arguments in [&[][..], &["--apply"]] {
            let told = table(&world, &text, arguments).await;
            let lines: Vec<&str> = told.stdout.lines().filter(|line| line.starts_with("line ")).collect();
            assert!(lines.len() == 1 && lines[0].starts_with(refused), "{lines:?}");
            assert_eq!(told.failure(), "1 line is left out: correct it, and run it again");
        }
        assert_eq!(number(&world, "select count(*) from accounts").await, known, "{rows}");
        assert_eq!(number(&world, "select count(*) from accounts where account = 'evil'").await, 0);
    }
}

#[tokio::test]
async fn what_a_table_holds_makes_no_answer_that_is_long_or_speaks_to_a_terminal() {
    let world = world().await;
    let columns = ["account", "stripe_customer", "credit_until", "trial_used_at", "referral_code", "referred_by"];
    let mut text = format!("{}\n", columns.join(","));
    for evil in ["\u{1b}[2J".to_owned(), "\u{9b}2J".to_owned(), "\0".to_owned(), "y".repeat(60_000)] {
        for place in 0..columns.len() {
            let fields = (0..columns.len()).map(|column| match column {
                column if column == place => evil.as_str(),
                0 => "someone",
                _ => "",
            });
            text += &format!("{}\n", fields.collect::<Vec<_>>().join(","));
        }
    }
    for arguments in [&[][..], &["--json"]] {
        let told = table(&world, &text, arguments).await;
        assert_ne!(told.code, 0);
        for line in told.stdout.lines().chain(told.stderr.lines()) {
            assert!(!line.contains(|letter: char| letter.is_control()), "{line:?}");
            assert!(line.len() < 1_000 || arguments == ["--json"], "{} bytes", line.len());
        }
        assert!(!told.stdout.contains("yyyy") && told.stdout.len() < 20_000, "{} bytes", told.stdout.len());
    }
    let unknown = table(&world, &format!("account,\u{1b}[2J{}\n", "y".repeat(60_000)), &[]).await;
    assert!(!unknown.stderr.contains('\u{1b}') && unknown.stderr.len() < 1_000, "{unknown:?}");
}

#[tokio::test]
async fn a_table_that_does_not_say_what_its_columns_are_is_refused_as_a_whole() {
    let world = world().await;
    for (text, told) in [
        (&b"account,stripe_custmer\nu1,cus_1\n"[..], "line 1: the column \"stripe_custmer\" is not known"),
        (b"account;stripe_customer\nu1;cus_1\n", "with commas between them"),
        (b"stripe_customer\ncus_1\n", "line 1: there is no column account"),
        (b"account,account\nu1,u1\n", "line 1: the column account is there twice"),
        (b"\xff\xfea\x00c\x00", "it is UTF-16"),
        (b"", "it is empty"),
    ] {
        let refused = table(&world, text, &["--apply"]).await;
        assert!(refused.failure().contains(told) && refused.failure().contains("nothing is done"), "{refused:?}");
    }
    assert_eq!(number(&world, EFFECTS).await, 0);
    let tier = table(&world, "account,credit_until\nu1,2031-01-31\n", &["--credit-tier", "gold"]).await;
    assert!(tier.failure().contains("no tier `gold`"), "{tier:?}");
}

#[tokio::test]
async fn what_is_known_already_is_contradicted_by_no_table() {
    let world = world().await;
    let named = customer(&world, naming("account", "owner"));
    world.tollgate(&["import", "stripe"]).await.success();
    let known = "account,stripe_customer,credit_until,referral_code,referred_by\n\
        owner,,2031-01-31,code-of-owner,\nother,,,code-of-other,owner\n";
    table(&world, known, &["--apply"]).await.success();
    let contradicting = format!(
        "account,stripe_customer,credit_until,referral_code,referred_by\n\
         other,{named},,,\nowner,,2031-01-01,,\nowner,,,another-code,\nthird,,,code-of-owner,\nother,,,,third\nowner,,,,other\n"
    );
    let refused = table(&world, contradicting, &["--apply"]).await;
    let lines: Vec<&str> = refused.stdout.lines().filter(|line| line.starts_with("line ")).collect();
    for (line, told) in lines.iter().zip([
        "is of owner already: `tollgate link other stripe:",
        "it has an imported credit until 2031-01-31T00:00:00Z already",
        "it has the code code-of-owner already",
        "the code code-of-owner is that of owner already",
        "owner has invited it already",
        "it has invited other itself",
    ]) {
        assert!(line.contains(told), "{line}: {told}");
    }
    assert_eq!(lines.len(), 6, "{lines:#?}");
    assert_eq!(number(&world, "select count(*) from accounts where account = 'third'").await, 0);
}

#[tokio::test]
async fn a_line_gives_what_agrees_and_a_credit_that_ends_later_goes_on() {
    let world = world().await;
    let head = "account,stripe_customer,polar_customer,credit_until,trial_used_at,referral_code,referred_by\n";
    let known = format!("{head}host,cus_host,,,,,\nlong,cus_long,,2031-03-31,,,\nback,,,2031-01-31,,,\n");
    table(&world, format!("{known}later,,,2031-01-31,,,\n"), &["--apply"]).await.success();
    world.tollgate(&["revoke", "back"]).await.success();
    assert_eq!(first(&world, "back").await, 402);
    let again = format!(
        "{head}long,cus_new,,2031-01-31,2026-01-01,,\n\
         later,cus_later,,2031-02-28,,,\n\
         back,cus_back,,2031-02-28,,,\n\
         both,cus_host,0a000000-0000-4000-8000-00000000000b,2031-01-31,,,both\n\
         none,cus_long,,,,,\n"
    );
    let lines = |output: &crate::world::Output| -> Vec<String> {
        output.stdout.lines().filter(|line| line.starts_with("line ")).map(str::to_owned).collect()
    };
    let shown = table(&world, &again, &[]).await;
    let done = table(&world, &again, &["--apply"]).await;
    assert_eq!(lines(&shown), lines(&done), "what is shown is what is done");
    let told = [
        "line 2 (long), credit_until, is left out: it has an imported credit until 2031-03-31T00:00:00Z already",
        "line 4 (back), credit_until, is left out: its imported credit was taken back",
        "line 5 (both), stripe_customer, is left out: the customer cus_host is of host already",
        "line 5 (both), referred_by, is left out: nobody invites themselves",
        "line 6 (none), stripe_customer, is left out: the customer cus_long is of long already",
    ];
    assert_eq!(lines(&done).len(), told.len(), "{done:#?}");
    for (line, told) in lines(&done).iter().zip(told) {
        assert!(line.starts_with(told), "{line}\n{told}");
    }
    assert_eq!(done.failure(), "4 lines are left out, or a part of it: correct them, and run it again");
    let linked = "select count(*) from provider_customers where (account, customer_id) in (('long', 'cus_new'),
        ('later', 'cus_later'), ('back', 'cus_back'), ('both', '0a000000-0000-4000-8000-00000000000b'))";
    assert_eq!(number(&world, linked).await, 4);
    let ends = "select count(*) from accounts a where (select max(ends_at) from credits c where c.account = a.account)
        = case account when 'long' then timestamptz '2031-03-31' when 'later' then '2031-02-28' else '2031-01-31' end";
    assert_eq!((number(&world, ends).await, number(&world, "select count(*) from credits").await), (4, 5));
    assert_eq!((first(&world, "back").await, first(&world, "both").await), (402, 200));
    assert_eq!(number(&world, "select count(*) from trials where account = 'long'").await, 1);
    assert_eq!(number(&world, "select count(*) from accounts where account = 'none'").await, 0);
    // Again, nothing more is done.
    let all = number(&world, EFFECTS).await;
    table(&world, &again, &["--apply"]).await.failure();
    assert_eq!(number(&world, EFFECTS).await, all);
}

#[tokio::test]
async fn many_accounts_come_in_batches_beside_live_events() {
    let world = world().await;
    let mut text = "account,stripe_customer,credit_until,trial_used_at,referral_code,referred_by\n".to_owned();
    for n in 0..3_000 {
        let referrer = if n > 0 { format!("user-{}", n - 1) } else { String::new() };
        text.push_str(&format!("user-{n},cus_imported_{n},2031-01-31,2026-01-01,code-{n},{referrer}\n"));
    }
    let live = async {
        for n in 0..20 {
            let event = crate::world::stripe::checkout_completed(
                Some(&format!("user-{}", n * 100)),
                &format!("cus_imported_{}", n * 100),
                &format!("sub_{n}_{}", in_seconds(0)),
            );
            world.accepted(&event).await;
        }
    };
    let (done, ()) = tokio::join!(table(&world, &text, &["--apply"]), live);
    let done = done.success();
    assert!(done.contains("3000 rows: 3000 accounts new") || done.contains("3000 rows: 29"), "{done}");
    for query in [
        "select count(*) from provider_customers where customer_id like 'cus_imported_%'",
        "select count(*) from credits where ends_at = '2031-01-31'",
        "select count(*) from trials where subscription_id is null",
        "select count(*) from referral_codes",
        "select count(*) + 1 from referrals",
    ] {
        assert_eq!(number(&world, query).await, 3_000, "{query}");
    }
    assert_eq!((first(&world, "user-0").await, first(&world, "user-2999").await), (200, 200));
    assert!(provider(&world).events().is_empty());
}
