//! What is sold beside the tiers is shown, and gives no tier.

use serde_json::json;

use super::{Buyer, setup};
use crate::world::stripe::{Subscription, checkout_completed, unique};
use crate::world::{Arrangement, Setup, World};

const DOMAIN: &str = r#"
[[addon]]
code = "domain"
name = "Custom domain"
requires = ["domain_name"]

[[addon.price]]
provider = "stripe"
id = "price_domain"
cadence = "annual"
amount = 1500
currency = "gbp"
"#;

#[tokio::test]
async fn add_ons_are_listed_and_those_that_are_paid_for_are_ones_own() {
    let usual = setup(Arrangement::AllPostgres);
    let catalog = format!("{}{DOMAIN}", usual.catalog);
    let world = World::with(Setup { catalog, provider: None, ..usual }).await;
    let buyer = Buyer::new(&world);
    let sold = buyer.get("/api/billing/addons").await;
    assert_eq!(
        (&sold["addons"][0]["code"], &sold["addons"][0]["requires"]),
        (&json!("domain"), &json!(["domain_name"]))
    );
    assert_eq!(sold["addons"][0]["prices"][0]["amount"], 1500);
    assert_eq!(buyer.get("/api/billing/my-addons").await["addons"], json!([]));
    let subscription = Subscription { price: "price_domain".to_owned(), ..Subscription::of(&unique("cus")) };
    world.applied(&checkout_completed(Some(&buyer.account), &subscription.customer, &subscription.id)).await;
    world.applied(&subscription.event("created")).await;
    let own = buyer.get("/api/billing/my-addons").await;
    assert_eq!(
        (&own["addons"][0]["code"], &own["addons"][0]["subscription"]),
        (&json!("domain"), &json!(subscription.id))
    );
    assert_eq!(buyer.standing().await["tier"], "free", "it is no tier");
    world.settled(&subscription.ended().event("deleted")).await;
    assert_eq!(buyer.get("/api/billing/my-addons").await["addons"], json!([]));
}
