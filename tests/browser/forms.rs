//! The pages over plain HTTP: who is believed, what is refused and how it is said, what may be kept.

use demo::provider::Shape;

use crate::world::stripe::unique;
use crate::world::{Answer, Arrangement, Setup, World, send, token};

/// The fields of a form, by name.
type Fields<'a> = &'a [(&'a str, &'a str)];

/// A form as a browser on that page would send it.
pub async fn sent(
    world: &World,
    path: &str,
    token: Option<&str>,
    headers: &[(&str, &str)],
    fields: &[(&str, &str)],
) -> Answer {
    let mut request = world.request("POST", path, None).header("accept", "text/html").form(fields);
    if let Some(token) = token {
        request = request.header("cookie", format!("session={token}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(request).await
}

async fn shop() -> World {
    let setup = Setup::new(Arrangement::AllPostgres).provider(Shape::Endive);
    World::with(Setup { catalog: super::CATALOG.to_owned(), ..setup.routes(super::ROUTES) }).await
}

#[tokio::test]
async fn only_our_own_pages_can_send_a_form() {
    let world = shop().await;
    let token = token(&unique("buyer"));
    let own = world.url.clone();
    let order = [("tier", "paid"), ("cadence", "annual")];
    let foreign: [&[(&str, &str)]; 4] =
        [&[], &[("origin", "https://evil.example")], &[("origin", "null")], &[("sec-fetch-site", "same-site")]];
    for headers in foreign {
        for path in ["/billing/checkout", "/billing/portal", "/billing/cancel", "/billing/reactivate"] {
            let answer = sent(&world, path, Some(&token), headers, &order).await;
            assert_eq!(answer.status, 403, "{path} {headers:?}: {answer:?}");
            assert!(answer.body.contains("did not come from our own page"), "{answer:?}");
        }
    }
    let provider = world.provider.as_ref().expect("this world has one");
    assert!(provider.customers().is_empty(), "nothing was begun");
    let answer = sent(&world, "/billing/checkout", Some(&token), &[("origin", &own)], &order).await;
    let onward = r#"http-equiv="refresh" content="0; url=http://127.0.0.1:"#;
    assert!(answer.status == 200 && answer.body.contains(onward), "{answer:?}");
}

#[tokio::test]
async fn what_a_form_cannot_do_is_said_on_the_page() {
    let world = shop().await;
    let token = token(&unique("buyer"));
    let own = [("origin", world.url.as_str())];
    let cases: [(&str, Fields<'_>, u16, &str); 8] = [
        ("/billing/checkout", &[("tier", "paid"), ("cadence", "monthly")], 400, "Please agree first"),
        ("/billing/checkout", &[("tier", "paid"), ("cadence", "monthly"), ("consent", "x")], 400, "Please agree first"),
        ("/billing/checkout", &[("tier", "gold"), ("cadence", "monthly")], 404, "cannot be bought any more"),
        ("/billing/checkout", &[("cadence", "<script>")], 400, "cannot be bought any more"),
        ("/billing/checkout", &[("cadence", "a"), ("cadence", "b")], 400, "could not be understood"),
        ("/billing/portal", &[], 404, "This account has bought nothing itself"),
        ("/billing/cancel", &[], 400, "There is no subscription"),
        ("/billing/reactivate", &[], 400, "There is no subscription"),
    ];
    for (path, fields, status, text) in cases {
        let answer = sent(&world, path, Some(&token), &own, fields).await;
        assert_eq!(answer.status, status, "{path} {fields:?}: {answer:?}");
        assert!(answer.header("content-type").starts_with("text/html"), "{path} {fields:?}: {answer:?}");
        assert!(answer.body.contains(text) && answer.body.contains(r#"role="alert""#), "{path} {fields:?}: {answer:?}");
        assert!(!answer.body.contains("<script>"), "{answer:?}");
    }
    let anonymous =
        sent(&world, "/billing/checkout", None, &own, &[("cadence", "annual"), ("next", "/premium/a")]).await;
    let there = "/login?next=%2Fbilling%2Fpricing%3Fnext%3D%252Fpremium%252Fa";
    assert_eq!((anonymous.status, anonymous.header("location")), (303, there));
    for (path, page) in [("/billing/checkout", "/billing/pricing"), ("/billing/cancel", "/billing")] {
        let again = world.browse(path, Some(&token)).await;
        assert_eq!((again.status, again.header("location")), (303, page), "the answer, loaded again");
    }
    let nothing = world.browse("/billing/nothing", Some(&token)).await;
    assert!(nothing.status == 404 && nothing.body.contains("There is nothing here."), "{nothing:?}");
}

#[tokio::test]
async fn pages_are_private_inert_and_in_nobodys_frame() {
    let world = shop().await;
    let token = token(&unique("buyer"));
    for path in ["/billing", "/billing/pricing", "/billing/return?tries=99", "/billing/none"] {
        let page = world.browse(path, Some(&token)).await;
        assert_eq!(page.header("cache-control"), "no-store", "{path}");
        assert_eq!(page.header("referrer-policy"), "same-origin", "{path}");
        let policy = page.header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.split("; ").any(|known| known == part), "{path}: {part}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
    }
    for next in
        ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "/%0d%0aset-cookie:a"]
    {
        let page = world.browse(&format!("/billing/pricing?next={next}"), None).await;
        assert!(
            page.status == 200 && !page.body.contains("evil.example") && !page.body.contains("alert(1)"),
            "{page:?}"
        );
    }
}

#[tokio::test]
async fn pages_speak_the_language_of_the_browser_where_they_have_it() {
    let setup = Setup::new(Arrangement::AllPostgres)
        .key("pages.texts.de.pricing.title", "\"Preise\"")
        .key("pages.texts.de.pricing.per_month", "\"im Monat\"")
        .key("pages.texts.de.errors.not_found", "\"Hier ist nichts.\"")
        .key("pages.texts.de.words.archive", "\"das Archiv\"");
    let world = World::with(Setup { catalog: super::CATALOG.to_owned(), ..setup.routes(super::ROUTES) }).await;
    let asked = async |path: &str, wishes: &str| {
        let request = world.request("GET", path, None).header("accept", "text/html").header("accept-language", wishes);
        send(request).await.body
    };
    let german = asked("/billing/pricing", "de-AT,de;q=0.9,en;q=0.8").await;
    for text in [
        "<html lang=\"de\">",
        "<h1>Preise</h1>",
        "7\u{a0}£ <span>im Monat",
        "<li>Das Archiv</li>",
        "Cancel at any time.",
    ] {
        assert!(german.contains(text), "{text}: {german}");
    }
    for wishes in ["fr", "en,de;q=0.5", "de;q=0", "*"] {
        let english = asked("/billing/pricing", wishes).await;
        assert!(english.contains("<html lang=\"en\">") && english.contains("<h1>Pricing</h1>"), "{wishes}: {english}");
    }
    assert!(asked("/billing/none", "de").await.contains("Hier ist nichts."));
}

#[tokio::test]
async fn styles_and_scripts_are_kept_for_ever_under_names_that_change() {
    let world = shop().await;
    let page = world.browse("/billing/pricing", None).await.body;
    let quoted = page.split('"').filter(|text| text.starts_with("/billing/assets/"));
    let assets: Vec<String> = quoted.map(str::to_owned).collect();
    assert_eq!(assets.len(), 2, "{assets:?}");
    for asset in assets {
        let answer = world.get(&asset, None).await;
        assert_eq!(answer.status, 200, "{asset}");
        assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable", "{asset}");
        let kind = if asset.ends_with(".css") { "text/css" } else { "text/javascript" };
        assert!(answer.header("content-type").starts_with(kind), "{answer:?}");
        let (stem, extension) = asset.rsplit_once('.').expect("an extension");
        let other = format!("{}{}.{extension}", &stem[..stem.len() - 16], "0123456789abcdef");
        let answer = world.get(&other, None).await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"), "of another version: {other}");
    }
    let outside = world.get("/billing/assets/../../tollgate.toml", None).await;
    assert!(!outside.body.contains("[site]") && !outside.header("content-type").contains("css"), "{outside:?}");
    assert_eq!(world.get("/billing/assets/none-0123456789abcdef.css", None).await.status, 404);
}
