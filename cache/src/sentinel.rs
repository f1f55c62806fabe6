//! Which server is the master now, as the Sentinels say and it says itself.

use redis::sentinel::{SentinelClient, SentinelServerType};
use redis::{Client, RedisResult};

use crate::place::Watched;

/// A client for the master. It was asked itself whether it is one: Sentinels may know late.
pub(crate) async fn master(watched: &Watched) -> RedisResult<Client> {
    let (sentinels, name) = (watched.sentinels.clone(), watched.name.clone());
    let kind = SentinelServerType::Master;
    SentinelClient::build(sentinels, name, Some(watched.server.clone()), kind)?.async_get_client().await
}
