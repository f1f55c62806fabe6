//! The compiled route table.

use std::sync::Arc;
use std::time::Duration;

use entitlement::authorize::{Policy, Requirement};
use entitlement::own_paths::OwnPaths;
use http::Method;

use super::tree::{Letters, Tree};
use super::{Allow, Cors, Destination, Guests, HostPattern, Route, reserved};

/// What holds for the requests of one route.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Where it stands in [`Table::rules`].
    pub index: usize,
    /// The pattern as it was written, or `default`.
    pub label: String,
    pub policy: Policy,
    pub destination: Destination,
    pub cors: Cors,
    /// How long the site may be silent; the gate's own limit when `None`.
    pub timeout: Option<Duration>,
    /// Whether paths pass that have several readings: see [`crate::readings`].
    pub raw: bool,
    /// Whether its responses are the same for everybody: the site is told of nobody.
    pub shared: bool,
    /// The requests that it lets in although nobody is signed in.
    pub allow: Option<Arc<Allow>>,
    /// Billing's path for a webhook that is delivered at another one.
    pub webhook: Option<&'static str>,
    methods: Option<Vec<Method>>,
    hosts: Option<Vec<HostPattern>>,
}

/// All rules of a configuration, and the reserved ones.
#[derive(Debug)]
pub struct Table {
    rules: Vec<Rule>,
    tree: Tree,
    /// The same patterns in lower case.
    folded: Tree,
    has_hosts: bool,
    has_raw: bool,
    /// Addresses and tokens that any of them lets in.
    guests: Guests,
    /// Whether a pattern has a capital letter: else a path without any is found alike in both trees.
    has_capitals: bool,
}

/// What of a request decides on its rule.
#[derive(Clone, Copy, Debug)]
struct Sought<'a> {
    method: &'a Method,
    host: Option<&'a str>,
}

impl Rule {
    /// Whether a request needs anything to pass.
    #[must_use]
    pub fn is_gated(&self) -> bool {
        self.policy.require != Requirement::Public
    }

    fn is_for(&self, Sought { method, host }: Sought<'_>) -> bool {
        let of_method = |methods: &Vec<Method>| {
            methods.contains(method) || (*method == Method::HEAD && methods.contains(&Method::GET))
        };
        // A request that names no host is for none of those that do.
        let of_host =
            |hosts: &Vec<HostPattern>| host.is_some_and(|host| hosts.iter().any(|pattern| pattern.matches(host)));
        self.methods.as_ref().is_none_or(of_method) && self.hosts.as_ref().is_none_or(of_host)
    }
}

impl Table {
    /// Compiles the routes of a configuration; `default` is for what none of them matches.
    #[must_use]
    pub fn new(routes: Vec<Route>, default: Policy) -> Self {
        Self::below(&OwnPaths::default(), routes, default)
    }

    /// As [`Table::new`], where Tollgate's own paths are `own`.
    #[must_use]
    pub fn below(own: &OwnPaths, routes: Vec<Route>, default: Policy) -> Self {
        let reserved = reserved(own).map(|(pattern, destination)| (Route::new(pattern, Policy::public()), destination));
        let configured = routes.into_iter().map(|route| {
            let destination = if route.webhook.is_some() { Destination::Webhook } else { Destination::Site };
            (route, destination)
        });
        let (mut rules, mut tree) = (Vec::new(), Tree::new(Letters::AsTheyAre));
        let (mut folded, mut has_capitals) = (Tree::new(Letters::Folded), false);
        for (Route { pattern, methods, hosts, policy, cors, timeout, raw, shared, allow, webhook }, destination) in
            reserved.chain(configured)
        {
            let index = rules.len();
            tree.add(pattern.segments(), index);
            folded.add(pattern.segments(), index);
            has_capitals |= has_capital(pattern.as_str());
            let label = pattern.as_str().to_owned();
            rules.push(Rule {
                index,
                label,
                policy,
                destination,
                cors,
                timeout,
                raw,
                shared,
                allow,
                webhook,
                methods,
                hosts,
            });
        }
        let has_hosts = rules.iter().any(|rule| rule.hosts.is_some());
        let has_raw = rules.iter().any(|rule| rule.raw);
        let (index, label) = (rules.len(), "default".to_owned());
        let (methods, hosts, cors, timeout) = (None, None, Cors::default(), None);
        let destination = Destination::Site;
        rules.push(Rule {
            index,
            label,
            policy: default,
            destination,
            cors,
            timeout,
            raw: false,
            shared: false,
            allow: None,
            webhook: None,
            methods,
            hosts,
        });
        let mut guests = Guests::default();
        rules.iter().filter_map(|rule| rule.allow.as_ref()).for_each(|allow| guests.add(allow));
        Self { rules, tree, folded, has_hosts, has_raw, guests, has_capitals }
    }

    /// Whether a host decides on a rule: if not, [`Table::find`] need not be told one.
    #[must_use]
    pub const fn has_hosts(&self) -> bool {
        self.has_hosts
    }

