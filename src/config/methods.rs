//! The methods that a `[[route]]` may name: a name that nobody sends would leave its route out, and what stands after it decides.

use anyhow::{Context, Result, bail};
use http::Method;

use super::nearest::hint;

/// Methods of HTTP (RFC 9110, RFC 5789, QUERY), of `WebDAV` and its kin (RFC 4918, 3253, 3648, 3744, 4437, 4791, 5323, 5842), of `UPnP`, and
/// those by which caches are emptied.
const KNOWN: [&str; 48] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "QUERY",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "LABEL",
    "LINK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "ORDERPATCH",
    "REBIND",
    "REPORT",
    "SEARCH",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
    "M-SEARCH",
    "NOTIFY",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "PURGE",
    "PURGEKEYS",
    "REFRESH",
    "BAN",
    "SOURCE",
];

/// The methods that a route names.
pub fn parse(name: &str, methods: &[String]) -> Result<Vec<Method>> {
    if methods.is_empty() {
        bail!("{name}: methods is empty, so it never matches: remove the key or name a method");
    }
    methods.iter().map(|method| known(name, method)).collect()
}

fn known(name: &str, method: &str) -> Result<Method> {
    if method.bytes().any(|byte| byte.is_ascii_lowercase()) {
        bail!("{name}: \"{method}\" is not a method: write it in capitals, such as \"GET\"");
    }
    if !KNOWN.contains(&method) {
        bail!("{name}: methods has \"{method}\", which is no known method{}", hint(method, KNOWN.into_iter()));
    }
    method.parse().with_context(|| format!("{name}: \"{method}\" is not a method"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(methods: &[&str]) -> String {
        let methods: Vec<String> = methods.iter().map(|method| (*method).to_owned()).collect();
        parse("route \"/a\"", &methods).map_or_else(|error| format!("{error:#}"), |_| String::new())
    }

    #[test]
    fn a_method_that_nobody_sends_is_refused_with_the_nearest_that_is_known() {
        for (methods, expected) in [
            (&["GTE"][..], "methods has \"GTE\", which is no known method: did you mean `GET`?"),
            (&["GET", "PSOT"], "did you mean `POST`?"),
            (&["FROBNICATE"], "which is no known method"),
            (&["GET "], "did you mean `GET`?"),
            (&["*"], "which is no known method"),
            (&["get"], "in capitals"),
            (&[], "methods is empty"),
        ] {
            assert!(told(methods).contains(expected), "{methods:?}: {}", told(methods));
        }
        assert_eq!(told(&KNOWN), "");
    }
}
