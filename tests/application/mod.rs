//! The API of the application behind the gate, on the internal listener.

mod access;
mod accounts;
mod at_once;
mod blocks;
mod sessions;
mod sign_out;

use serde_json::Value;

use crate::world::http::client;
use crate::world::{Answer, Arrangement, Setup, World, send};

const TOKEN: &str = "the application's token";
const OTHER: &str = "the application's next token";

fn setup(arrangement: Arrangement) -> Setup {
    Setup::new(arrangement).environment("TOLLGATE_APP_TOKEN", &format!("{TOKEN}, {OTHER}"))
}

/// A request to the internal listener.
async fn ask(world: &World, token: Option<&str>, (method, path): (&str, &str), body: Option<&Value>) -> Answer {
    let url = format!("http://{}{path}", world.billing().listen.billing);
    let request = client().request(method.parse().expect("a method"), url);
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    send(match body {
        Some(body) => request.json(body),
        None => request,
    })
    .await
}

/// The refusal of a provider to end a subscription is told in the operator's words, with the cause, whichever way an erasure is asked for.
async fn is_told_to_operators(world: &World, account: &str, by_request: &Answer) {
    let by_command = world.tollgate(&["account", "erase", account, "--cancel", "--yes"]).await;
    for told in [by_request.json()["detail"].as_str().expect("a text"), by_command.failure()] {
        assert!(told.contains(" could not be ended") && told.contains("status 500 (reference "), "{told}");
    }
}
