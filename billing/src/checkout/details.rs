//! What the buyer of an add-on has to state, and whether it can be that.

use std::collections::BTreeMap;

use entitlement::catalog::Addon;
use url::Host;

use super::choose::Refusal;

/// The only name with a form of its own: a host name that one can register.
const DOMAIN_NAME: &str = "domain_name";

/// Longest text, in characters: Stripe keeps metadata of up to 500 (<https://docs.stripe.com/api/metadata>).
const TEXT_CHARS_MAX: usize = 200;

/// Longest host name, and longest of its labels, in bytes (RFC 1035 section 2.3.4).
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// What of `details` the add-on asks for, as it is kept: host names in lower case and ASCII (RFC 5891), texts without
/// blanks around them.
///
/// # Errors
/// When something is missing, or cannot be what it is said to be.
pub fn stated(addon: &Addon, details: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Refusal> {
    let read = |name: &String| {
        let value = details.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| Refusal::DetailRequired(name.clone()))?;
        let kept = if name == DOMAIN_NAME { domain(value) } else { text(value) };
        kept.map(|kept| (name.clone(), kept)).ok_or_else(|| Refusal::DetailInvalid(name.clone()))
    };
    addon.requires.iter().map(read).collect()
}

fn text(value: &str) -> Option<String> {
    let fits = value.chars().count() <= TEXT_CHARS_MAX && !value.chars().any(char::is_control);
    fits.then(|| value.to_owned())
}

fn domain(value: &str) -> Option<String> {
    let Ok(Host::Domain(name)) = Host::parse(value) else { return None };
    let label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let edges = !label.starts_with('-') && !label.ends_with('-');
        (1..=LABEL_BYTES_MAX).contains(&label.len()) && edges && label.bytes().all(plain)
    };
    let fits = name.len() <= NAME_BYTES_MAX && name.contains('.') && name.split('.').all(label);
    fits.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addon(requires: &[&str]) -> Addon {
        let requires = requires.iter().map(|name| (*name).to_owned()).collect();
        Addon { code: "domain".into(), name: "Domain".into(), requires, prices: Vec::new() }
    }

    fn said(name: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn a_domain_is_a_name_that_can_be_registered() {
        let long = format!("{}.example", "x".repeat(64));
        let longer = format!("{}example", "x.".repeat(125));
        let cases = [
            ("shop.example", Some("shop.example")),
            (" Shop.Example ", Some("shop.example")),
            ("käse.example", Some("xn--kse-qla.example")),
            ("my-shop.co.example", Some("my-shop.co.example")),
            ("shop", None),
            ("-shop.example", None),
            ("shop-.example", None),
            ("shop..example", None),
            ("shop.example.", None),
            ("my_shop.example", None),
            ("*.example", None),
            ("https://shop.example", None),
            ("shop.example/path", None),
            ("shop.example:80", None),
            ("me@shop.example", None),
            ("127.0.0.1", None),
            ("[::1]", None),
            (long.as_str(), None),
            (longer.as_str(), None),
        ];
        for (value, expected) in cases {
            let kept = stated(&addon(&[DOMAIN_NAME]), &said(DOMAIN_NAME, value));
            let invalid = || Refusal::DetailInvalid(DOMAIN_NAME.into());
            assert_eq!(kept, expected.map(|name| said(DOMAIN_NAME, name)).ok_or_else(invalid), "{value}");
        }
    }

    #[test]
    fn only_what_is_asked_for_is_kept_and_all_of_it() {
        let both = addon(&["label", DOMAIN_NAME]);
        let missing = |name: &str| Err(Refusal::DetailRequired(name.into()));
        assert_eq!(stated(&both, &said(DOMAIN_NAME, "shop.example")), missing("label"));
        assert_eq!(stated(&both, &said("label", " ")), missing("label"), "nothing is no answer");
        let mut details = said("label", " My shop ");
        details
            .extend([("account".to_owned(), "somebody".to_owned()), (DOMAIN_NAME.to_owned(), "a.example".to_owned())]);
        let expected = [("label", "My shop"), (DOMAIN_NAME, "a.example")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(stated(&both, &details), Ok(BTreeMap::from(expected)));
        assert_eq!(stated(&addon(&[]), &details), Ok(BTreeMap::new()));
        for bad in ["a\nb", &"x".repeat(TEXT_CHARS_MAX + 1)] {
            assert_eq!(stated(&addon(&["label"]), &said("label", bad)), Err(Refusal::DetailInvalid("label".into())));
        }
    }
}
