//! Where the providers deliver: billing's own paths, or others of the site, such as those that they have been told already.

use anyhow::{Context, Result, bail};
use entitlement::authorize::Policy;
use entitlement::own_paths::OwnPaths;
use http::Method;
use proxy::routes::{Destination, Pattern, Route, Table, WEBHOOKS};

use super::file::File;

/// The routes of the paths that are not billing's own. They come before those of the configuration.
///
/// # Errors
/// When a path is not one, or stands for something else.
pub fn routes(file: &File, own: &OwnPaths) -> Result<Vec<Route>> {
    let [stripe, polar] = WEBHOOKS;
    let keys = [
        ("stripe.webhook_path", &file.stripe.webhook_path, stripe),
        ("polar.webhook_path", &file.polar.webhook_path, polar),
    ];
    // Many servers take them for one.
    if keys[0].1.eq_ignore_ascii_case(keys[1].1) {
        bail!("stripe.webhook_path and polar.webhook_path are both \"{}\": each needs a path of its own", keys[0].1);
    }
    let taken = Table::below(own, Vec::new(), Policy::public());
    let mut routes = Vec::new();
    for (key, text, name) in keys.into_iter().filter(|(_, text, name)| **text != own.of(name)) {
        let place = || format!("{key} = \"{text}\"");
        if !text.starts_with('/') || text == "/" || text.ends_with('/') || text.contains(['*', '?', '#']) {
            bail!("{} must be a path of the site, such as \"/webhooks/stripe\"", place());
        }
        let pattern = Pattern::parse(text).with_context(place)?;
        if taken.find(&Method::POST, None, text).destination != Destination::Site {
            bail!("{} is a path of Tollgate's own: choose another, or leave it out for \"{}\"", place(), own.of(name));
        }
        routes.push(Route::webhook(pattern, name));
    }
    Ok(routes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Result<Vec<String>> {
        let file = File::from_table(File::table(text).expect("a table")).expect("a file");
        Ok(routes(&file, &OwnPaths::default())?.iter().map(|route| route.pattern.to_string()).collect())
    }

    #[test]
    fn a_webhook_has_a_path_of_its_own() {
        assert_eq!(paths("").expect("the default"), Vec::<String>::new());
        let both = "[stripe]\nwebhook_path = \"/hooks/stripe\"\n[polar]\nwebhook_path = \"/Hooks/polar\"\n";
        assert_eq!(paths(both).expect("paths"), ["/hooks/stripe", "/Hooks/polar"]);
        for (path, expected) in [
            ("", "must be a path"),
            ("/", "must be a path"),
            ("hooks", "must be a path"),
            ("/hooks/", "must be a path"),
            ("/hooks/*", "must be a path"),
            ("/hooks?a=b", "must be a path"),
            ("https://read.example/hooks", "must be a path"),
            ("/a/../hooks", "stripe.webhook_path = \"/a/../hooks\""),
            ("/billing/hook", "of Tollgate's own"),
            ("/api/stripe/other", "of Tollgate's own"),
            ("/api/polar/webhook", "each needs a path"),
            ("/API/Polar/webhook", "each needs a path"),
        ] {
            let error = paths(&format!("[stripe]\nwebhook_path = \"{path}\"\n")).expect_err(path);
            assert!(format!("{error:#}").contains(expected), "{path}: {error:#}");
        }
    }
}
