//! `tollgate demo` in a production build, which does not contain it.

use anyhow::{Result, bail};

/// Try Tollgate: not in this build, use `make demo`
#[derive(clap::Args)]
pub struct Arguments {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    _any: Vec<String>,
}

/// Says how to get one.
pub fn run(_: &Arguments) -> Result<()> {
    bail!("this build has no demo: run `make demo`, or build with `--features demo`")
}
