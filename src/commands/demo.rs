//! `tollgate demo`: everything in one process, for a newcomer: a sample site behind Tollgate, a simulated provider, an
//! embedded PostgreSQL, nothing to set up and nothing kept.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use anyhow::{Context, Result};
use demo::provider::{self, Provider};
use demo::site::{self, Site};
use demo::story;
use entitlement::catalog::{Cadence, Catalog};

use super::parts;
use crate::config::Config;
use crate::config::secrets::Secrets;
use crate::embedded::Place;
use crate::serve::{Role, Server, new_assertion_key};
use crate::{logging, output};

/// What the demo sells.
const CATALOG: &str = include_str!("../../config/catalog.toml");

/// Try Tollgate: a sample site, a simulated provider, nothing to set up
///
/// Starts a small news reader with free and paid pages behind Tollgate, a simulated payment provider, and an embedded PostgreSQL, all in
/// this process. Nothing is kept. Needs no environment, and reads none.
#[derive(clap::Args)]
pub struct Arguments {
    /// Play the story without a person: print each step with what it saw, and exit non-zero if one is wrong
    #[arg(long)]
    script: bool,
    /// Where to listen; with --script a free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", conflicts_with = "script")]
    listen: SocketAddr,
}

/// The parts around Tollgate; they stop when dropped.
struct Surroundings {
    provider: Provider,
    _site: Site,
}

/// Starts everything; then a person or the story plays.
pub fn run(arguments: &Arguments) -> Result<()> {
    logging::start_quiet();
    let public = if arguments.script { free_address()? } else { arguments.listen };
    let url = format!("http://{public}");
    let secrets = secrets()?;
    output::progress("starting the embedded PostgreSQL, the simulated provider, the sample site and Tollgate …");
    let runtime = parts::runtime()?;
    let surroundings = runtime.block_on(surroundings(&url, &secrets))?;
    let config = config(&url, public, &surroundings)?;
    let server = Server::start(parts::runtime()?, &config, &secrets, Role::All, Place::Temporary)?;
    let provider_url = surroundings.provider.url().to_owned();
    if arguments.script {
        let settings = story::Settings::new(&url, provider_url);
        // Ends with the process.
        std::thread::spawn(move || server.run());
        return runtime.block_on(play(&settings));
    }
    introduce(&url, &provider_url);
    server.run()
}

/// Plays once the listener answers.
async fn play(settings: &story::Settings) -> Result<()> {
    let address = settings.public_url.trim_start_matches("http://").to_owned();
    let answers = async {
        while tokio::net::TcpStream::connect(&address).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(settings.patience, answers).await.context("Tollgate does not answer")?;
    story::play(settings, &mut std::io::stdout()).await
}

async fn surroundings(url: &str, secrets: &Secrets) -> Result<Surroundings> {
    let key = secrets.stripe_api_key.clone().unwrap_or_default();
    let webhook_secret = secrets.stripe_webhook_secrets.first().cloned().unwrap_or_default();
    let settings = provider::Settings {
        webhook_url: Some(format!("{url}/api/stripe/webhook")),
        prices: prices(&toml::from_str(CATALOG)?),
        ..provider::Settings::new(key, webhook_secret)
    };
    let provider = Provider::start(settings).await?;
    let site = Site::start(site::Settings::new(url, secrets.jwt_secret.clone().unwrap_or_default())).await?;
    Ok(Surroundings { provider, _site: site })
}

/// What the simulated provider sells is what the catalog names.
fn prices(catalog: &Catalog) -> Vec<provider::Price> {
    let sold = catalog.tiers().iter().flat_map(|tier| tier.prices.iter().map(move |price| (tier, price)));
    let price = sold.map(|(tier, price)| provider::Price {
        id: price.id.clone(),
        amount: price.amount,
        currency: price.currency.clone(),
        cadence: match price.cadence {
            Cadence::Monthly => provider::Cadence::Month,
            Cadence::Annual => provider::Cadence::Year,
        },
        product: tier.name.clone(),
        metered: false,
    });
    price.collect()
}

fn config(url: &str, public: SocketAddr, around: &Surroundings) -> Result<Config> {
    let upstream = around._site.url().trim_start_matches("http://");
    let text = format!(
        r#"
        [site]
        url = "{url}"
        upstream = ["{upstream}"]
        [listen]
        public = "{public}"
        billing = "{}"
        admin = "{}"
        [pages]
        site_name = "The Slow Reader"
        logout_url = "/logout"
        [shutdown]
        grace = "1s"
        [identity]
        audience = "{public}"
        [stripe]
        api_base = "{}/"
        [[route]]
        path = "/premium/**"
        require = {{ tier = "paid" }}
        [[route]]
        path = "/settings"
        require = {{ signed_in = true }}
        "#,
        free_address()?,
        free_address()?,
        around.provider.url(),
    );
    Config::parse_with(&text, PathBuf::new(), Some(toml::from_str(CATALOG)?))
}

/// Made for this process alone.
fn secrets() -> Result<Secrets> {
    let secret = || -> Result<String> {
        let mut bytes = [0_u8; 32];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| anyhow::anyhow!("the system gives no randomness"))?;
        Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    };
    Ok(Secrets {
        jwt_secret: Some(secret()?),
        assertion_key: Some(new_assertion_key()?),
        stripe_api_key: Some(format!("sk_test_{}", secret()?)),
        stripe_webhook_secrets: vec![format!("whsec_{}", secret()?)],
        ..Secrets::default()
    })
}

/// An address that was free a moment ago.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("there is no free port")?;
    Ok(listener.local_addr()?)
}

fn introduce(url: &str, provider_url: &str) {
    output::line(format_args!(
        r"
  The sample site, behind Tollgate:   {url}

  Try this:
    1. Open it and read a free article: nobody is signed in, and the site gets no headers.
    2. Open a paid article: you are asked to sign in. Choose Alice. Now you are sent to pricing.
    3. Choose a plan, agree, and pay on the simulated provider's page. You come back to the article, and can read it: the table
       at its bottom shows the headers that the site got.
    4. Open {url}/billing, manage the subscription, cancel it. You keep access: you have paid for the month.
    5. Move the provider's time forward by a month at {provider_url}. The article closes.

  Ctrl-C ends everything; nothing is kept."
    ));
}
