//! `config/nginx.conf` in a real nginx.

use std::path::Path;
use std::process::Command;

use super::{ask, files};
use crate::world::ports;
use crate::world::process::Process;

#[tokio::test]
async fn nginx_that_asks_tollgate_gates_as_tollgate_does() {
    let world = ask::world().await;
    let gateway = ports::free();
    let (tollgate, site) = ask::addresses(&world);
    let listen = format!("listen {gateway};");
    let server = files::placed(
        "nginx.conf",
        &[("127.0.0.1:3000", &site), ("127.0.0.1:8080", &tollgate), ("listen 80;", &listen)],
    );
    let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|kind| format!("{kind}_temp_path nginx-temp;"));
    let config = format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr warn; events {{ worker_connections 256; }}\n\
         http {{ access_log off; {}\n{server} }}\n",
        temp.join(" ")
    );
    let file = world.dir().join("nginx.conf");
    std::fs::write(&file, config).expect("it is written");
    // Debian keeps it where only root looks.
    let debian = Path::new("/usr/sbin/nginx");
    let mut command = Command::new(if debian.exists() { debian } else { Path::new("nginx") });
    command.arg("-p").arg(world.dir()).arg("-c").arg(&file).args(["-e", "stderr"]);
    let nginx = Process::start("nginx", &mut command, world.dir().join("nginx.log"));
    ask::holds(&world, gateway).await;
    drop(nginx);
}
