//! A site below a path of its host, and hosted pages at a path of one's own.

use demo::provider::Shape;

use crate::world::http::client;
use crate::world::stripe::{self, Subscription, unique};
use crate::world::{Answer, Arrangement, Setup, World, in_seconds, send, token};

/// The routes of the suites, as browsers write them.
const ROUTES: &str = r#"
[[route]]
path = "/app/premium/**"
require = { tier = "paid" }

[[route]]
path = "/app/signed-in/**"
require = { signed_in = true }
"#;

fn below() -> Setup {
    Setup::new(Arrangement::AllPostgres)
        .routes(ROUTES)
        .key("site.url", "\"{site}/app/\"")
        .key("referral.credit_days", "30")
        .key("pages.index", "true")
        .provider(Shape::Endive)
}

/// The first address after a text in a page.
fn address<'a>(page: &'a str, before: &str) -> &'a str {
    page.split(before).nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_else(|| panic!("{before}: {page}"))
}

async fn form(world: &World, path: &str, token: &str, fields: &str) -> Answer {
    let request = world.request("POST", path, None).header("cookie", format!("session={token}"));
    let request = request.header("content-type", "application/x-www-form-urlencoded").header("origin", &world.url);
    send(request.header("accept", "text/html").body(fields.to_owned())).await
}

/// Buys on the pages at `pages` of the site at `base`, from the gate to the page that was asked for.
async fn buys(world: &World, (base, pages): (&str, &str)) {
    let provider = world.provider.as_ref().expect("this world has one");
    provider.set_webhook_url(Some(format!("{}{base}/api/stripe/webhook", world.url)));
    let (session, premium) = (token(&unique("buyer")), format!("{base}/premium/page"));
    let encoded = premium.replace('/', "%2F");
    let sent = world.browse(&premium, None).await;
    assert_eq!((sent.status, sent.header("location")), (303, &*format!("{base}/login?next={encoded}")));
    let sent = world.browse(&premium, Some(&session)).await;
    assert_eq!((sent.status, sent.header("location")), (303, &*format!("{pages}/pricing?next={encoded}")));
    let pricing = world.browse(sent.header("location"), Some(&session)).await;
    assert_eq!(pricing.status, 200, "{pricing:?}");
    for before in ["action=\"", "rel=\"stylesheet\" href=\"", "<script src=\""] {
        assert!(address(&pricing.body, before).starts_with(&format!("{pages}/")), "{before}: {pricing:?}");
    }
    assert_eq!(address(&pricing.body, "class=\"brand\" href=\""), format!("{base}/"));
    for before in ["rel=\"stylesheet\" href=\"", "<script src=\""] {
        assert_eq!(world.get(address(&pricing.body, before), None).await.status, 200, "{before}");
    }
    assert!(address(&pricing.body, "rel=\"canonical\" href=\"").ends_with(&format!("{pages}/pricing")));
    let bought =
        form(world, &format!("{pages}/checkout"), &session, &format!("tier=paid&cadence=monthly&next={encoded}")).await;
    assert_eq!(bought.status, 200, "{bought:?}");
    assert!(bought.header("set-cookie").contains(&format!("Path={pages}/return;")), "{bought:?}");
    let checkout = address(&bought.body, "class=\"button\" href=\"").replace("&#38;", "&");
    let paid = send(client().post(checkout).form(&[("action", "pay")])).await;
    let back = paid.header("location").to_owned();
    assert!(back.starts_with(&format!("{}{pages}/return?session_id=", world.url)), "{paid:?}");
    let again = world.browse(back.strip_prefix(&world.url).expect("this site"), Some(&session)).await;
    assert_eq!((again.status, again.header("location")), (303, &*premium), "{again:?}");
    assert_eq!(world.get(&premium, Some(&session)).await.status, 200);
    let own = world.browse(pages, Some(&session)).await;
    assert!(own.body.contains(&format!("action=\"{pages}/cancel\"")), "{own:?}");
    let ended = form(world, &format!("{pages}/cancel"), &session, "").await;
    assert_eq!((ended.status, ended.header("location")), (303, &*format!("{pages}?done=ending")), "{ended:?}");
    let anonymous = world.browse(pages, None).await;
    assert_eq!(anonymous.header("location"), format!("{base}/login?next={}", pages.replace('/', "%2F")));
    let second =
        world.post(&format!("{base}/api/billing/checkout"), &session, &serde_json::json!({"cadence": "annual"})).await;
    let (status, instead) = (second.status, second.json()["instead"].clone());
    assert_eq!((status, instead), (409, format!("{base}/api/billing/portal").into()), "{second:?}");
}

