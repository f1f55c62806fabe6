//! A login page on another host: it learns the way back from a parameter of its own, as a whole address.

use crate::world::{Arrangement, Setup, World};

#[tokio::test]
async fn a_login_page_elsewhere_is_told_a_whole_address_to_lead_back_to() {
    let setup = Setup::new(Arrangement::AllPostgres)
        .key("site.login_url", "\"https://accounts.example/sign-in?app=1\"")
        .key("site.next_param", "\"redirect_url\"");
    let world = World::with(setup).await;
    world.tollgate(&["check"]).await.success();
    let config = std::fs::read_to_string(world.dir().join("tollgate.toml")).expect("it is there");
    let site: toml::Table = config.parse().expect("it is valid");
    let site = site["site"]["url"].as_str().expect("an origin").replace(':', "%3A").replace('/', "%2F");
    for (path, back) in [("/premium/x?a=b", "%2Fpremium%2Fx%3Fa%3Db"), ("/billing", "%2Fbilling")] {
        let answer = world.browse(path, None).await;
        let to = format!("https://accounts.example/sign-in?app=1&redirect_url={site}{back}");
        assert_eq!((answer.status, answer.header("location")), (303, to.as_str()), "{path}");
    }
    let pricing = world.browse("/billing/pricing", None).await;
    let to = format!("https://accounts.example/sign-in?app=1&#38;redirect_url={site}%2Fbilling%2Fpricing");
    assert!(pricing.body.contains(&to), "{pricing:?}");
}
