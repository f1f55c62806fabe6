//! Who may write a header, by its name alone.
//!
//! A server behind may spell a name in another way than the one on the wire: CGI and WSGI read `_` and `-` as one, and
//! PHP reads `.` as `_` too. So names are compared as such a server would: whatever is neither letter nor digit counts
//! as `-`.

/// Whose word a header is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    /// It says nothing about what the gate answers for.
    Anyone,
    /// It speaks of the connection to the client: only a proxy in front knows, and only a trusted one is believed.
    Proxy,
    /// The gate, or nobody.
    Gate,
}

/// What the names of our headers begin with. Nothing of the client's may look like it.
const OURS: &str = "x-entitlement-";

/// All of them.
pub const IDENTITY: [&str; 11] = [
    "x-entitlement-account",
    "x-entitlement-user",
    "x-entitlement-tier",
    "x-entitlement-status",
    "x-entitlement-features",
    "x-entitlement-addons",
    "x-entitlement-valid-until",
    "x-entitlement-degraded",
    "x-entitlement-usage",
    "x-entitlement-reservation",
    "x-entitlement-assertion",
];

/// What names begin with that speak of the way from the client to the gate.
const FORWARDED: &str = "x-forwarded";

/// Names of this kind that proxies and applications are known to use, for gateways that can remove a header by its whole name alone.
const FORWARDED_KNOWN: [&str; 24] = [
    "x-forwarded",
    "x-forwarded-access-token",
    "x-forwarded-by",
    "x-forwarded-client-cert",
    "x-forwarded-context",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-id-token",
    "x-forwarded-ip",
    "x-forwarded-login",
    "x-forwarded-name",
    "x-forwarded-port",
    "x-forwarded-preferred-username",
    "x-forwarded-protocol",
    "x-forwarded-remote-user",
    "x-forwarded-roles",
    "x-forwarded-scheme",
    "x-forwarded-script-name",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-forwarded-tls-client-cert",
    "x-forwarded-tls-client-cert-info",
    "x-forwarded-user",
    "x-forwarded-username",
];

/// What a gateway that forwards requests itself says in its own words, as the gate does.
const SAID: [&str; 4] = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip"];

/// Every name that a gateway has to remove from a client's request before it forwards it to the site, besides [`IDENTITY`] and
/// what it says itself. The files in `config/` are held against this list.
pub fn removed() -> impl Iterator<Item = &'static str> {
    let few = FEW.iter().map(|(name, _)| *name);
    let names = OVERRIDES.iter().chain(&FORWARDED_KNOWN).chain(&ADDRESSES).copied().chain(few);
    names.filter(|name| !SAID.contains(name))
}

/// Whether a header that is not for clients to write has a name that no list has: a gateway that removes by whole names lets it
/// through.
pub(crate) fn is_unlisted(name: &str) -> bool {
    let is_known = || IDENTITY.contains(&name) || SAID.contains(&name) || removed().any(|known| known == name);
    writer(name.as_bytes()) != Writer::Anyone && !is_known()
}

/// Headers by which some servers serve another request than the one that was matched.
const OVERRIDES: [&str; 23] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-original-uri",
    "x-original-method",
    "x-original-host",
    "x-rewrite-url",
    "x-forwarded-prefix",
    "x-forwarded-uri",
    "x-forwarded-url",
    "x-forwarded-path",
    "x-forwarded-method",
    "x-host",
    "x-http-host-override",
    "x-request-uri",
    "x-matched-path",
    "x-invoke-path",
    "x-now-route-matches",
    "x-replaced-path",
    "x-envoy-original-path",
    "x-waws-unencoded-url",
    // Next.js left out its own checks for it: <https://github.com/advisories/GHSA-f82v-jwr5-mffw>.
    "x-middleware-subrequest",
];

/// Other names under which applications look for the client's address or scheme. None of them begins with one of
/// [`FEW`].
const ADDRESSES: [&str; 17] = [
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-forwarded-for",
    "x-envoy-external-address",
    "x-remote-ip",
    "x-scheme",
    "x-url-scheme",
    "x-original-for",
    "x-original-proto",
    "x-original-remote-addr",
    "x-originating-ip",
    "x-remote-addr",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-proxyuser-ip",
    "x-appengine-user-ip",
];

/// The names of these kinds that do not begin with `x-`.
const FEW: [(&str, Writer); 15] = [
    // CGI programs take it for the proxy that they should use: <https://httpoxy.org>.
    ("proxy", Writer::Gate),
    // The same as `X-Forwarded-*` once more (RFC 7239): of two that differ a site may believe the wrong one.
    ("forwarded", Writer::Gate),
    ("forwarded-for", Writer::Gate),
    ("client-ip", Writer::Proxy),
    ("true-client-ip", Writer::Proxy),
    ("cf-connecting-ip", Writer::Proxy),
    ("cf-connecting-ipv6", Writer::Proxy),
    ("fastly-client-ip", Writer::Proxy),
    ("fly-client-ip", Writer::Proxy),
    ("front-end-https", Writer::Proxy),
    ("proxy-client-ip", Writer::Proxy),
    ("wl-proxy-client-ip", Writer::Proxy),
    ("akamai-client-ip", Writer::Proxy),
    ("cdn-src-ip", Writer::Proxy),
    ("remote-addr", Writer::Proxy),
];

/// Headers that frame a message or speak of its connection: in any spelling but the usual one, which is understood on the
/// way, a server behind may take them for the same.
const FRAMING: [&str; 6] =
    ["content-length", "transfer-encoding", "keep-alive", "proxy-connection", "proxy-authorization", "http2-settings"];

