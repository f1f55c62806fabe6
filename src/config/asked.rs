//! The demands of routes on accounts: all of them, and those that are more than in another configuration.

use billing::Asked;
use entitlement::authorize::{Mode, Policy, Requirement};
use http::Method;
use proxy::routes::{Destination, Route, Rule, Table};

use super::Config;

/// The label of the rule for what no route matches, and its name in a configuration.
const DEFAULT: (&str, &str) = ("default", "[default]");

/// Routes that ask for the same, in the place of the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub routes: Vec<String>,
    pub asked: Asked,
}

impl Config {
    /// Everything that routes ask of accounts.
    pub fn asked(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let routes = self.routes.iter().map(|route| (route.pattern.as_str(), &route.policy));
        for (route, policy) in routes.chain([(DEFAULT.1, &self.default)]) {
            add(&mut steps, route, Asked { before: Requirement::Public, now: enforced(policy) });
        }
        steps
    }

    /// The demands of routes that differ from those in `before`. Each pattern of both stands for the requests that it is for.
    pub fn asked_since(&self, before: &Self) -> Vec<Step> {
        let table = |config: &Self| Table::below(&config.own_paths, config.routes.clone(), config.default.clone());
        let (then, now) = (table(before), table(self));
        let mut steps = Vec::new();
        for route in self.routes.iter().chain(&before.routes) {
            // The wildcards of a pattern take any text.
            let path = route.pattern.as_str().replace("**", "x").replace('*', "x");
            for (method, host) in requests(route) {
                let rule = |table| Table::find(table, &method, host.as_deref(), &path);
                let asked = Asked { before: of_rule(rule(&then)), now: of_rule(rule(&now)) };
                add(&mut steps, &rule(&now).label, asked);
            }
        }
        let asked = Asked { before: enforced(&before.default), now: enforced(&self.default) };
        add(&mut steps, DEFAULT.1, asked);
        steps
    }
}

/// A request for each method and host of a route.
fn requests(route: &Route) -> Vec<(Method, Option<String>)> {
    let methods = route.methods.clone().unwrap_or_else(|| vec![Method::GET]);
    let host = |host: &proxy::routes::HostPattern| Some(host.to_string().replace("*.", "x."));
    let hosts = route.hosts.as_ref().map_or_else(|| vec![None], |hosts| hosts.iter().map(host).collect());
    methods.into_iter().flat_map(|method| hosts.iter().map(move |host| (method.clone(), host.clone()))).collect()
}

fn of_rule(rule: &Rule) -> Requirement {
    if rule.destination == Destination::Site { enforced(&rule.policy) } else { Requirement::Public }
}

/// A rule that only watches asks for nothing.
fn enforced(policy: &Policy) -> Requirement {
    if policy.mode == Mode::Shadow { Requirement::Public } else { policy.require.clone() }
}

/// Every account meets a demand for no more than an account.
fn add(steps: &mut Vec<Step>, route: &str, asked: Asked) {
    if asked.before == asked.now || matches!(asked.now, Requirement::Public | Requirement::SignedIn) {
        return;
    }
    let route = if route == DEFAULT.0 { DEFAULT.1 } else { route }.to_owned();
    match steps.iter_mut().find(|step| step.asked == asked) {
        Some(step) if step.routes.contains(&route) => {}
        Some(step) => step.routes.push(route),
        None => steps.push(Step { routes: vec![route], asked }),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn config(routes: &str) -> Config {
        let catalog =
            "tier = [{ code = \"paid\", name = \"Paid\", rank = 1 }, { code = \"gold\", name = \"Gold\", rank = 2 }]";
        let catalog = toml::from_str(catalog).expect("a catalog");
        let text = format!("site.url = \"https://read.example\"\nsite.upstream = [\"127.0.0.1:3000\"]\n{routes}");
        Config::parse_with(&text, PathBuf::new(), Some(catalog)).expect("a configuration")
    }

    fn route(pattern: &str, rest: &str) -> String {
        format!("[[route]]\npath = \"{pattern}\"\n{rest}\n")
    }

    fn told(steps: &[Step]) -> Vec<String> {
        steps
            .iter()
            .map(|Step { routes, asked }| format!("{}: {} > {}", routes.join(" "), asked.before, asked.now))
            .collect()
    }

    #[test]
    fn what_routes_ask_for_more_than_before_is_found_whatever_rule_it_is_of() {
        let (paid, gold, public) =
            ("require = { tier = \"paid\" }", "require = { tier = \"gold\" }", "require = { public = true }");
        let none = String::new();
        let shadow = format!("{gold}\nmode = \"shadow\"");
        let posts = format!("methods = [\"POST\"]\n{gold}");
        let hosts = format!("hosts = [\"*.read.example\"]\n{gold}");
        for (before, now, expected) in [
            (route("/a/**", paid), route("/a/**", paid), &[][..]),
            (route("/a/**", paid), route("/a/**", gold), &["/a/**: tier paid > tier gold"]),
            (none.clone(), route("/a/*", gold) + &route("/b", gold), &["/a/* /b: public > tier gold"]),
            // Another rule comes first now, or the rule before it is gone.
            (
                route("/a/b", paid),
                route("/**", gold) + &route("/a/b", paid),
                &["/**: public > tier gold", "/**: tier paid > tier gold"],
            ),
            (route("/a/open", public) + &route("/a/**", gold), route("/a/**", gold), &["/a/**: public > tier gold"]),
            (none.clone(), route("/a", &shadow), &[]),
            (route("/a", &shadow), route("/a", gold), &["/a: public > tier gold"]),
            (none.clone(), route("/a", &posts) + &route("/a", public), &["/a: public > tier gold"]),
            (none.clone(), route("/a", &hosts), &["/a: public > tier gold"]),
            (none.clone(), format!("[default]\n{gold}\n"), &["[default]: public > tier gold"]),
            (
                route("/a", paid),
                format!("[default]\n{gold}\n"),
                &["[default]: tier paid > tier gold", "[default]: public > tier gold"],
            ),
            // No rule of a configuration is for what is Tollgate's own.
            (none.clone(), route("/billing/**", gold), &[]),
        ] {
            assert_eq!(told(&config(&now).asked_since(&config(&before))), expected, "{before}\nthen\n{now}");
        }
    }

    #[test]
    fn what_routes_ask_for_is_told_once_for_each_requirement() {
        let (paid, signed_in) = ("require = { tier = \"paid\" }", "require = { signed_in = true }");
        let all = route("/a", paid) + &route("/b", signed_in) + &route("/c", paid);
        assert_eq!(told(&config(&all).asked()), ["/a /c: public > tier paid"]);
    }
}
