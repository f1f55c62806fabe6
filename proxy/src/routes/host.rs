//! A host of the configuration: a name, or `*.` and a name for all that is below it.

use std::fmt;

use crate::target::host;

/// Which hosts a route is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    name: String,
    is_below: bool,
}

/// Why a text is not a host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a host: write a name without port, such as `read.example`, or `*.read.example` for all below it")]
pub struct HostPatternError(String);

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.is_below { "*." } else { "" }, self.name)
    }
}

impl HostPattern {
    /// Reads a host as it is written in a configuration. Case means nothing (RFC 4343).
    ///
    /// # Errors
    /// When it has a port, or is no name.
    pub fn parse(text: &str) -> Result<Self, HostPatternError> {
        let refused = || HostPatternError(text.to_owned());
        let (name, is_below) = text.strip_prefix("*.").map_or((text, false), |name| (name, true));
        let read = host(name.as_bytes()).map_err(|_| refused())?;
        // What reading took away could never be asked for.
        let is_address = name.starts_with('[');
        let is_whole = if is_address { !is_below && name.ends_with(']') } else { read.eq_ignore_ascii_case(name) };
        if !is_whole {
            return Err(refused());
        }
        Ok(Self { name: read.into_owned(), is_below })
    }

    /// Whether it is for a request to this host, as [`host`] reads it.
    #[must_use]
    pub fn matches(&self, asked: &str) -> bool {
        if !self.is_below {
            return asked == self.name;
        }
        // `*.` stands for at least one label.
        let above = asked.strip_suffix(self.name.as_str()).and_then(|rest| rest.strip_suffix('.'));
        above.is_some_and(|label| !label.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_match_as_this_table_says() {
        let cases: [(&str, &[&str], &[&str]); 5] = [
            ("read.example", &["read.example"], &["www.read.example", "xread.example", "read.example.evil", ""]),
            ("Read.Example", &["read.example"], &["read.example2"]),
            (
                "*.read.example",
                &["www.read.example", "a.b.read.example"],
                &["read.example", ".read.example", "xread.example"],
            ),
            ("[::1]", &["[::1]"], &["::1"]),
            ("[0:0::1]", &["[::1]"], &["[::2]"]),
        ];
        for (pattern, matching, others) in cases {
            let parsed = HostPattern::parse(pattern).expect(pattern);
            for asked in matching {
                assert!(parsed.matches(asked), "{asked} for {pattern}");
            }
            for asked in others {
                assert!(!parsed.matches(asked), "{asked} for {pattern}");
            }
        }
    }

    #[test]
    fn what_no_request_can_name_is_refused() {
        for text in [
            "",
            "*",
            "*.",
            "read.example:443",
            "read.example.",
            "a/b",
            "user@read.example",
            "**.a",
            "*.[::1]",
            "[::1]:80",
        ] {
            assert!(HostPattern::parse(text).is_err(), "{text}");
        }
    }
}