    /// All rules, in the order in which they are tried; the last is the default.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether a rule lets anybody in by an address or a token.
    pub(crate) const fn has_guests(&self) -> bool {
        !self.guests.is_empty()
    }

    pub(crate) const fn guests(&self) -> &Guests {
        &self.guests
    }

    /// Whether a rule lets paths pass that have several readings.
    #[must_use]
    pub(crate) const fn has_raw(&self) -> bool {
        self.has_raw
    }

    /// The rule of a request. `host` must be as [`crate::target::host`] reads it, `path` canonical.
    #[must_use]
    pub fn find(&self, method: &Method, host: Option<&str>, path: &str) -> &Rule {
        self.first_of(&self.tree, Sought { method, host }, path)
    }

    /// The rule of a request for a server to which upper and lower case are the same.
    #[must_use]
    pub fn find_folded(&self, method: &Method, host: Option<&str>, path: &str) -> &Rule {
        self.first_of(&self.folded, Sought { method, host }, path)
    }

    /// Whether [`Table::find_folded`] may find another rule for a path than [`Table::find`].
    pub(crate) fn folds(&self, path: &str) -> bool {
        self.has_capitals || has_capital(path)
    }

    fn first_of(&self, tree: &Tree, sought: Sought<'_>, path: &str) -> &Rule {
        &self.rules[tree.first(path, self.rules.len() - 1, |index| self.rules[index].is_for(sought))]
    }
}

