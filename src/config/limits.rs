//! `[limits]` and `[tls]`: what clients may take, and what the public listener shows them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use proxy::Certificate;
use serde::Deserialize;

/// `[limits]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub connections: usize,
    pub connections_per_address: usize,
    pub header_bytes: usize,
    pub headers: usize,
    pub body_bytes: u64,
    #[serde(with = "humantime_serde")]
    pub header_time: Duration,
    #[serde(with = "humantime_serde")]
    pub idle: Duration,
    #[serde(with = "humantime_serde")]
    pub read: Duration,
    #[serde(with = "humantime_serde")]
    pub write: Duration,
    #[serde(with = "humantime_serde")]
    pub quiet: Duration,
    pub requests_per_connection: u32,
    pub streams: u32,
}

/// `[tls]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    pub certificate: String,
    pub key: String,
}

impl Limits {
    /// Checks the bounds, and gives them to the gate.
    pub fn check(&self) -> Result<proxy::Limits> {
        for (key, time) in [
            ("header_time", self.header_time),
            ("idle", self.idle),
            ("read", self.read),
            ("write", self.write),
            ("quiet", self.quiet),
        ] {
            if time < Duration::from_secs(1) {
                bail!("limits.{key} is less than a second: nobody could keep to it");
            }
        }
        for (key, count) in [("requests_per_connection", self.requests_per_connection), ("streams", self.streams)] {
            if count == 0 {
                bail!("limits.{key} = 0 would let nobody in");
            }
        }
        Ok(proxy::Limits {
            connections: self.connections,
            connections_per_address: self.connections_per_address,
            header_bytes: self.header_bytes,
            headers: self.headers,
            body_bytes: self.body_bytes,
            header_time: self.header_time,
            idle: self.idle,
            read: self.read,
            write: self.write,
            quiet: self.quiet,
            requests_per_connection: self.requests_per_connection,
            streams: self.streams,
        })
    }
}

impl Tls {
    /// Reads the certificate and its key; relative paths start at `directory`.
    pub fn read(&self, directory: &Path) -> Result<Certificate> {
        let read = |key: &str, name: &str| {
            let path = directory.join(name);
            std::fs::read(&path).with_context(|| format!("{key} = \"{name}\" cannot be read ({})", path.display()))
        };
        let chain = read("tls.certificate", &self.certificate)?;
        let key = read("tls.key", &self.key)?;
        Certificate::parse(&chain, &key)
            .with_context(|| format!("tls.certificate = \"{}\" cannot be served", self.certificate))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    #[test]
    fn a_limit_that_lets_nobody_in_is_refused() {
        let cases = [
            ("read = \"10ms\"", "limits.read is less than a second"),
            ("streams = 0", "limits.streams = 0 would let nobody in"),
            ("header_byte = 1", "did you mean `header_bytes`?"),
        ];
        for (line, expected) in cases {
            let text = format!("[limits]\n{line}\n");
            let error = format!("{:#}", Config::parse(&text, "".into()).expect_err(line));
            assert!(error.contains(expected), "{error:?} should contain {expected:?}");
        }
    }

    #[test]
    fn the_defaults_of_the_file_are_those_of_the_gate() {
        let config = Config::parse("", "".into()).expect("the defaults can be run");
        assert_eq!(config.limits, proxy::Limits::default());
    }

    #[test]
    fn a_certificate_that_is_missing_or_none_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let text = "[tls]\ncertificate = \"site.pem\"\nkey = \"site.key\"\n";
        let error = || format!("{:#}", Config::parse(text, directory.path().into()).expect_err("it cannot be served"));
        assert!(error().contains("tls.certificate = \"site.pem\" cannot be read"), "{}", error());
        for name in ["site.pem", "site.key"] {
            std::fs::write(directory.path().join(name), "nothing\n").expect("it is written");
        }
        assert!(error().contains("no certificate in PEM"), "{}", error());
    }
}
