//! `[limits]` and `[tls]`: what clients may take, and what the public listener shows them.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use proxy::Certificate;
use serde::de::{Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// `[limits]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub connections: usize,
    pub connections_per_address: PerAddress,
    pub upstream_connections: usize,
    pub header_bytes: usize,
    pub headers: usize,
    pub body_bytes: u64,
    #[serde(with = "crate::config::span")]
    pub header_time: Duration,
    #[serde(with = "crate::config::span")]
    pub idle: Duration,
    #[serde(with = "crate::config::span")]
    pub read: Duration,
    pub body_rate: u64,
    #[serde(with = "crate::config::span")]
    pub write: Duration,
    #[serde(with = "crate::config::span")]
    pub quiet: Duration,
    pub requests_per_connection: u32,
    pub streams: u32,
}

/// `limits.connections_per_address`: a number, or the word `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerAddress {
    Auto,
    Most(usize),
}

impl PerAddress {
    /// The bound when there may be so many connections in all; 0: none.
    fn of(self, connections: usize) -> usize {
        match self {
            Self::Most(most) => most,
            Self::Auto if connections == 0 => 0,
            Self::Auto => (connections / 4).max(1),
        }
    }
}

impl<'de> Deserialize<'de> for PerAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = PerAddress;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or \"auto\"")
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<PerAddress, E> {
                let most = usize::try_from(number);
                most.map(PerAddress::Most).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<PerAddress, E> {
                if word == "auto" { Ok(PerAddress::Auto) } else { Err(E::invalid_value(Unexpected::Str(word), &self)) }
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// `[tls]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    pub certificate: String,
    pub key: String,
}

impl Limits {
    /// Checks the bounds, and gives them to the gate with the size of the bodies that are taken in first.
    pub fn check(&self, buffer_body: usize) -> Result<proxy::Limits> {
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
            connections_per_address: self.connections_per_address.of(self.connections),
            upstream_connections: self.upstream_connections,
            header_bytes: self.header_bytes,
            headers: self.headers,
            body_bytes: self.body_bytes,
            header_time: self.header_time,
            idle: self.idle,
            read: self.read,
            buffer_body,
            body_rate: self.body_rate,
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
            ("connections_per_address = \"many\"", "expected a number or \"auto\""),
            ("connections_per_address = -1", "expected a number or \"auto\""),
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
    fn the_connections_of_one_address_are_a_quarter_of_all_unless_a_number_says_otherwise() {
        let cases = [
            ("", 5_000),
            ("connections = 100", 25),
            ("connections = 2", 1),
            ("connections = 0", 0),
            ("connections = 100\nconnections_per_address = \"auto\"", 25),
            ("connections_per_address = 7", 7),
            ("connections_per_address = 0", 0),
        ];
        for (lines, bound) in cases {
            let config = Config::parse(&format!("[limits]\n{lines}\n"), "".into()).expect("it can be run");
            assert_eq!(config.limits.connections_per_address, bound, "{lines}");
        }
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
