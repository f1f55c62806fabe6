//! The settings with which a command asks Stripe before there is a whole configuration.

use std::path::Path;

use anyhow::{Context, Result};

use super::file::File;
use super::placed;
use super::urls::check_api;

/// Where Stripe's API is, by a configuration whose catalog need not be there yet; the default where there is no configuration.
pub fn stripe_api(path: &Path) -> Result<String> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        read => read.with_context(|| format!("cannot read the configuration {}", path.display()))?,
    };
    let api = File::from_table(File::table(&text)?).map_err(|error| placed(error, path, &text))?.stripe.api_base;
    check_api("stripe.api_base", &api)?;
    Ok(api)
}
