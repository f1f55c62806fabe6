//! `tollgate healthcheck`: whether the process that runs here is ready, for containers without a shell or curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::parts;
use crate::config::Config;
use crate::{ConfigFile, config, output};

/// How long the process may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Say whether the process that runs here is ready
///
/// Asks /readyz at `listen.admin` of the configuration. Ends with 0 when everything that it needs is there, else with 1 and what is missing.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
}

/// The answer of /readyz.
#[derive(Deserialize, Serialize)]
struct Readiness {
    ready: bool,
    missing: Vec<String>,
    warnings: Vec<String>,
}

/// Asks, and says the answer.
pub fn run(arguments: &Arguments) -> Result<()> {
    let config = Config::load(&arguments.file.config)?;
    let admin = &config.file.listen.admin;
    let address = reached_at(config::address("listen.admin", admin)?);
    let readiness = parts::runtime()?
        .block_on(ask(address))
        .with_context(|| format!("listen.admin = \"{admin}\" says nothing of readiness: is Tollgate running here?"))?;
    output::json(&readiness)?;
    readiness.warnings.iter().for_each(output::warning);
    if !readiness.ready {
        bail!("not ready: {}", readiness.missing.join("; "));
    }
    output::line("ready");
    Ok(())
}

async fn ask(address: SocketAddr) -> Result<Readiness> {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .context("the HTTP client cannot be built")?;
    let mut response = client.get(format!("http://{address}/readyz")).send().await?;
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        body.extend_from_slice(&piece);
        if body.len() > ANSWER_BYTES_MAX {
            bail!("the answer is longer than {ANSWER_BYTES_MAX} bytes");
        }
    }
    serde_json::from_slice(&body).context("the answer is not that of Tollgate")
}

/// Where a listener on all addresses is reached from its own machine.
fn reached_at(mut listener: SocketAddr) -> SocketAddr {
    match listener.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => listener.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => listener.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    listener
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_asked_on_loopback() {
        for (listener, asked) in
            [("0.0.0.0:9090", "127.0.0.1:9090"), ("[::]:1", "[::1]:1"), ("10.0.0.7:2", "10.0.0.7:2")]
        {
            let address = reached_at(listener.parse().expect("an address"));
            assert_eq!(address.to_string(), asked);
        }
    }
}
