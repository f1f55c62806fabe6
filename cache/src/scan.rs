//! All keys that begin alike, page by page, of every server that may hold some: on a Cluster each master knows its own.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisResult, cmd};

use crate::Place;
use crate::subscription::{Lost, clients};

/// How many keys a server looks at before it answers.
const COUNT: u32 = 500;

/// How long a server may take for one page.
const PATIENCE: Duration = Duration::from_secs(5);

/// The way through the keys.
pub struct Scan {
    servers: Vec<MultiplexedConnection>,
    pattern: String,
    cursor: u64,
}

impl Scan {
    /// Connects to every server, and begins.
    ///
    /// # Errors
    /// When one of them cannot be reached.
    pub async fn begin(place: &Place, prefix: &str) -> Result<Self, Lost> {
        Self::around(place, [prefix, ""]).await
    }

    /// As [`Scan::begin`], for keys that begin and end alike.
    ///
    /// # Errors
    /// When one of the servers cannot be reached.
    pub async fn around(place: &Place, [prefix, suffix]: [&str; 2]) -> Result<Self, Lost> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
        let mut servers = Vec::new();
        for client in clients(place).await? {
            let client: Client = client;
            servers.push(client.get_multiplexed_async_connection_with_config(&config).await?);
        }
        Ok(Self { servers, pattern: format!("{}*{}", literal(prefix), literal(suffix)), cursor: 0 })
    }

    /// The next page, which may be empty, and the server that has these keys; `None` at the end. A key may come twice.
    ///
    /// # Errors
    /// When a server fails.
    pub async fn next(&mut self) -> RedisResult<Option<(Vec<String>, MultiplexedConnection)>> {
        let Some(server) = self.servers.last() else { return Ok(None) };
        let mut server = server.clone();
        let mut scan = cmd("SCAN");
        scan.arg(self.cursor).arg("MATCH").arg(&self.pattern).arg("COUNT").arg(COUNT);
        let (cursor, keys): (u64, Vec<String>) = scan.query_async(&mut server).await?;
        self.cursor = cursor;
        if cursor == 0 {
            self.servers.pop();
        }
        Ok(Some((keys, server)))
    }
}

/// The same text in a pattern, in which some characters stand for others.
fn literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\' | '^') {
            literal.push('\\');
        }
        literal.push(character);
    }
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_keys_that_begin_alike_are_found_and_no_others() {
        let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:56379".to_owned());
        let place = Place::parse(&url).expect("a place");
        let client = Client::open(url).expect("a URL");
        let mut redis = client.get_multiplexed_async_connection().await.expect("Redis");
        let prefix = format!("tollgate-test:[{}]:a*:", std::process::id());
        let other = prefix.replace('*', "b");
        let mut expected: Vec<String> = (0..1200).map(|n| format!("{prefix}{n}")).collect();
        for key in expected.iter().chain([&other]) {
            let () =
                cmd("SET").arg(key).arg("x").arg("EX").arg(60).query_async(&mut redis).await.expect("it is stored");
        }
        let mut scan = Scan::begin(&place, &prefix).await.expect("Redis");
        let mut found = std::collections::BTreeSet::new();
        while let Some((keys, _)) = scan.next().await.expect("a page") {
            found.extend(keys);
        }
        expected.sort();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
        let mut scan = Scan::around(&place, [&prefix, "99"]).await.expect("Redis");
        let mut found = std::collections::BTreeSet::new();
        while let Some((keys, _)) = scan.next().await.expect("a page") {
            found.extend(keys);
        }
        let alike: Vec<_> = expected.iter().filter(|key| key.ends_with("99")).cloned().collect();
        assert_eq!((found.len(), found.into_iter().collect::<Vec<_>>()), (12, alike));
        let () = cmd("DEL").arg(&expected).arg(other).query_async(&mut redis).await.expect("they are gone");
    }
}
