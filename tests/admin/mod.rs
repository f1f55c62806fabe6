//! The admin listener: open to those who watch, closed to everybody else but the operator who holds the token.

mod access;
mod accounts;
mod inbox;

use serde_json::Value;

use crate::world::http::client;
use crate::world::{Answer, Arrangement, Setup, World, send};

const TOKEN: &str = "the admin token of the tests";

fn setup(arrangement: Arrangement) -> Setup {
    Setup::new(arrangement).environment("TOLLGATE_ADMIN_TOKEN", TOKEN)
}

/// An operator's requests.
struct Operator<'a> {
    world: &'a World,
    token: Option<&'a str>,
}

impl Operator<'_> {
    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let url = format!("http://{}{path}", self.world.billing().listen.admin);
        let mut request = client().request(method.parse().expect("a method"), url);
        if let Some(token) = self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = send(request).await;
        assert_eq!(answer.header("cache-control"), "no-store", "{answer:?}");
        answer
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, None).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    async fn post(&self, path: &str, body: Option<&Value>) -> Value {
        let answer = self.ask("POST", path, body).await;
        assert!(matches!(answer.status, 200 | 201), "{path}: {answer:?}");
        answer.json()
    }

    /// The provider's ids of the events that a listing shows.
    async fn listed(&self, query: &str) -> Vec<String> {
        let listed = self.get(&format!("/admin/events?{query}")).await;
        let events = listed["events"].as_array().expect("a list").iter();
        events.map(|event| event["event_id"].as_str().expect("an id").to_owned()).collect()
    }
}

fn operator(world: &World) -> Operator<'_> {
    Operator { world, token: Some(TOKEN) }
}

/// `/admin/accounts/…` of an account, whatever its id.
fn of_account(account: &str, rest: &str) -> String {
    let mut url = url::Url::parse("http://admin.test/admin/accounts").expect("a URL");
    url.path_segments_mut().expect("it has a path").push(account);
    format!("{}{rest}", url.path())
}
