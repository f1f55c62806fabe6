//! Forms of the site's own pages, whatever a front or another name of the site makes of their `Origin`.

use super::{Buyer, annual, provider, setup};
use crate::world::{Answer, Arrangement, World, send};

/// What a browser says of the page that sent something.
type Said<'a> = &'a [(&'a str, &'a str)];

async fn sends(world: &World, buyer: &Buyer<'_>, said: Said<'_>) -> Answer {
    let form = world.request("POST", "/billing/checkout", None).header("cookie", format!("session={}", buyer.token));
    let form = form.header("content-type", "application/x-www-form-urlencoded").header("accept", "text/html");
    let form = said.iter().fold(form, |form, (name, value)| form.header(*name, *value));
    send(form.body("tier=paid&cadence=annual&provider=stripe")).await
}

async fn calls(world: &World, buyer: &Buyer<'_>, said: Said<'_>) -> Answer {
    let call = world.request("POST", "/api/billing/checkout", Some(&buyer.token)).json(&annual());
    send(said.iter().fold(call, |call, (name, value)| call.header(*name, *value))).await
}

#[tokio::test]
async fn a_form_is_own_by_sec_fetch_site_alone_or_by_an_origin_of_the_site() {
    let setup = setup(Arrangement::AllPostgres).key("site.url", "\"https://read.test\"");
    let world = World::with(setup.key("site.also", "[\"https://www.read.test:443\"]")).await;
    let same_origin = ("sec-fetch-site", "same-origin");
    let own: [Said<'_>; 8] = [
        &[("origin", "null"), same_origin],
        &[("origin", "https://new.read.test"), same_origin],
        &[same_origin],
        &[("origin", "https://read.test"), ("sec-fetch-site", "same-site")],
        &[("origin", "https://read.test:443")],
        &[("origin", "https://www.read.test")],
        &[("origin", "https://www.read.test"), ("sec-fetch-site", "cross-site")],
        &[("origin", "https://www.read.test:443"), ("sec-fetch-site", "same-site")],
    ];
    let buyer = Buyer::new(&world);
    for said in own {
        let page = sends(&world, &buyer, said).await;
        let leads_on = page.body.contains(r#"http-equiv="refresh" content="0; url=http://127.0.0.1:"#);
        assert!(page.status == 200 && leads_on, "{said:?}: {page:?}");
        let answer = calls(&world, &buyer, said).await;
        assert_eq!(answer.status, 200, "{said:?}: {answer:?}");
    }
    let foreign: [Said<'_>; 7] = [
        &[("origin", "null")],
        &[("origin", "null"), ("sec-fetch-site", "same-site")],
        &[("origin", "https://evil.test"), ("sec-fetch-site", "cross-site")],
        &[("origin", "https://blog.read.test"), ("sec-fetch-site", "same-site")],
        &[("origin", "http://read.test")],
        &[("origin", "https://read.test:8443")],
        &[("origin", "https://read.test.evil.test"), ("sec-fetch-site", "none")],
    ];
    let other = Buyer::new(&world);
    for said in foreign {
        let page = sends(&world, &other, said).await;
        assert_eq!(page.status, 403, "{said:?}: {page:?}");
        let answer = calls(&world, &other, said).await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "foreign_origin"), "{said:?}: {answer:?}");
    }
    let nothing = [("sec-fetch-site", "cross-site")];
    assert_eq!(sends(&world, &other, &nothing).await.status, 403, "a browser that hides its origin");
    let of_other = |session: &&serde_json::Value| session["client_reference_id"] == other.account.as_str();
    assert_eq!(provider(&world).sessions().iter().filter(of_other).count(), 0, "nothing was begun");
}
