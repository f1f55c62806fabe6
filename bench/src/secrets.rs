//! The benchmark's secrets, made anew for each run, and what is signed with them: tokens and webhooks.

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::clock;
use crate::world::Tokens;

/// The public origin: the issuer and, by its host, the audience of tokens.
pub const SITE: &str = "https://read.example";
const AUDIENCE: &str = "read.example";
/// Longer than any run.
const TOKEN_LIFETIME_SECONDS: i64 = 24 * 3600;
const TIER_OF_TOKENS: &str = "paid";
/// What a subscription has paid for.
const PERIOD_SECONDS: i64 = 30 * 86_400;
/// The head of an Ed25519 private key in PKCS#8 (RFC 8410 section 7); the 32 bytes of the key follow.
const ED25519_PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// What `tollgate` and the driver share.
#[derive(Clone)]
pub struct Secrets {
    pub jwt: String,
    /// Ed25519, as production would have it.
    pub assertion_pem: String,
    pub webhook: String,
}

impl Secrets {
    pub fn generate() -> Self {
        let key = [ED25519_PKCS8.as_slice(), &rand::random::<[u8; 32]>()].concat();
        let body = STANDARD.encode(key);
        Self {
            jwt: hex::encode(rand::random::<[u8; 32]>()),
            assertion_pem: format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"),
            webhook: format!("whsec_{}", hex::encode(rand::random::<[u8; 16]>())),
        }
    }

    /// The algorithm and the public key of tokens that have one.
    pub fn public_key(&self, tokens: Tokens) -> Option<(&'static str, &'static str)> {
        match tokens {
            Tokens::Hs256 => None,
            Tokens::Rs256 => Some(("RS256", include_str!("../../tests/keys/rsa.pub.pem"))),
            Tokens::EdDsa => Some(("EdDSA", include_str!("../../tests/keys/ed25519.pub.pem"))),
        }
    }

    /// A token that a gate with this public key accepts.
    pub fn token_by(&self, tokens: Tokens, account: &str) -> Result<String> {
        let key = match tokens {
            Tokens::Hs256 => EncodingKey::from_secret(self.jwt.as_bytes()),
            Tokens::Rs256 => EncodingKey::from_rsa_pem(include_bytes!("../../tests/keys/rsa.pem"))?,
            Tokens::EdDsa => EncodingKey::from_ed_pem(include_bytes!("../../tests/keys/ed25519.pem"))?,
        };
        let claims = claims(account, TIER_OF_TOKENS, TOKEN_LIFETIME_SECONDS);
        Ok(jsonwebtoken::encode(&Header::new(tokens.algorithm()), &claims, &key)?)
    }

    /// A token that names another tier, or is valid for another time.
    pub fn token_of(&self, account: &str, tier: &str, lifetime_seconds: i64) -> Result<String> {
        let key = EncodingKey::from_secret(self.jwt.as_bytes());
        Ok(jsonwebtoken::encode(&Header::default(), &claims(account, tier, lifetime_seconds), &key)?)
    }

    /// A token whose signature is right under a key that nobody has: another secret, or a public key taken for one.
    pub fn forged(&self, account: &str, key: &str) -> Result<String> {
        let key = EncodingKey::from_secret(key.as_bytes());
        let claims = claims(account, TIER_OF_TOKENS, TOKEN_LIFETIME_SECONDS);
        Ok(jsonwebtoken::encode(&Header::default(), &claims, &key)?)
    }

    /// A token that says it needs no signature.
    pub fn unsigned(account: &str) -> String {
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let head = part(json!({ "alg": "none", "typ": "JWT" }));
        format!("{head}.{}.", part(claims(account, TIER_OF_TOKENS, TOKEN_LIFETIME_SECONDS)))
    }

    /// A token that the gate accepts.
    pub fn token(&self, account: &str) -> Result<String> {
        self.token_by(Tokens::Hs256, account)
    }

    /// A signed delivery of Stripe: `account` has subscribed.
    pub fn subscribed(&self, account: &str) -> Result<Vec<u8>> {
        let now = clock::now().timestamp();
        let body = subscription_created(account, now).to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(self.webhook.as_bytes())?;
        mac.update(format!("{now}.{body}").as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        let head = format!(
            "POST /api/stripe/webhook HTTP/1.1\r\nHost: read.example\r\nContent-Type: application/json\r\n\
             Stripe-Signature: t={now},v1={signature}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        Ok((head + &body).into_bytes())
    }
}

/// The claims of a token. The tier is for gates that believe a token's word on it; Tollgate does not read it.
fn claims(account: &str, tier: &str, lifetime_seconds: i64) -> Value {
    let now = clock::now().timestamp();
    json!({ "iss": SITE, "aud": AUDIENCE, "sub": account, "iat": now, "exp": now + lifetime_seconds, "tier": tier })
}

/// `customer.subscription.created`, in the shape of the API versions since 2025-03-31.
fn subscription_created(account: &str, now: i64) -> Value {
    json!({
        "id": format!("evt_{account}"), "object": "event", "api_version": "2025-03-31.basil", "created": now,
        "livemode": false, "pending_webhooks": 1, "request": { "id": null, "idempotency_key": null },
        "type": "customer.subscription.created", "data": { "object": subscription(account, now) },
    })
}

fn subscription(account: &str, now: i64) -> Value {
    json!({
        "id": format!("sub_{account}"), "object": "subscription", "customer": format!("cus_{account}"),
        "status": "active", "livemode": false, "created": now, "start_date": now, "billing_cycle_anchor": now,
        "collection_method": "charge_automatically", "currency": "gbp", "cancel_at": null, "cancel_at_period_end": false,
        "canceled_at": null, "ended_at": null, "pause_collection": null, "trial_start": null, "trial_end": null,
        "latest_invoice": null, "schedule": null, "metadata": { "account": account },
        "items": { "object": "list", "has_more": false, "url": "/v1/subscription_items", "data": [item(account, now)] },
    })
}

fn item(account: &str, now: i64) -> Value {
    json!({
        "id": format!("si_{account}"), "object": "subscription_item", "created": now,
        "subscription": format!("sub_{account}"), "quantity": 1, "metadata": {},
        "current_period_start": now, "current_period_end": now + PERIOD_SECONDS,
        "price": {
            "id": "price_monthly", "object": "price", "active": true, "currency": "gbp", "unit_amount": 700,
            "product": "prod_reader", "type": "recurring", "livemode": false, "metadata": {},
            "recurring": { "interval": "month", "interval_count": 1, "usage_type": "licensed" },
        },
    })
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::Algorithm;

    use super::*;

    #[test]
    fn a_token_names_its_account() {
        let secrets = Secrets::generate();
        let mut validation = jsonwebtoken::Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        let key = jsonwebtoken::DecodingKey::from_secret(secrets.jwt.as_bytes());
        let token = secrets.token("u1").expect("it signs");
        let claims = jsonwebtoken::decode::<Value>(&token, &key, &validation).expect("it verifies").claims;
        assert_eq!(claims["sub"], "u1");
    }

    #[test]
    fn the_assertion_key_is_an_ed25519_key() {
        EncodingKey::from_ed_pem(Secrets::generate().assertion_pem.as_bytes()).expect("a key");
    }
}
