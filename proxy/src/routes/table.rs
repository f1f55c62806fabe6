//! The compiled route table: a tree of segments, so that the cost of a request does not grow with the number of routes.

use std::borrow::Cow;
use std::time::Duration;

use entitlement::authorize::{Policy, Requirement};
use http::Method;
use percent_encoding::percent_decode_str;

use super::pattern::Segment;
use super::{Cors, Destination, HostPattern, Route, reserved};

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
    /// Whether its responses are the same for everybody: the site is told of nobody.
    pub shared: bool,
    methods: Option<Vec<Method>>,
    hosts: Option<Vec<HostPattern>>,
}

/// All rules of a configuration, and the reserved ones.
#[derive(Debug)]
pub struct Table {
    rules: Vec<Rule>,
    root: Node,
    has_hosts: bool,
}

/// What of a request decides on its rule.
#[derive(Clone, Copy, Debug)]
struct Sought<'a> {
    method: &'a Method,
    host: Option<&'a str>,
}

/// One place in the tree of segments.
#[derive(Debug)]
struct Node {
    /// By text.
    literals: Vec<(String, Node)>,
    one: Option<Box<Node>>,
    deep: Option<Box<Node>>,
    /// The rules whose pattern ends here, first one first.
    ends: Vec<usize>,
    /// The first rule at or below this node: a search that has an earlier one need not come here.
    first: usize,
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
        let reserved = reserved().map(|(pattern, destination)| (Route::new(pattern, Policy::public()), destination));
        let configured = routes.into_iter().map(|route| (route, Destination::Site));
        let (mut rules, mut root) = (Vec::new(), Node::new());
        for (Route { pattern, methods, hosts, policy, cors, timeout, shared }, destination) in
            reserved.chain(configured)
        {
            let index = rules.len();
            root.add(pattern.segments(), index);
            let label = pattern.as_str().to_owned();
            rules.push(Rule { index, label, policy, destination, cors, timeout, shared, methods, hosts });
        }
        let has_hosts = rules.iter().any(|rule| rule.hosts.is_some());
        let (index, label) = (rules.len(), "default".to_owned());
        let (methods, hosts, cors, timeout) = (None, None, Cors::default(), None);
        let destination = Destination::Site;
        rules.push(Rule { index, label, policy: default, destination, cors, timeout, shared: false, methods, hosts });
        Self { rules, root, has_hosts }
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

    /// The rule of a request. `host` must be as [`crate::target::host`] reads it, `path` canonical.
    #[must_use]
    pub fn find(&self, method: &Method, host: Option<&str>, path: &str) -> &Rule {
        let sought = Sought { method, host };
        let rest = path.strip_prefix('/').unwrap_or(path);
        let mut best = self.rules.len() - 1;
        self.search(&self.root, rest.strip_suffix('/').unwrap_or(rest), sought, &mut best);
        &self.rules[best]
    }

    /// Looks for a rule before `best` at or below `node`. `rest` is what is left of the path, without its first slash.
    fn search(&self, node: &Node, rest: &str, sought: Sought<'_>, best: &mut usize) {
        if node.first >= *best {
            return;
        }
        if let Some(deep) = &node.deep {
            self.search_deep(deep, rest, sought, best);
        }
        if rest.is_empty() {
            let found = node.ends.iter().copied().find(|index| self.rules[*index].is_for(sought));
            *best = found.map_or(*best, |index| index.min(*best));
            return;
        }
        let (segment, rest) = split(rest);
        if let Some(next) = node.literal(segment) {
            self.search(next, rest, sought, best);
        }
        if let Some(one) = &node.one {
            self.search(one, rest, sought, best);
        }
    }

    /// `**` stands for nothing, for one segment, for two, and so on.
    fn search_deep(&self, deep: &Node, rest: &str, sought: Sought<'_>, best: &mut usize) {
        // Where nothing follows the `**`, only the end of the path counts.
        let mut rest = if deep.is_leaf() { "" } else { rest };
        while !rest.is_empty() {
            self.search(deep, rest, sought, best);
            rest = split(rest).1;
        }
        self.search(deep, rest, sought, best);
    }
}

/// The first segment, and what follows its slash. Segments are short: looking at each byte costs less than a search that is
/// made for long texts.
fn split(path: &str) -> (&str, &str) {
    match path.bytes().position(|byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (path, ""),
    }
}

impl Node {
    const fn new() -> Self {
        Self { literals: Vec::new(), one: None, deep: None, ends: Vec::new(), first: usize::MAX }
    }

    fn add(&mut self, segments: &[Segment], index: usize) {
        self.first = self.first.min(index);
        let Some((segment, rest)) = segments.split_first() else {
            self.ends.push(index);
            return;
        };
        let next = match segment {
            Segment::One => self.one.get_or_insert_with(|| Box::new(Self::new())),
            Segment::Deep => self.deep.get_or_insert_with(|| Box::new(Self::new())),
            Segment::Literal(text) => {
                let place = self.place(text).unwrap_or_else(|free| {
                    self.literals.insert(free, (text.clone(), Self::new()));
                    free
                });
                &mut self.literals[place].1
            }
        };
        next.add(rest, index);
    }

    /// Where a literal stands, or where it would.
    fn place(&self, text: &str) -> Result<usize, usize> {
        self.literals.binary_search_by(|(literal, _)| literal.as_str().cmp(text))
    }

    fn literal(&self, segment: &str) -> Option<&Self> {
        if self.literals.is_empty() {
            return None;
        }
        let text = if segment.as_bytes().contains(&b'%') {
            percent_decode_str(segment).decode_utf8_lossy()
        } else {
            Cow::Borrowed(segment)
        };
        let place = self.place(&text).ok()?;
        Some(&self.literals[place].1)
    }

    fn is_leaf(&self) -> bool {
        self.literals.is_empty() && self.one.is_none() && self.deep.is_none()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::routes::Pattern;

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
        let cases: [(&str, &[&str], &[&str]); 9] = [
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
