//! The id of a shared cache, by which two processes find out whether they use the same one: a password and a port are soon those of
//! another server, and a channel of another one is as silent as one on which nothing happens.

use std::fmt;

use redis::{RedisResult, cmd};
use serde::{Deserialize, Serialize};

use crate::Link;

/// Longest id that is read, in bytes.
const ID_BYTES_MAX: usize = 64;

/// The text under the key of the id, from whatever process; empty where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheId(Box<str>);

impl CacheId {
    /// Another one than any before.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("{:032x}", rand::random::<u128>()).into())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for CacheId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Link {
    /// The id under `key`.
    ///
    /// # Errors
    /// When Redis cannot be reached, or refuses.
    pub async fn id(&self, key: &str) -> RedisResult<CacheId> {
        let text: Vec<u8> = self.query(cmd("GETRANGE").arg(key).arg(0).arg(ID_BYTES_MAX)).await?;
        Ok(CacheId(String::from_utf8_lossy(&text).into()))
    }

    /// The id under `key`, which is made where there is none.
    ///
    /// # Errors
    /// As [`Link::id`].
    pub async fn made_id(&self, key: &str) -> RedisResult<CacheId> {
        let id = self.id(key).await?;
        if !id.is_none() {
            return Ok(id);
        }
        // Whether it was this one that made it is of no interest.
        let mut set = cmd("SET");
        set.arg(key).arg(CacheId::random().to_string()).arg("NX");
        let _: Option<String> = self.query_unnoted(&set).await?;
        self.id(key).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Patience, Place};

    #[tokio::test]
    async fn an_id_is_made_once_and_read_by_everybody() {
        let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:56379".to_owned());
        let place = Place::parse(&url).expect("a place");
        let patience = Patience { connect: Duration::from_secs(5), answer: Duration::from_secs(5) };
        let link = Link::open(place, patience, Default::default());
        let key = format!("tollgate-test:cache:{}", std::process::id());
        assert!(link.id(&key).await.expect("an answer").is_none());
        let made = link.made_id(&key).await.expect("an answer");
        assert!(!made.is_none());
        assert_eq!(link.made_id(&key).await.expect("an answer"), made);
        assert_eq!(link.id(&key).await.expect("an answer"), made);
        let _: i64 = link.query(cmd("DEL").arg(&key)).await.expect("it is gone");
        assert_ne!(link.made_id(&key).await.expect("an answer"), made);
        // Whatever else stands there is read up to a bound.
        let () = link.query(cmd("SET").arg(&key).arg("x".repeat(1000))).await.expect("it is stored");
        assert_eq!(link.id(&key).await.expect("an answer").to_string().len(), ID_BYTES_MAX + 1);
        let _: i64 = link.query(cmd("DEL").arg(&key)).await.expect("it is gone");
    }
}
