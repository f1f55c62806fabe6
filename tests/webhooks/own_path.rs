//! A provider may deliver at a path that it knows already.

use crate::world::polar::{self, Asking, PAID, WithPolar};
use crate::world::stripe::{self, Subscription, unique};
use crate::world::{Arrangement, Setup, World, in_seconds, send, token};

#[tokio::test]
async fn a_webhook_is_taken_in_at_a_path_of_the_configuration_and_at_billings_own() {
    for fast_path in ["true", "false"] {
        let setup = Setup::new(Arrangement::AllPostgres)
            .key("stripe.webhook_path", "\"/hooks/stripe\"")
            .key("proxy.fast_path", fast_path);
        let world = World::with(setup).await;
        for path in ["/hooks/stripe", "/hooks/stripe?from=before", "/api/stripe/webhook"] {
            let account = unique("payer");
            let subscription = Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) };
            let body = subscription.event("created").body();
            let deliver = |secrets: &[&str]| {
                let signature = stripe::signature(&body, in_seconds(0), secrets);
                let request = world.request("POST", path, None).header("content-type", "application/json");
                send(request.header("stripe-signature", signature).body(body.clone()))
            };
            let forged = deliver(&["whsec_another"]).await;
            assert_eq!((forged.status, forged.code().as_str()), (401, "invalid_signature"), "{path}: {forged:?}");
            let taken = deliver(&stripe::SECRETS[..1]).await;
            assert_eq!(taken.status, 200, "{path}: {taken:?}");
            world.everywhere("/premium/hello", &token(&account), 200).await;
        }
        assert_eq!(world.get("/hooks/other", None).await.status, 200, "what lies beside it is the site's");
    }
}

#[tokio::test]
async fn polars_webhook_is_taken_in_at_a_path_of_the_configuration_and_at_billings_own() {
    let setup = Setup::new(Arrangement::AllPostgres).key("polar.webhook_path", "\"/hooks/polar\"");
    let beside = WithPolar::start(setup, Asking::No).await;
    for path in ["/hooks/polar", "/api/polar/webhook"] {
        beside.polar.set_webhook_url(Some(format!("{}{path}", beside.world.url)));
        let account = unique("payer");
        beside.subscribe(&account, PAID);
        beside.settled().await;
        beside.world.everywhere("/premium/hello", &token(&account), 200).await;
        let body = "{}";
        let request = beside.world.request("POST", path, None).header("content-type", "application/json");
        let another = demo::polar::StandardSecret { secret: "whsec_YW5vdGhlcg==".into(), ..polar::signing(0) };
        let headers = polar::headers("msg_1", body, 0, &[another]);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let forged = send(request.body(body)).await;
        assert_eq!((forged.status, forged.code().as_str()), (401, "invalid_signature"), "{path}: {forged:?}");
    }
}
