//! A Postgres that follows another one, as hosts run them: it can fall behind, and take the other one's place.

use std::net::SocketAddr;
use std::path::PathBuf;

use sqlx::PgConnection;

use super::own_postgres::{OwnPostgres, owned, run};
use super::process::Process;
use super::servers::{connect, execute};
use super::{eventually, ports};

/// A streaming replica. It ends with this value.
pub struct Replica {
    pub address: SocketAddr,
    url: String,
    data: PathBuf,
    _process: Process,
}

impl Replica {
    /// Copies the primary, and begins to follow it.
    pub async fn of(primary: &OwnPostgres) -> Self {
        let (address, data) = (ports::free(), primary.data.with_file_name("replica"));
        let server = primary.command.split_whitespace().next().expect("a command").trim_matches('"');
        let copy = PathBuf::from(server).with_file_name("pg_basebackup");
        let script = format!(
            "exec {} --dbname='{}' --pgdata='{}' --write-recovery-conf --checkpoint=fast --no-sync",
            copy.display(),
            primary.url,
            data.display()
        );
        let done = owned(&primary.data, &script).current_dir("/").output().expect("pg_basebackup runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let command = format!(
            "{server} -D '{}' -p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories='{}' -c max_connections=500 -c fsync=off",
            data.display(),
            address.port(),
            data.display()
        );
        let process = run(&data, &command, data.with_file_name("replica.log"));
        let mut url = url::Url::parse(&primary.url).expect("a URL");
        url.set_port(Some(address.port())).expect("it has a host");
        let replica = Self { address, url: url.to_string(), data, _process: process };
        eventually("the replica answers", async || connect(&replica.url).await.ok().map(drop)).await;
        replica
    }

    /// Waits until it has everything that the primary has written.
    pub async fn catches_up(&self, primary: &OwnPostgres) {
        let written: String = sqlx::query_scalar("select pg_current_wal_lsn()::text")
            .fetch_one(&mut primary.connect().await)
            .await
            .expect("it writes");
        let mut connection = self.connect().await;
        eventually("the replica has caught up", async || {
            let has = "select pg_last_wal_replay_lsn() >= $1::text::pg_lsn";
            sqlx::query_scalar::<_, bool>(has)
                .bind(&written)
                .fetch_one(&mut connection)
                .await
                .expect("it reads")
                .then_some(())
        })
        .await;
    }

    /// Follows no longer: what the primary writes from now on does not come here.
    pub async fn falls_behind(&self) {
        let mut connection = self.connect().await;
        execute(&mut connection, "alter system set primary_conninfo = ''".to_owned()).await;
        execute(&mut connection, "select pg_reload_conf()".to_owned()).await;
        eventually("the replica is cut off", async || {
            let count = "select count(*) from pg_stat_wal_receiver";
            let count: i64 = sqlx::query_scalar(count).fetch_one(&mut connection).await.expect("it reads");
            (count == 0).then_some(())
        })
        .await;
    }

    /// Becomes a primary.
    pub async fn is_promoted(&self) {
        let mut connection = self.connect().await;
        let done: bool = sqlx::query_scalar("select pg_promote()").fetch_one(&mut connection).await.expect("it may");
        assert!(done && self.data.exists());
    }

    async fn connect(&self) -> PgConnection {
        connect(&self.url).await.expect("the replica answers")
    }
}
