//! What a cache may keep of a public page: nothing that was made for one account, and everything that is the same for all.

use super::paying;
use crate::world::setup::ROUTES;
use crate::world::{Answer, Arrangement, Setup, World, send};

const BOTH: &str = "Cookie, Authorization";

/// What the site says of a page, and what its reader and a stranger are told.
const PAGES: [(&str, &str, &str, &str, &str); 5] = [
    ("plain", "", "private", "", BOTH),
    ("public", "Cache-Control: public, max-age=60\r\n", "private, max-age=60", "public, max-age=60", BOTH),
    ("shared", "Cache-Control: s-maxage=60, max-age=5\r\n", "private, max-age=5", "s-maxage=60, max-age=5", BOTH),
    ("never", "Cache-Control: no-store\r\n", "no-store", "no-store", BOTH),
    (
        "for-ever",
        "Cache-Control: public, max-age=9, immutable\r\n",
        "public, max-age=9, immutable",
        "public, max-age=9, immutable",
        "",
    ),
];

async fn page(world: &World, path: &str, cookie: Option<&str>) -> Answer {
    let request = world.request("GET", path, None);
    send(cookie.into_iter().fold(request, |request, cookie| request.header("cookie", cookie))).await
}

fn caching(answer: &Answer) -> (&str, &str) {
    let value = |name| answer.headers.get(name).map_or("", |value| value.to_str().expect("text"));
    (value("cache-control"), value("vary"))
}

#[tokio::test]
async fn a_public_page_that_is_told_who_asks_is_private_and_one_that_is_not_varies() {
    let routes = format!("[[route]]\npath = \"/assets/**\"\nrequire = {{ public = true }}\nshared = true\n{ROUTES}");
    let world = World::with(Setup::new(Arrangement::AllPostgres).routes(&routes)).await;
    let session = format!("session={}", paying(&world).await);
    for (name, says, of_reader, of_stranger, vary) in PAGES {
        world.upstream.answer(&format!("/{name}?"), &format!("HTTP/1.1 200 OK\r\n{says}Content-Length: 0\r\n\r\n"));
        let path = format!("/welcome/{name}?");
        let known = page(&world, &path, Some(&session)).await;
        assert_eq!(caching(&known), (of_reader, vary), "{name}: {known:?}");
        for cookie in [None, Some("session=expired"), Some("theme=dark")] {
            let unknown = page(&world, &path, cookie).await;
            assert_eq!(caching(&unknown), (of_stranger, vary), "{name} {cookie:?}: {unknown:?}");
        }
        let path = format!("/assets/{name}?");
        for cookie in [None, Some(session.as_str())] {
            let asset = page(&world, &path, cookie).await;
            assert_eq!(caching(&asset), (of_stranger, ""), "{name} {cookie:?}: {asset:?}");
        }
    }
    let told =
        |path: &str| world.upstream.received_with(path).iter().filter(|asked| !asked.identity().is_empty()).count();
    assert_eq!(
        (told("/welcome/public"), told("/assets/public")),
        (1, 0),
        "the site of a shared page is told of nobody"
    );
}
