//! What a user of the site lives through, in every arrangement of the parts.

mod access;
mod purchase;
mod time;

/// Writes each journey once for every arrangement.
macro_rules! in_every_arrangement {
    ($($journey:ident),+ $(,)?) => {
        mod all_embedded {
            $(#[tokio::test] async fn $journey() { super::$journey(crate::world::Arrangement::AllEmbedded).await; })+
        }
        mod all_postgres {
            $(#[tokio::test] async fn $journey() { super::$journey(crate::world::Arrangement::AllPostgres).await; })+
        }
        mod all_postgres_redis {
            $(#[tokio::test] async fn $journey() { super::$journey(crate::world::Arrangement::AllPostgresRedis).await; })+
        }
        mod separate {
            $(#[tokio::test] async fn $journey() { super::$journey(crate::world::Arrangement::Separate).await; })+
        }
    };
}
pub(crate) use in_every_arrangement;
