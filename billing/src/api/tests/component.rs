//! Billing as these tests need it.

use entitlement::assertion::AssertionKey;
use sqlx::PgPool;

use super::{SECRET, SITE, grace};
use crate::Billing;
use crate::settings::{ASSERTION_AUDIENCE, POLAR_API_BASE, Polar, Settings, Stripe};

pub(super) fn billing(pool: PgPool, provider_url: &str, key: Option<&str>) -> Billing {
    let settings = Settings {
        site_url: SITE.into(),
        origins: vec![SITE.into()],
        pricing_url: "/billing/pricing".into(),
        login: entitlement::login::Login::default(),
        pages: std::sync::Arc::new(crate::pages::examples::pages()),
        assertion: AssertionKey::parse(SECRET).expect("a key"),
        assertion_audience: ASSERTION_AUDIENCE.into(),
        identity_audience: "read.example".into(),
        stripe: Stripe {
            api_key: key.map(Into::into),
            api_base: format!("{provider_url}/"),
            webhook_secrets: vec![],
            webhook_path: "/api/stripe/webhook".into(),
            metadata_key: "account".into(),
            account: None,
        },
        polar: Polar {
            access_token: None,
            api_base: POLAR_API_BASE.into(),
            webhook_secrets: vec![],
            metadata_key: "account".into(),
        },
        grace: grace(),
        operator_token: Some("the operator's token".into()),
        redis_url: None,
        inline_wait: std::time::Duration::from_secs(1),
        ..crate::tests::settings()
    };
    let outlets = crate::publish::Outlets::new(None, &settings.namespace, None).expect("nobody to tell");
    Billing::new(pool, settings, outlets)
}
