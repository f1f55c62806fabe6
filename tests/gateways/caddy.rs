//! `config/Caddyfile` in a real Caddy: Debian's, and in `make long` the newest.

use std::path::Path;
use std::process::Command;

use super::{ask, files, others};
use crate::world::ports;
use crate::world::process::Process;

#[tokio::test]
async fn caddy_that_asks_tollgate_gates_as_tollgate_does() {
    gates(Path::new("caddy")).await;
}

#[tokio::test]
async fn the_newest_caddy_gates_as_tollgate_does() {
    let Some(caddy) = others::program("caddy") else { return };
    gates(&caddy).await;
}

async fn gates(program: &Path) {
    let world = ask::world().await;
    let gateway = ports::free();
    let (tollgate, site) = ask::addresses(&world);
    let listen = format!("\nhttp://:{} {{\n\tbind 127.0.0.1", gateway.port());
    let site =
        files::placed("Caddyfile", &[("127.0.0.1:3000", &site), ("127.0.0.1:8080", &tollgate), ("\n:80 {", &listen)]);
    // Neither certificates nor an admin port.
    let file = world.dir().join("Caddyfile");
    std::fs::write(&file, format!("{{\n\tadmin off\n\tauto_https off\n}}\n{site}")).expect("it is written");
    let mut command = Command::new(program);
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&file);
    command.env("XDG_DATA_HOME", world.dir()).env("XDG_CONFIG_HOME", world.dir());
    let caddy = Process::start("caddy", &mut command, world.dir().join("caddy.log"));
    ask::holds(&world, gateway).await;
    drop(caddy);
}