/// A letter beyond ASCII is encoded, and may be one.
fn has_capital(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_uppercase() || byte == b'%')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::routes::Pattern;

    #[test]
    fn a_provider_delivers_at_a_path_of_the_configuration_too() {
        let hook = Pattern::parse("/hooks/stripe").expect("a pattern");
        let table = Table::new(vec![Route::webhook(hook, "/api/stripe/webhook"), route("/**", &[])], Policy::public());
        for (path, destination, webhook) in [
            ("/hooks/stripe", Destination::Webhook, Some("/api/stripe/webhook")),
            ("/hooks/stripe/", Destination::Webhook, Some("/api/stripe/webhook")),
            ("/hooks/stripe/x", Destination::Site, None),
            ("/hooks", Destination::Site, None),
            ("/api/stripe/webhook", Destination::Webhook, None),
        ] {
            let rule = table.find(&Method::POST, None, path);
            assert_eq!((rule.destination, rule.webhook), (destination, webhook), "{path}");
        }
    }

    fn route(pattern: &str, methods: &[Method]) -> Route {
        let pattern = Pattern::parse(pattern).expect("a pattern");
        let methods = (!methods.is_empty()).then(|| methods.to_vec());
        Route { methods, ..Route::new(pattern, Policy { require: Requirement::SignedIn, ..Policy::public() }) }
    }

    fn table(routes: &[(&str, &[Method])]) -> Table {
        let routes = routes.iter().map(|(pattern, methods)| route(pattern, methods)).collect();
        Table::new(routes, Policy::public())
    }

    #[test]
    fn paths_match_as_this_table_says() {
        let cases: [(&str, &[&str], &[&str]); 11] = [
            ("/", &["/"], &["/a", "/a/"]),
            ("/a", &["/a", "/a/"], &["/", "/a/b", "/A", "/aa"]),
            ("/a/", &["/a", "/a/"], &["/a/b"]),
            ("/a/*", &["/a/b", "/a/b/"], &["/a", "/a/", "/a/b/c", "/b/b"]),
            (
                "/premium/**",
                &["/premium", "/premium/", "/premium/a", "/premium/a/b/c/"],
                &["/", "/premiums", "/x/premium"],
            ),
            ("/**", &["/", "/a", "/a/b/"], &[]),
            ("/**/edit", &["/edit", "/a/edit", "/a/b/edit/"], &["/", "/edit/a", "/a/edits"]),
            ("/a/**/z/*", &["/a/z/1", "/a/b/c/z/1", "/a/z/z/z"], &["/a/z", "/a/b/1", "/z/1"]),
            (
                "/downloads/*.pdf",
                &["/downloads/a.pdf", "/downloads/a.pdf/"],
                &["/downloads/a.txt", "/downloads/a/b.pdf"],
            ),
            ("/@*/posts", &["/@me/posts", "/%40me/posts"], &["/me/posts", "/@me/posts/1"]),
            ("/@me/caf%C3%A9", &["/@me/caf%C3%A9", "/%40me/caf%C3%A9/"], &["/me/caf%C3%A9"]),
        ];
        for (pattern, matching, others) in cases {
            let table = table(&[(pattern, &[])]);
            for path in matching {
                assert_eq!(table.find(&Method::GET, None, path).label, pattern, "{path}");
            }
            for path in others {
                assert_eq!(table.find(&Method::GET, None, path).label, "default", "{path} and {pattern}");
            }
        }
    }

    #[test]
    fn the_first_rule_in_any_letter_case_is_found() {
        let table = table(&[("/Paid/*", &[]), ("/paid/**", &[]), ("/X*", &[])]);
        let find = |path| table.find_folded(&Method::GET, None, path).label.as_str();
        assert_eq!(find("/PAID/report"), "/Paid/*");
        assert_eq!(find("/paid/report"), "/Paid/*");
        assert_eq!(find("/pAid/A/b"), "/paid/**");
        assert_eq!(find("/xy"), "/X*");
        assert_eq!(find("/API/Billing/checkout"), "/api/billing/**");
        assert_eq!(table.find(&Method::GET, None, "/PAID/report").label, "default");
    }

    #[test]
    fn the_first_match_wins_whatever_is_more_specific() {
        let table = table(&[("/a/*", &[]), ("/a/b", &[]), ("/**", &[]), ("/c", &[])]);
        assert_eq!(table.find(&Method::GET, None, "/a/b").label, "/a/*");
        assert_eq!(table.find(&Method::GET, None, "/c").label, "/**");
    }

    #[test]
    fn methods_are_an_allow_list_and_get_stands_for_head() {
        let table = table(&[("/a", &[Method::GET]), ("/a", &[Method::POST]), ("/b", &[Method::HEAD])]);
        let reserved = table.rules().len() - 4;
        let find = |method: Method, path| table.find(&method, None, path).index - reserved;
        assert_eq!(find(Method::GET, "/a"), 0);
        assert_eq!(find(Method::HEAD, "/a"), 0);
        assert_eq!(find(Method::POST, "/a"), 1);
        assert_eq!(find(Method::PUT, "/a"), 3, "the default");
        let odd = Method::from_bytes(b"get").expect("a method");
        assert_eq!(find(odd, "/a"), 3, "methods are case-sensitive");
        assert_eq!(find(Method::GET, "/b"), 3);
    }

    #[test]
    fn what_is_reserved_for_billing_cannot_be_taken() {
        let table = table(&[("/**", &[])]);
        let cases = [
            ("/api/billing/checkout", Destination::Billing),
            ("/api/stripe/portal", Destination::Billing),
            ("/api/stripe/webhook", Destination::Webhook),
            ("/api/stripe/webhook/", Destination::Webhook),
            ("/api/stripe/webhook/x", Destination::Billing),
            ("/api/polar/webhook", Destination::Webhook),
            ("/billing", Destination::Billing),
            ("/billing/pricing", Destination::Billing),
            ("/.well-known/tollgate/jwks.json", Destination::Billing),
            ("/.well-known/other", Destination::Site),
            ("/api", Destination::Site),
            ("/billings", Destination::Site),
        ];
        for (path, destination) in cases {
            assert_eq!(table.find(&Method::POST, None, path).destination, destination, "{path}");
        }
    }

    #[test]
    fn what_is_reserved_is_where_the_site_and_its_pages_are() {
        let own = OwnPaths::new("https://a.example/app", "/app/plan");
        let table = Table::below(&own, vec![route("/**", &[])], Policy::public());
        for (path, destination) in [
            ("/app/plan", Destination::Billing),
            ("/app/plan/pricing", Destination::Billing),
            ("/app/api/billing/checkout", Destination::Billing),
            ("/app/api/stripe/webhook", Destination::Webhook),
            ("/app/.well-known/tollgate/jwks.json", Destination::Billing),
            ("/app/billing", Destination::Site),
            ("/billing", Destination::Site),
            ("/api/billing/checkout", Destination::Site),
            ("/api/stripe/webhook", Destination::Site),
        ] {
            assert_eq!(table.find(&Method::POST, None, path).destination, destination, "{path}");
        }
    }

    /// The meaning of patterns, as simply as it can be said.
    fn naive(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern, path) {
            ([], []) => true,
            (["**", rest @ ..], _) => (0..=path.len()).any(|skipped| naive(rest, &path[skipped..])),
            (["*", rest @ ..], [_, tail @ ..]) => naive(rest, tail),
            ([literal, rest @ ..], [first, tail @ ..]) => literal == first && naive(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn the_tree_finds_what_a_walk_through_the_list_finds(
            patterns in prop::collection::vec(prop::collection::vec("[abc]|\\*", 0..4), 1..8),
            deep in prop::collection::vec(prop::option::of(0..4_usize), 8),
            path in prop::collection::vec("[abc]", 0..6),
        ) {
            let patterns: Vec<Vec<String>> = patterns.into_iter().zip(deep).map(|(mut segments, deep)| {
                if let Some(at) = deep {
                    segments.insert(at.min(segments.len()), "**".to_owned());
                }
                segments
            }).collect();
            let routes: Vec<Route> =
                patterns.iter().map(|segments| route(&format!("/{}", segments.join("/")), &[])).collect();
            let table = Table::new(routes, Policy::public());
            let reserved = table.rules().len() - 1 - patterns.len();
            let segments: Vec<&str> = path.iter().map(String::as_str).collect();
            let expected = patterns.iter().position(|pattern| {
                let pattern: Vec<&str> = pattern.iter().map(String::as_str).collect();
                naive(&pattern, &segments)
            });
            let found = table.find(&Method::GET, None, &format!("/{}", segments.join("/"))).index - reserved;
            prop_assert_eq!(found, expected.unwrap_or(patterns.len()));
        }
    }
}
