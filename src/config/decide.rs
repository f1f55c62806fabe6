//! `[decide]` and `listen.decide`: where other gateways ask for decisions, and which of them may.

use anyhow::{Context, Result, bail};
use entitlement::own_paths::OwnPaths;
use proxy::decide::{Asking, Settings};
use proxy::forwarded::TrustedProxies;

use super::file::{Decide, File};

/// Checks where gateways ask, and gives it to the gate.
pub fn check(file: &File, own: &OwnPaths, warnings: &mut Vec<String>) -> Result<Settings> {
    let Decide { path, gateways } = &file.decide;
    let asking = if file.listen.decide.is_empty() { Asking::Public } else { Asking::Apart };
    let addresses = TrustedProxies::parse(gateways).context("decide.gateways")?;
    let settings = Settings::below(own, path, addresses, asking).context("decide.path")?;
    if path.is_empty() && asking == Asking::Apart {
        bail!("listen.decide is set, and decide.path = \"\" says that nobody asks: take one of them away");
    }
    if path.is_empty() && !gateways.is_empty() {
        let warning = "decide.gateways is set, and decide.path = \"\" says that nobody asks: no gateway is answered";
        warnings.push(warning.to_owned());
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, "".into()).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_its_key() {
        let cases = [
            ("decide.path = \"decide\"", "decide.path: \"decide\" must be a path"),
            ("decide.path = \"/\"", "is the whole site"),
            ("decide.path = \"/billing/decide\"", "is one of Tollgate's own pages"),
            ("decide.path = \"/a//b\"", "no request can have the path"),
            ("decide.gateways = [\"everybody\"]", "decide.gateways: \"everybody\" is not an address"),
            ("decide.gateways = [\"0.0.0.0/0\"]", "is everybody"),
            ("decide.gateways = [\"::ffff:0:0/96\"]", "is everybody"),
            ("decide.path = \"\"\nlisten.decide = \"127.0.0.1:1\"", "listen.decide is set"),
            ("decide.gateway = []", "did you mean `gateways`?"),
        ];
        for (text, expected) in cases {
            let error = parse(text).expect_err(text);
            assert!(error.contains(expected), "{error:?} should contain {expected:?}");
        }
    }

    #[test]
    fn gateways_that_nobody_answers_are_warned_of() {
        let config = parse("decide.path = \"\"\ndecide.gateways = [\"10.0.0.1\"]").expect("it can be run");
        assert!(config.warnings.iter().any(|warning| warning.contains("no gateway is answered")));
        let config = parse("decide.path = \"/%64ecide/\"\ndecide.gateways = [\"10.0.0.1\"]").expect("it can be run");
        assert_eq!((config.decide.path(), config.warnings.len()), ("/decide", 0));
    }
}
