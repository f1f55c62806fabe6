//! The pages of the gate itself belong to the site: its name, its look, its words, and ways on.

use super::paying;
use crate::world::setup::ROUTES;
use crate::world::stripe::unique;
use crate::world::{Answer, Arrangement, Setup, World, ports, send, token};

const HTML: &str = "text/html,application/xhtml+xml;q=0.9";
const LOGO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/market.svg");
const STYLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/market.css");

/// Every text of the gate's pages: its key, and what it is filled with.
fn texts() -> Vec<(String, Vec<String>)> {
    let default: toml::Table = include_str!("../../config/tollgate.toml").parse().expect("the default");
    let texts = default["pages"]["texts"]["gate"].as_table().expect("texts");
    let filled = |text: &toml::Value| {
        let text = text.as_str().expect("a text");
        text.split('{').skip(1).filter_map(|rest| Some(format!("{{{}}}", rest.split_once('}')?.0))).collect()
    };
    texts.iter().map(|(key, text)| (key.clone(), filled(text))).collect()
}

/// A site of its own, whose servers are gone and whose every text is its own key.
async fn site() -> World {
    let routes = format!("[[route]]\npath = \"/staff/**\"\nrequire = {{ feature = \"staff_room\" }}\n{ROUTES}");
    let mut setup = Setup::new(Arrangement::AllPostgres)
        .routes(&routes)
        .upstream(ports::free())
        .key("pages.site_name", "\"The <Reader>\"")
        .key("pages.language", "\"de\"")
        .key("pages.logo", &format!("\"{LOGO}\""))
        .key("pages.stylesheet", &format!("\"{STYLE}\""))
        .key("pages.words.staff_room", "\"§Kammer\"")
        .key("limits.body_bytes", "16384");
    setup.catalog = setup.catalog.replace("name = \"Paid\"", "name = \"§Gold\"")
        + "\n[[tier]]\ncode = \"free\"\nname = \"§Gratis\"\nrank = 0\n";
    for (key, filled) in texts() {
        setup = setup.key(&format!("pages.texts.gate.{key}"), &format!("\"§{key}§ {}\"", filled.join(" ")));
    }
    World::with(setup).await
}

/// What a person reads of a page: its name first.
fn read_out(page: &str) -> Vec<&str> {
    let (_, page) = page.split_once("<title>").expect("a title");
    let (title, rest) = page.split_once("<style>").expect("what stands in for a stylesheet");
    let (_, body) = rest.split_once("</style>").expect("its end");
    let texts = [title, body].into_iter().flat_map(|part| part.split('<'));
    let texts = texts.map(|tag| tag.split_once('>').map_or(tag, |(_, text)| text).trim());
    texts.filter(|text| !text.is_empty()).collect()
}

async fn asks(world: &World, method: &str, path: &str, token: Option<&str>, body: &str) -> Answer {
    let request = world.request(method, path, None).header("accept", HTML).body(body.to_owned());
    send(token.into_iter().fold(request, |request, token| request.header("cookie", format!("session={token}")))).await
}

#[tokio::test]
async fn every_page_of_the_gate_speaks_with_the_sites_words_and_leads_on() {
    let world = site().await;
    let free = token(&unique("free"));
    let paid = {
        let account = unique("payer");
        let subscription = crate::world::stripe::Subscription {
            metadata: Some(account.clone()),
            ..crate::world::stripe::Subscription::of(&unique("cus"))
        };
        world.accepted(&subscription.event("created")).await;
        let token = token(&account);
        world.everywhere("/premium/hello", &token, 502).await;
        token
    };
    let large = "x".repeat(20_000);
    let cases = [
        ("POST", "/premium/a", None, "", 401, "§sign_in§", vec!["§sign_in_text§"]),
        ("POST", "/premium/a", Some("bad"), "", 401, "§expired§", vec![]),
        ("POST", "/premium/a", Some(&*free), "", 402, "§pay§", vec!["§tier§ §Gold", "§Gratis"]),
        ("POST", "/staff/a", Some(&*free), "", 403, "§not_sold§", vec!["§feature§ §Kammer", "§Gratis"]),
        ("GET", "/premium/%2e%2e/a%2Fb", None, "", 400, "§bad_request§", vec![]),
        ("TRACE", "/premium/a", None, "", 405, "§bad_request§", vec![]),
        ("POST", "/welcome", None, &*large, 413, "§too_large§", vec![]),
        ("GET", "/premium/a", Some(&*paid), "", 502, "§unreachable§", vec![]),
    ];
    for (method, path, token, body, status, title, texts) in cases {
        let page = asks(&world, method, path, token, body).await;
        assert_eq!(
            (page.status, page.header("content-type")),
            (status, "text/html; charset=utf-8"),
            "{path}: {page:?}"
        );
        assert!(page.body.contains("<html lang=\"de\">"), "{path}: {page:?}");
        let read = read_out(&page.body);
        assert!(read[0].starts_with(title) && read[0].contains("The &#60;Reader&#62;"), "{path}: {read:?}");
        assert!(texts.iter().all(|text| page.body.contains(text)), "{path}: {texts:?}: {page:?}");
        assert!(read.iter().all(|text| text.contains('§')), "no text but the site's own, {path}: {read:?}");
        for link in ["href=\"/login", "href=\"/billing/pricing", "href=\"/\"", "alt=\"The &#60;Reader&#62;\""] {
            assert!(page.body.contains(link), "{link}: {page:?}");
        }
        for (attribute, kind) in
            [("src=\"", "image/svg+xml"), ("href=\"/billing/assets/theme", "text/css; charset=utf-8")]
        {
            let rest = page.body.split(attribute).nth(1).and_then(|rest| rest.split('"').next()).expect("an address");
            let address =
                if attribute.starts_with("src") { rest.to_owned() } else { format!("/billing/assets/theme{rest}") };
            assert_eq!(world.get(&address, None).await.header("content-type"), kind, "{address}");
        }
        let policy = page.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("img-src 'self'"), "{policy}");
    }
}

#[tokio::test]
async fn an_address_of_ours_with_a_slash_too_many_is_found() {
    let world = World::start(Arrangement::AllPostgres).await;
    let paid = paying(&world).await;
    for (path, to) in [
        ("/billing/", "/billing"),
        ("/billing/pricing/", "/billing/pricing"),
        ("/billing/pricing/?next=%2Fa", "/billing/pricing?next=%2Fa"),
        ("/api/billing/tiers/", "/api/billing/tiers"),
        ("/.well-known/tollgate/jwks.json/", "/.well-known/tollgate/jwks.json"),
    ] {
        let answer = world.browse(path, Some(&paid)).await;
        assert_eq!((answer.status, answer.header("location")), (308, to), "{path}: {answer:?}");
        assert_eq!(world.browse(to, Some(&paid)).await.status, 200, "{to}");
    }
    for path in ["/billing/nothing", "/api/billing/nothing"] {
        assert_eq!(world.browse(path, Some(&paid)).await.status, 404, "{path}");
    }
}
