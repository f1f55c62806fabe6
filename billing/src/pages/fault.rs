//! What went wrong, for a person: the same problems that programs are told, in the operator's words.

use askama::Template;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};

use super::frame::Frame;
use super::look::{Spoken, Texts, fill};
use crate::Billing;
use crate::problem::Problem;

#[derive(Template)]
#[template(path = "fault.html")]
struct Page<'a> {
    frame: Frame<'a>,
    text: String,
}

/// The problem in a sentence for the visitor.
pub fn told(texts: &Texts, problem: &Problem) -> String {
    let errors = &texts.errors;
    let text = match problem.code() {
        "consent_required" => &errors.consent_required,
        "consent_changed" => &errors.consent_changed,
        "already_subscribed" | "already_held" => &errors.already_subscribed,
        "subscription_paused" => &errors.subscription_paused,
        "payment_missing" => &errors.payment_missing,
        "tier_not_found"
        | "addon_not_found"
        | "no_price"
        | "unknown_cadence"
        | "unknown_provider"
        | "price_not_configured" => &errors.not_sold,
        "no_customer" => &errors.no_customer,
        "no_active_subscription" => &errors.no_active_subscription,
        "not_canceling" => &errors.not_canceling,
        "account_blocked" => &errors.blocked,
        "not_a_buyer" => &errors.not_a_buyer,
        "foreign_origin" => &errors.foreign_origin,
        "not_configured" => &errors.not_configured,
        "provider_unavailable" => match problem.told_reference() {
            Some(reference) => return fill(&errors.provider_away, &[("reference", reference)]),
            None => by_status(texts, problem.status()),
        },
        "invalid_assertion" => {
            return fill(&errors.invalid_token, &[("reference", problem.told_reference().unwrap_or_default())]);
        }
        "provider_error" | "wrong_key" => match problem.told_reference() {
            Some(reference) => return fill(&errors.provider_refused, &[("reference", reference)]),
            None => return fill(&errors.provider_error, &[("message", problem.detail())]),
        },
        _ => by_status(texts, problem.status()),
    };
    text.clone()
}

fn by_status(texts: &Texts, status: StatusCode) -> &String {
    match status {
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => &texts.errors.not_found,
        StatusCode::CONFLICT
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => &texts.errors.busy,
        status if status.is_client_error() => &texts.errors.bad_request,
        _ => &texts.errors.internal,
    }
}

/// Turns a refusal that is not a page yet into one, whoever refused.
pub async fn dressed(State(billing): State<Billing>, Spoken(look): Spoken, request: Request, next: Next) -> Response {
    let answer = next.run(request).await;
    let status = answer.status();
    let is_page =
        answer.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if is_page || !(status.is_client_error() || status.is_server_error()) {
        return answer;
    }
    let texts = &look.texts;
    let problem = answer.extensions().get::<Problem>();
    let text = problem.map_or_else(|| by_status(texts, status).clone(), |problem| told(texts, problem));
    let page = Page { frame: Frame::new(&billing, &look, &texts.errors.title, ""), text };
    let Ok(html) = page.render() else { return answer };
    let (mut parts, _) = answer.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    Response::from_parts(parts, Body::from(html))
}
