//! A simulated Polar beside a world: it sells its own products of the same tiers, and delivers to the public listener.

use demo::polar::{KeyForm, NewCustomer, Parcel, Polar, Product, Settings, StandardSecret, Subscribe, sign_standard};
use demo::provider::Cadence;

use super::setup::{CATALOG, Setup};
use super::wait::DEADLINE;
use super::{Answer, World, now, send};

/// The two secrets that are valid while one is being rotated: one of the new form, and one of the old, whose text is
/// itself the key.
pub const SECRETS: [&str; 2] =
    ["whsec_dGhlIGZpcnN0IHNlY3JldCBvZiB0aGUgdGVzdHM=", "polar_whs_the_second_secret_of_the_tests"];

/// The token with which billing may ask it.
pub const ACCESS_TOKEN: &str = "polar_oat_of_the_tests";

/// The product of each tier, monthly.
pub const PAID: &str = "0a000000-0000-4000-8000-000000000001";
pub const BUSINESS: &str = "0a000000-0000-4000-8000-000000000002";

/// Whether billing has the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    No,
    Yes,
}

/// How Polar signs with each of [`SECRETS`].
pub fn signing(number: usize) -> StandardSecret {
    let form = if number == 0 { KeyForm::Decoded } else { KeyForm::Whole };
    StandardSecret { secret: SECRETS[number].into(), form }
}

/// The headers of a delivery that was made some seconds from now, signed with each of these secrets.
pub fn headers(id: &str, body: &str, seconds: i64, secrets: &[StandardSecret]) -> Vec<(&'static str, String)> {
    let at = now() + chrono::Duration::seconds(seconds);
    let sign = |secret| sign_standard(secret, &Parcel { id, at, body: body.as_bytes() }).expect("a signature");
    let signatures: Vec<String> = secrets.iter().map(sign).collect();
    vec![
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", at.timestamp().to_string()),
        ("webhook-signature", signatures.join(" ")),
    ]
}

/// A world and its Polar.
pub struct WithPolar {
    pub world: World,
    pub polar: Polar,
}

/// One customer who has subscribed.
pub struct Reader {
    pub customer: String,
    pub subscription: String,
}

/// The catalog of every world, with Polar's products for its tiers.
fn catalog() -> String {
    let price = |product: &str, amount: u32| {
        format!(
            "[[tier.price]]\nprovider = \"polar\"\nid = \"{product}\"\ncadence = \"monthly\"\namount = {amount}\ncurrency = \"gbp\"\n"
        )
    };
    let (first, second) = CATALOG.rsplit_once("[[tier]]\n").expect("two tiers");
    format!("{first}\n{}\n[[tier]]\n{second}\n{}", price(PAID, 700), price(BUSINESS, 2900))
}

impl WithPolar {
    /// Starts what `setup` says, with a Polar that delivers to it.
    pub async fn start(setup: Setup, asking: Asking) -> Self {
        let product = |id: &str, amount| Product {
            id: id.into(),
            name: id.into(),
            amount,
            currency: "gbp".into(),
            cadence: Cadence::Month,
        };
        let mut settings = Settings::new(ACCESS_TOKEN, SECRETS[0]);
        settings.products = vec![product(PAID, 700), product(BUSINESS, 2900)];
        let polar = Polar::start(settings).await.expect("Polar starts");
        let setup = Setup { catalog: catalog(), ..setup };
        let setup = setup
            .environment("POLAR_WEBHOOK_SECRET", &SECRETS.join(","))
            .key("polar.api_base", &format!("\"{}/\"", polar.url()));
        let setup = match asking {
            Asking::No => setup,
            Asking::Yes => setup.environment("POLAR_ACCESS_TOKEN", ACCESS_TOKEN),
        };
        let world = World::with(setup).await;
        polar.set_webhook_url(Some(format!("{}/api/polar/webhook", world.url)));
        Self { world, polar }
    }

    /// A customer of the site who subscribes.
    pub fn subscribe(&self, account: &str, product: &str) -> Reader {
        let customer = NewCustomer { external_id: Some(account.to_owned()), ..NewCustomer::default() };
        let customer = self.polar.create_customer(customer).expect("a customer");
        let subscription = self.subscribe_again(&customer, product);
        Reader { customer, subscription }
    }

    /// One more subscription of a customer.
    pub fn subscribe_again(&self, customer: &str, product: &str) -> String {
        let new = Subscribe { customer: customer.to_owned(), product: product.into(), ..Subscribe::default() };
        self.polar.subscribe(new).expect("a subscription")
    }

    /// Waits until every event was taken.
    pub async fn settled(&self) {
        self.polar.settled(DEADLINE).await.expect("everything is delivered");
        let log = self.polar.delivery_log().into_iter();
        // Whoever is told that the database is busy comes again.
        let refused: Vec<_> = log.filter(|attempt| !attempt.is_accepted() && attempt.status != Some(503)).collect();
        assert!(refused.is_empty(), "{refused:?}");
    }
}

impl World {
    /// Delivers any body under any headers to Polar's route.
    pub async fn deliver_to_polar(&self, body: &str, headers: &[(&'static str, String)]) -> Answer {
        let request = self.request("POST", "/api/polar/webhook", None).header("content-type", "application/json");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        send(request.body(body.to_owned())).await
    }
}
