//! `config/Caddyfile` in a real Caddy.

use std::process::Command;

use super::ask;
use crate::world::ports;
use crate::world::process::Process;

#[tokio::test]
async fn caddy_that_asks_tollgate_gates_as_tollgate_does() {
    let world = ask::world().await;
    let gateway = ports::free();
    let shipped = include_str!("../../config/Caddyfile");
    let site = ask::placed(shipped, ("\n:80 {", format!("\nhttp://:{} {{\n\tbind 127.0.0.1", gateway.port())), &world);
    // Neither certificates nor an admin port.
    let file = world.dir().join("Caddyfile");
    std::fs::write(&file, format!("{{\n\tadmin off\n\tauto_https off\n}}\n{site}")).expect("it is written");
    let mut command = Command::new("caddy");
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&file);
    command.env("XDG_DATA_HOME", world.dir()).env("XDG_CONFIG_HOME", world.dir());
    let caddy = Process::start("caddy", &mut command, world.dir().join("caddy.log"));
    ask::holds(&world, gateway).await;
    drop(caddy);
}
