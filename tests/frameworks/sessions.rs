//! Real sites with sessions of their own: when users sign in and out, no page after the answer that says so is of the identity before it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;

use crate::examples::{installed, run};
use crate::gate::ways::blocks;
use crate::gate::with_ways;
use crate::world::process::Process;
use crate::world::stripe::unique;
use crate::world::{World, eventually, ports, send};

/// Browsers that ask at the same time.
const BROWSERS: usize = 4;

/// How often users sign in and out.
const ROUNDS: usize = 5;

#[tokio::test]
async fn no_page_of_express_is_of_the_identity_before_a_sign_in_or_out() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frameworks/express");
    let dir = installed(&source, "package.json", |dir| {
        run(Command::new("npm").args(["install", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(dir));
    });
    let address = ports::free();
    let mut command = Command::new("node");
    command.arg("app.js").env("PORT", address.port().to_string()).current_dir(&dir);
    let ids = ["u-one", "u-two"];
    signs_in_and_out(address, &mut command, ("express", "connect.sid"), ids).await;
}

/// Built from PyPI: `scripts/frameworks.sh` says where it is.
#[tokio::test]
async fn no_page_of_django_is_of_the_identity_before_a_sign_in_or_out() {
    let Some(place) = std::env::var_os("TOLLGATE_DJANGO").map(PathBuf::from) else { return };
    let (address, data) = (ports::free(), tempfile::tempdir().expect("a directory"));
    let mut command = Command::new(place.join("venv/bin/python"));
    command
        .arg(place.join("site.py"))
        .arg(address.port().to_string())
        .env("DATABASE", data.path().join("users.sqlite"));
    signs_in_and_out(address, &mut command, ("django", "sessionid"), ["1", "2"]).await;
}

/// Signs in, as another user, and out, while pages are asked for; `way` is the site's in docs/identity.md, with its cookie.
async fn signs_in_and_out(address: SocketAddr, site: &mut Command, way: (&str, &str), ids: [&str; 2]) {
    let log = std::env::temp_dir().join(format!("{}.log", unique("site")));
    let _site = Process::start(way.0, site, log);
    let direct = crate::world::http::client();
    eventually("the site serves", async || direct.get(format!("http://{address}/")).send().await.is_ok().then_some(()))
        .await;
    let ask = format!("http://{address}/internal/session");
    let world = World::with(with_ways(&blocks(&[way.0], &[("ask", &ask)])).upstream(address)).await;
    for _ in 0..ROUNDS {
        let first = changes(&world, way.1, None, &format!("/login?as={}", ids[0])).await.expect("a cookie");
        is_everywhere(&world, &first, Some(ids[0])).await;
        let second = changes(&world, way.1, Some(&first), &format!("/login?as={}", ids[1])).await.expect("a cookie");
        assert_ne!(first, second, "a new session");
        is_everywhere(&world, &second, Some(ids[1])).await;
        is_everywhere(&world, &first, None).await;
        assert_eq!(changes(&world, way.1, Some(&second), "/logout").await, None, "the cookie is cleared");
        is_everywhere(&world, &second, None).await;
    }
}

/// Signs in or out with this cookie, while pages are asked for with it; the cookie that the answer sets.
async fn changes(world: &World, name: &str, cookie: Option<&str>, path: &str) -> Option<String> {
    let is_over = AtomicBool::new(false);
    let ends = &is_over;
    let others = (0..BROWSERS).map(|_| async move {
        while let Some(cookie) = cookie.filter(|_| !ends.load(Ordering::SeqCst)) {
            page(world, cookie).await;
        }
    });
    let change = async {
        let request = world.request("POST", path, None);
        let answer = send(cookie.into_iter().fold(request, |request, cookie| request.header("cookie", cookie))).await;
        is_over.store(true, Ordering::SeqCst);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let set = answer.headers.get_all("set-cookie").iter().filter_map(|line| line.to_str().ok());
        let pair = set.filter_map(|line| line.split(';').next()).find(|pair| pair.starts_with(&format!("{name}=")));
        pair.filter(|pair| !matches!(pair.split_once('='), Some((_, "" | "\"\"")))).map(str::to_owned)
    };
    tokio::join!(join_all(others), change).1
}

/// The identity of pages that are asked for from now on.
async fn is_everywhere(world: &World, cookie: &str, account: Option<&str>) {
    for told in join_all((0..BROWSERS).map(|_| page(world, cookie))).await {
        assert_eq!(told.as_deref(), account, "{cookie}");
    }
}

/// The account that the site is told with a page.
async fn page(world: &World, cookie: &str) -> Option<String> {
    let path = format!("/welcome/{}", unique("page"));
    let answer = send(world.request("GET", &path, None).header("cookie", cookie)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["account"].as_str().map(str::to_owned)
}
