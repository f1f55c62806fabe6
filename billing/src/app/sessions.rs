//! `POST /app/v1/sessions/forget`: sessions that the application has ended by itself, such as those of a user whose password has changed.

use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use bytes::Bytes;
use entitlement::account::AccountId;
use entitlement::record::forget::{Forget, Sum};
use http::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::Billing;
use crate::chain;
use crate::problem::Problem;
use crate::publish::Told;

/// All but what JavaScript's `encodeURIComponent` leaves as it is: so frameworks write a value into a cookie.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// The sessions: that of a cookie's value, or all of an account.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Ended {
    Session(Session),
    Account(Whole),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Session {
    way: String,
    value: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    account: AccountId,
}

/// 204 once every process is told.
pub async fn forget(
    State(billing): State<Billing>,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Problem> {
    let body = body.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "bad_request", "The body could not be read."))?;
    let ended = serde_json::from_slice(&body).map_err(|_| {
        let detail = "Send {\"way\": \"…\", \"value\": \"…\"}, the value of the cookie, or {\"account\": \"…\"}.";
        Problem::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    })?;
    let forget = match ended {
        Ended::Session(Session { way, value }) => {
            let known = &billing.settings().session_ways;
            if !known.is_empty() && !known.contains(&way) {
                let detail =
                    format!("No way with `ask` under [identity] is called \"{way}\": there is {}.", known.join(", "));
                return Err(Problem::new(StatusCode::BAD_REQUEST, "unknown_way", detail));
            }
            Forget::Session { way, sums: sums(&value), seen_by: None }
        }
        Ended::Account(Whole { account }) => Forget::Account(account),
    };
    let told = billing.tell_ends(&forget).await;
    told.inspect_err(|_| {
        let cause = billing.redis_fault();
        tracing::warn!(
            cause,
            "the end of sessions could not be told to every process, and the application got 503: it has to ask again"
        );
    })?;
    Ok(StatusCode::NO_CONTENT)
}

impl Billing {
    /// Tells every process which sessions have ended.
    ///
    /// # Errors
    /// When not all of them could be told.
    pub async fn tell_ends(&self, forget: &Forget) -> Result<(), Problem> {
        let untold = || {
            let detail = "Not every process could be told: what is kept ends by itself. Try again shortly.";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "cache_unavailable", detail)
        };
        match self.shared().outlets.forget(forget).await {
            Ok(Told::Everybody) => Ok(()),
            Ok(Told::Nobody) => Err(untold()),
            Err(error) => {
                tracing::debug!(error = chain::told(&error), "the end of sessions could not be told to every process");
                Err(untold())
            }
        }
    }

    /// Has `forget` called, in this very process, for sessions that the application says have ended.
    pub fn on_forget(&self, forget: impl Fn(&Forget) + Send + Sync + 'static) {
        self.shared().outlets.on_forget(Box::new(forget));
    }
}

/// The sums of a value as browsers may send it: as it is, percent-encoded, decoded as proxies sum it up, and in quotes.
fn sums(value: &str) -> Vec<Sum> {
    let encoded = utf8_percent_encode(value, ENCODED).to_string();
    let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    let decoded = percent_decode_str(bare).collect();
    let texts = [value.as_bytes().to_vec(), decoded, format!("\"{value}\"").into_bytes(), encoded.into_bytes()];
    let mut sums: Vec<Sum> = texts.iter().map(|text| Sha256::digest(text).into()).collect();
    sums.dedup();
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_as_browsers_send_it() {
        let sum = |text: &str| -> Sum { Sha256::digest(text.as_bytes()).into() };
        let all = sums("s:a/b.c");
        for text in ["s:a/b.c", "\"s:a/b.c\"", "s%3Aa%2Fb.c"] {
            assert!(all.contains(&sum(text)), "{text}");
        }
        assert!(!all.contains(&sum("s:a")));
        for text in ["s%3Aa", "\"s:a\"", "\"s%3Aa\""] {
            assert!(sums(text).contains(&sum("s:a")), "{text}: the value as it stands in the request");
        }
    }

    #[test]
    fn sessions_are_named_by_a_value_or_an_account_and_nothing_else() {
        for (body, is_read) in [
            (r#"{"way":"session","value":"x"}"#, true),
            (r#"{"account":"a"}"#, true),
            (r#"{"way":"session"}"#, false),
            (r#"{"way":"session","value":"x","account":"a"}"#, false),
            (r#"{"account":""}"#, false),
            ("{}", false),
            ("[]", false),
        ] {
            assert_eq!(serde_json::from_str::<Ended>(body).is_ok(), is_read, "{body}");
        }
    }
}