/// Whether a header is one of [`FRAMING`] in an odd spelling.
fn frames_oddly(name: &[u8]) -> bool {
    // The lengths of those above.
    matches!(name.len(), 10 | 14 | 16 | 17 | 19)
        && FRAMING.iter().any(|known| is(name, known) && !name.eq_ignore_ascii_case(known.as_bytes()))
}

/// Whose word the header of this name is, in any spelling.
pub(crate) fn writer(name: &[u8]) -> Writer {
    // Most names are told by one or two bytes: this is asked of every header of every request.
    let writer = match name {
        [b'c' | b'h' | b'k' | b'p' | b't' | b'C' | b'H' | b'K' | b'P' | b'T', ..] if frames_oddly(name) => Writer::Gate,
        [b'x' | b'X', second, ..] if !second.is_ascii_alphanumeric() => extension(name),
        [first, ..] if b"acfprtw".contains(&first.to_ascii_lowercase()) => {
            FEW.iter().find(|(known, _)| is(name, known)).map_or(Writer::Anyone, |(_, writer)| *writer)
        }
        _ => Writer::Anyone,
    };
    // An honest proxy spells names as everybody does.
    let odd = || name.iter().any(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-');
    if writer == Writer::Proxy && odd() { Writer::Gate } else { writer }
}

/// [`writer`], for a name that begins with `x-`.
fn extension(name: &[u8]) -> Writer {
    if begins(name, OURS) || OVERRIDES.iter().any(|over| is(name, over)) {
        Writer::Gate
    } else if begins(name, FORWARDED) || ADDRESSES.iter().any(|known| is(name, known)) {
        Writer::Proxy
    } else {
        Writer::Anyone
    }
}

/// Whether a server behind may take a name for a known one.
pub(super) fn is(name: &[u8], known: &str) -> bool {
    name.len() == known.len() && begins(name, known)
}

fn begins(name: &[u8], prefix: &str) -> bool {
    let folded = |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
    name.len() >= prefix.len() && name.iter().zip(prefix.bytes()).all(|(have, want)| folded(*have) == want)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Every way in which some server would spell it.
    pub(in super::super) fn spellings(name: &str) -> [String; 5] {
        let title = name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect::<Vec<_>>();
        [
            name.to_owned(),
            name.to_uppercase(),
            title.join("-"),
            title.join("_"),
            name.replacen('-', ".", 1).replacen('-', "!", 1),
        ]
    }

    #[test]
    fn our_names_and_overrides_are_the_gates_in_every_spelling() {
        let ours = ["x-entitlement-", "x-entitlement-tier", "x-entitlement-something-of-the-future"];
        for name in ours.iter().chain(&OVERRIDES).chain(&["proxy", "forwarded", "forwarded-for"]) {
            let spelled = if name.ends_with('-') { vec![(*name).to_owned()] } else { spellings(name).to_vec() };
            for spelling in spelled {
                assert_eq!(writer(spelling.as_bytes()), Writer::Gate, "{spelling}");
            }
        }
    }

    #[test]
    fn every_listed_name_is_one_that_no_client_may_write() {
        for name in IDENTITY.into_iter().chain(removed()).chain(SAID) {
            assert_ne!(writer(name.as_bytes()), Writer::Anyone, "{name}");
            assert!(!is_unlisted(name), "{name}");
        }
        for (name, unlisted) in [
            ("x-entitlement-future", true),
            ("x-forwarded-of-somebody", true),
            ("x_entitlement_tier", true),
            ("accept", false),
            ("x-requested-with", false),
            ("content-length", false),
        ] {
            assert_eq!(is_unlisted(name), unlisted, "{name}");
        }
    }

    #[test]
    fn framing_counts_in_its_usual_spelling_alone() {
        for name in FRAMING {
            let [lower, upper, title, underscores, others] = spellings(name);
            for spelling in [lower, upper, title] {
                assert_eq!(writer(spelling.as_bytes()), Writer::Anyone, "{spelling}");
            }
            for spelling in [underscores, others] {
                assert_eq!(writer(spelling.as_bytes()), Writer::Gate, "{spelling}");
            }
        }
    }

    #[test]
    fn the_way_to_the_gate_is_a_proxys_word_in_the_usual_spelling_alone() {
        let forwarded = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-user", "x-forwarded"];
        let few = FEW.iter().filter(|(_, writer)| *writer == Writer::Proxy).map(|(name, _)| name);
        for name in forwarded.iter().chain(&ADDRESSES).chain(few) {
            let [lower, upper, title, underscores, others] = spellings(name);
            for spelling in [lower, upper, title] {
                assert_eq!(writer(spelling.as_bytes()), Writer::Proxy, "{spelling}");
            }
            for spelling in [underscores, others] {
                assert_eq!(writer(spelling.as_bytes()), Writer::Gate, "{spelling}");
            }
        }
    }

    #[test]
    fn other_names_are_anyones() {
        let others = [
            "",
            "x",
            "x-",
            "x_",
            "accept",
            "cookie",
            "content-type",
            "from",
            "te",
            "priority",
            "proxy-authorization",
            "x-entitlement",
            "x-entitlements",
            "xx-entitlement-tier",
            "xentitlement-tier",
            "x-http-methods",
            "x-request-id",
            "x-requested-with",
            "x-forward",
            "x-originals",
            "client-ips",
            "proxying",
            "x-middleware",
        ];
        for name in others {
            assert_eq!(writer(name.as_bytes()), Writer::Anyone, "{name}");
        }
    }
}
