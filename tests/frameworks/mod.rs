//! Sites made with real frameworks: what they serve at which addresses, and that the gate knows all of these.
//!
//! They are built from npm, so `make long` runs them: `scripts/frameworks.sh` builds the site and names it.

mod sessions;

use std::path::PathBuf;
use std::process::Command;

use crate::world::http::send;
use crate::world::process::Process;
use crate::world::stripe::{Subscription, unique};
use crate::world::{Arrangement, Setup, World, eventually, ports, token};

const ROUTES: &str = r#"
[[route]]
path = "/paid/**"
require = { tier = "paid" }
"#;

/// The text of the paid pages.
const TEXT: &str = "what is paid for";

#[tokio::test]
async fn no_address_of_a_paid_page_of_nextjs_is_open() {
    let Some(site) = std::env::var_os("TOLLGATE_NEXTJS").map(PathBuf::from) else { return };
    let address = ports::free();
    let mut command = Command::new("node");
    command.current_dir(&site).env("NEXT_TELEMETRY_DISABLED", "1");
    command.args(["node_modules/next/dist/bin/next", "start", "-H", "127.0.0.1", "-p", &address.port().to_string()]);
    let _next = Process::start("next", &mut command, site.join("next.log"));
    let client = crate::world::http::client();
    let direct = async |path: &str| client.get(format!("http://{address}{path}")).send().await;
    eventually("Next.js serves", async || direct("/").await.is_ok().then_some(())).await;
    let setup = Setup::new(Arrangement::AllPostgres).routes(ROUTES).upstream(address);
    let world = World::with(setup.key("site.framework", "\"nextjs\"")).await;
    let account = unique("payer");
    let subscription = Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) };
    world.accepted(&subscription.event("created")).await;
    let payer = token(&account);
    world.everywhere("/paid/x", &payer, 200).await;
    let build = std::fs::read_to_string(site.join(".next/BUILD_ID")).expect("the site is built");
    let mut served = 0;
    for path in [
        "/paid/x",
        "/paid/fixed",
        "/en/paid/x",
        "/de/paid/x",
        "/DE/paid/fixed",
        "/paid/photo.png",
        "/_next/image?url=%2Fpaid%2Fphoto.png&w=64&q=75",
        "/_next/image?w=64&q=75&ur%6c=/paid/photo.png",
        &format!("/_next/data/{build}/en/paid/x.json"),
        &format!("/_next/data/{build}/EN/paid/x.json"),
        &format!("/_next/data/{build}/de/paid/fixed.json"),
    ] {
        let answer = direct(path).await.expect("Next.js answers");
        let (status, is_image) = (answer.status(), path.contains("photo"));
        let body = answer.bytes().await.expect("a body");
        if !status.is_success() || !(is_image || String::from_utf8_lossy(&body).contains(TEXT)) {
            continue;
        }
        served += 1;
        let stranger = world.get(path, None).await;
        assert_eq!((stranger.status, stranger.body.contains(TEXT)), (401, false), "{path}");
        let paid = send(world.request("GET", path, Some(&payer))).await;
        assert_eq!(paid.status, 200, "{path}");
    }
    assert!(served >= 9, "the site serves its pages at {served} addresses");
    assert_eq!(world.get("/", None).await.status, 200);
}
