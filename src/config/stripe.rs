//! The settings with which a command asks Stripe before there is a whole configuration.

use std::path::Path;

use anyhow::Result;

use super::file::File;
use super::placed;
use super::text;
use super::urls::check_api;

/// Where Stripe's API is, by a configuration whose catalog need not be there yet; the default where there is no configuration.
pub fn stripe_api(path: &Path) -> Result<String> {
    let text = if path.exists() { text::read(path, "configuration", "create it")? } else { String::new() };
    let api = File::from_table(File::table(&text)?).map_err(|error| placed(error, path, &text))?.stripe.api_base;
    check_api("stripe.api_base", &api)?;
    Ok(api)
}
