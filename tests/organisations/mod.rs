//! Organisations: the account pays, and its users act.

mod acting;
mod buyers;

use serde_json::{Value, json};

use crate::world::token::{SECRET, claims, signed};

/// The account is the organisation where a token names one.
const ACCOUNT: &str = "[\"org_id\", \"sub\"]";

/// A token of a user of an organisation, with a role there.
fn member(user: &str, organisation: &str, role: &str) -> String {
    let mut all = claims(user);
    let more = json!({ "org_id": organisation, "org_role": role });
    all.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    signed(&all, SECRET)
}

/// The claims of an assertion, whoever has signed it.
fn read(assertion: &str) -> Value {
    jsonwebtoken::dangerous::insecure_decode::<Value>(assertion).expect("a token").claims
}