#[tokio::test]
async fn the_pages_of_a_site_below_a_path_are_there() {
    for (setup, pages) in [(below(), "/app/billing"), (below().key("pages.path", "\"/app/plan\""), "/app/plan")] {
        let world = World::with(setup).await;
        buys(&world, ("/app", pages)).await;
        for (next, kept) in [("%2Fapp%2Fa", "%3Fnext%3D%252Fapp%252Fa"), ("%2Fother", ""), ("%2Fapp%2F..%2Fother", "")]
        {
            let back = world.browse(&format!("{pages}/return?next={next}"), None).await;
            let to = format!("/app/login?next={}%2Freturn{kept}", pages.replace('/', "%2F"));
            assert_eq!(back.header("location"), to, "{next}");
        }
        let keys = world.get("/app/.well-known/tollgate/jwks.json", None).await;
        assert!(keys.status == 200 && keys.body.contains("\"keys\""), "{keys:?}");
        let reader = token(&unique("reader"));
        let invited = world.get("/app/api/billing/referral", Some(&reader)).await.json();
        let link = invited["link"].as_str().expect("a link").to_owned();
        let path = link.strip_prefix(&world.url).expect("this site").to_owned();
        assert!(path.starts_with(&format!("{pages}/r/")), "{invited}");
        let followed = world.browse(&path, None).await;
        assert_eq!(followed.header("location"), format!("{}/app/", world.url));
        assert!(followed.header("set-cookie").contains("; Path=/app;"), "{followed:?}");
        // Other letters are no way to what the application asks for: its API is not for browsers.
        let shouted = format!("/app{}", pages["/app".len()..].to_uppercase());
        for path in [&shouted, &format!("{shouted}/v1"), "/app/API/billing/tiers", "/app/api/BILLING/subscription"] {
            assert_eq!(world.get(path, Some(&reader)).await.status, 404, "{path}");
        }
        // Outside of the site nothing is Tollgate's own.
        for path in ["/billing", "/billing/pricing", "/api/billing/tiers", "/.well-known/tollgate/jwks.json"] {
            assert_eq!(world.get(path, None).await.body, crate::world::upstream::BODY, "{path}");
        }
        let page = format!("/app/signed-in/{}", unique("page"));
        assert_eq!(world.get(&page, Some(&reader)).await.status, 200);
        let received = world.upstream.only(&page);
        assert_eq!(received.target, page, "the site gets what was asked for");
        let assertion = received.header("x-entitlement-assertion").expect("an assertion");
        let claims = jsonwebtoken::dangerous::insecure_decode::<serde_json::Value>(assertion).expect("a token").claims;
        assert_eq!(claims["iss"], format!("{}/app", world.url));
        let gate = send(world.request("POST", "/app/premium/a", None).header("accept", "text/html")).await;
        assert!(gate.body.contains("class=\"brand\" href=\"/app/\"") && !gate.body.contains("href=\"/\""), "{gate:?}");
    }
}

#[tokio::test]
async fn a_webhook_is_delivered_below_the_sites_path() {
    for (key, path) in [("", "/app/api/stripe/webhook"), ("\"/app/hooks\"", "/app/hooks")] {
        let world = World::with(below().key("stripe.webhook_path", key)).await;
        let account = unique("payer");
        let subscription = Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) };
        let body = subscription.event("created").body();
        let signature = stripe::signature(&body, in_seconds(0), &stripe::SECRETS[..1]);
        let request = world.request("POST", path, None).header("content-type", "application/json");
        let taken = send(request.header("stripe-signature", signature).body(body)).await;
        assert_eq!(taken.status, 200, "{path}: {taken:?}");
        world.everywhere("/app/premium/hello", &token(&account), 200).await;
    }
}

#[tokio::test]
async fn pages_at_a_path_of_ones_own_leave_the_usual_one_to_the_site() {
    let setup = Setup::new(Arrangement::AllPostgres)
        .key("pages.path", "\"/membership/plan\"")
        .key("pages.index", "true")
        .provider(Shape::Endive);
    let world = World::with(setup).await;
    buys(&world, ("", "/membership/plan")).await;
    for path in ["/billing", "/billing/pricing", "/membership", "/membership/plans"] {
        assert_eq!(world.get(path, None).await.body, crate::world::upstream::BODY, "{path}");
    }
    for (path, to) in
        [("/membership/plan/", "/membership/plan"), ("/membership/plan/pricing/", "/membership/plan/pricing")]
    {
        assert_eq!(world.browse(path, None).await.header("location"), to, "{path}");
    }
}

#[tokio::test]
async fn what_cannot_be_is_told_by_check() {
    let world = World::with(below()).await;
    world.tollgate(&["check"]).await.success();
    for (from, to, expected) in [
        ("path = \"/app/premium/**\"", "path = \"/premium/**\"", "write \"/app/premium/**\""),
        ("/app/\"\n", "/app/?a=b\"\n", "must be an origin"),
        ("referral.credit_days = 30", "pages.path = \"/plan\"", "write \"/app/plan\""),
    ] {
        let mut before = String::new();
        world.proxy().rewrite(|text| {
            before.clone_from(&text);
            text.replacen(from, to, 1)
        });
        let refused = world.tollgate(&["check"]).await;
        assert!(refused.failure().contains(expected), "{to}: {refused:?}");
        world.proxy().rewrite(|_| before.clone());
    }
}
