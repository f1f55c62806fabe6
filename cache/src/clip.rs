//! Bounds on how long Redis may take, told as errors of Redis, so that whoever asks has one kind of error to handle.

use std::io;
use std::time::Duration;

use redis::{RedisError, RedisResult};

/// What `work` gives, unless it takes longer than `limit`.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(late()))
}

fn late() -> RedisError {
    RedisError::from(io::Error::new(io::ErrorKind::TimedOut, "Redis did not answer in time"))
}
