//! What holds for every page: all of its text can be replaced, and nothing that it shows can become markup.

use std::collections::BTreeSet;

use askama::Template;
use entitlement::account::AccountId;
use entitlement::assertion::{Actor, Claims};
use proptest::prelude::*;

use super::frame::Frame;
use super::look::{Look, Pages, examples};
use crate::checkout::links;

/// A page with nothing on it.
#[derive(Template)]
#[template(source = "{% extends \"layout.html\" %}", ext = "html")]
struct Plain<'a> {
    frame: Frame<'a>,
}

/// The elements of a page, by name and in order: what text cannot change.
pub fn elements(html: &str) -> Vec<&str> {
    let tags = html.split('<').skip(1);
    tags.map(|tag| tag.split(|c: char| !c.is_ascii_alphanumeric() && c != '/' && c != '!').next().unwrap_or(""))
        .collect()
}

/// What a browser shows of escaped text.
pub fn unescaped(html: &str) -> String {
    let mut text = html.to_owned();
    for (escaped, plain) in
        [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">")]
    {
        text = text.replace(escaped, plain);
    }
    text.replace("&#38;", "&").replace("&amp;", "&")
}

/// The text between tags and the values of the attributes that are read out.
pub fn read_out(html: &str) -> BTreeSet<String> {
    let body = html.split("<title>").nth(1).expect("a title");
    let texts = body.split('<').filter_map(|tag| tag.split_once('>').map_or(Some(tag), |(_, text)| Some(text)));
    texts.map(|text| unescaped(text.trim())).filter(|text| !text.is_empty()).collect()
}

/// The assertion's words on a user who acts for an account.
pub fn claims(account: &str, user: Option<&str>, buyer: bool) -> Claims {
    let id = |text: &str| AccountId::parse(text).expect("an id");
    Claims {
        iss: "https://read.example".into(),
        aud: "tollgate-billing".into(),
        sub: id(account),
        act: user.map(|user| Actor { sub: id(user) }),
        buyer,
        iat: 0,
        exp: 60,
        tier: None,
        status: None,
        features: Vec::new(),
        valid_until: None,
    }
}

/// Pages of which each text is its own key in brackets, with what it can be filled with.
pub fn marked() -> Pages {
    let mut look = examples::look();
    let mut texts = examples::texts();
    for (_, section) in texts.as_table_mut().expect("sections") {
        for (_, text) in section.as_table_mut().expect("texts") {
            match text {
                toml::Value::String(text) => *text = marked_text(text),
                toml::Value::Array(months) => months.iter_mut().for_each(|month| *month = "§".into()),
                other => panic!("neither a text nor texts: {other}"),
            }
        }
    }
    look.texts = texts.try_into().expect("texts");
    let codes = ["archive", "basic_support", "priority_support", "analytics", "white_label", "custom_integrations"];
    let metrics = ["orders", "products", "team_members"];
    look.words.extend(codes.iter().chain(&metrics).map(|code| ((*code).to_owned(), String::new())));
    for text in look.consents.values_mut().chain(look.words.values_mut()) {
        "§".clone_into(text);
    }
    Pages::new(look)
}

/// Only what is filled in, with signs between.
fn marked_text(text: &str) -> String {
    let filled = text.split('{').skip(1).filter_map(|rest| Some(format!("{{{}}}§", rest.split_once('}')?.0)));
    format!("§{}", filled.collect::<String>())
}

/// Texts that somebody might try.
pub fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[<>&\"'/a-z!=\\- ]{0,40}",
        Just("<script>alert(1)</script>".to_owned()),
        Just("\"><img src=x onerror=alert(1)>".to_owned()),
        Just("</title><script>".to_owned()),
        Just("{days} {{ tier }} {% raw %}".to_owned()),
        Just("--><!-- ]]>".to_owned()),
    ]
}

proptest! {
    #[test]
    fn what_is_escaped_reads_as_it_was_written(text in hostile()) {
        #[derive(askama::Template)]
        #[template(source = r#"<title></title><p title="{{ text }}">{{ text }}</p>"#, ext = "html")]
        struct Shown<'a> { text: &'a str }

        let html = askama::Template::render(&Shown { text: &text }).expect("a page");
        let inner = html.strip_prefix("<title></title><p title=\"").and_then(|html| html.strip_suffix("</p>"));
        let (attribute, element) = inner.and_then(|inner| inner.split_once("\">")).expect("the shape stays");
        prop_assert_eq!(unescaped(attribute), text.as_str());
        prop_assert_eq!(unescaped(element), text.as_str());
        prop_assert!(!element.contains(['<', '>', '"', '\'']));
    }
}

#[test]
fn search_engines_see_what_is_sold_where_they_may_and_nothing_else() {
    let look = Pages::new(Look { index: true, description: "Read \"all\"".into(), ..examples::look() });
    let rendered = |look: &Pages, here: &'static str, error: Option<&str>| {
        let frame = Frame::of(look, links::PRICING_PATH, "Plans", here).with_error(error.map(str::to_owned));
        Plain { frame }.render().expect("a page")
    };
    let pricing = rendered(&look, links::PRICING_PATH, None);
    assert!(!pricing.contains("noindex"), "{pricing}");
    assert!(pricing.contains(r#"<link rel="canonical" href="https://read.example/billing/pricing">"#), "{pricing}");
    assert!(pricing.contains("<meta name=\"description\" content=\"Read &#34;all&#34;\">"), "{pricing}");
    let closed = examples::pages();
    for (look, here, error) in [
        (&look, links::ACCOUNT_PATH, None),
        (&look, links::PRICING_PATH, Some("busy")),
        (&closed, links::PRICING_PATH, None),
    ] {
        let page = rendered(look, here, error);
        assert!(page.contains("noindex") && !page.contains("canonical"), "{page}");
    }
}
