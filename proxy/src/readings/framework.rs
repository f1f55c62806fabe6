//! The addresses under which a framework serves a page besides its own.

use std::borrow::Cow;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::languages::Languages;
use super::short_names::long_name;
use crate::target::{self, Refusal};

/// What the site is made with, as far as it gives pages other addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framework {
    /// Nobody has said.
    #[default]
    Unknown,
    /// No other addresses.
    None,
    /// Next.js: `/_next/data/BUILD/x.json`, `/x.rsc`, `/x.segments/…`, `/_next/image?url=/x`, `/en/x`.
    NextJs,
    /// Remix and React Router: `/x.data`.
    Remix,
    /// Rails: `/x.json` and every other format.
    Rails,
    /// ASP.NET on IIS and Windows: `/x.`, `/x~1`, `/(S(…))/x`, `/x::$DATA`.
    AspNet,
}

/// A framework of which nothing is known here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no framework that is known here: use nextjs, remix, rails, aspnet, or none")]
pub struct UnknownFramework(String);

impl FromStr for Framework {
    type Err = UnknownFramework;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" => Ok(Self::Unknown),
            "none" => Ok(Self::None),
            "nextjs" => Ok(Self::NextJs),
            "remix" => Ok(Self::Remix),
            "rails" => Ok(Self::Rails),
            "aspnet" => Ok(Self::AspNet),
            other => Err(UnknownFramework(other.to_owned())),
        }
    }
}

/// The pages that a framework may serve for a canonical path and a query.
pub(super) fn pages(
    framework: Framework,
    languages: &Languages,
    path: &str,
    query: Option<&str>,
) -> Result<Vec<String>, Refusal> {
    match framework {
        Framework::Unknown | Framework::None => Ok(Vec::new()),
        Framework::NextJs => nextjs(path, query, languages),
        Framework::Remix => Ok(remix(path).into_iter().collect()),
        Framework::Rails => Ok(without_format(path).into_iter().collect()),
        Framework::AspNet => aspnet(path),
    }
}

/// How deep in a path a language may stand: below a base path of some segments.
const LANGUAGE_DEPTH: usize = 4;

/// Where Next.js serves what belongs to pages.
const NEXT: &str = "/_next/";

fn nextjs(path: &str, query: Option<&str>, languages: &Languages) -> Result<Vec<String>, Refusal> {
    let mut pages = Vec::new();
    match path.split_once(NEXT) {
        Some((base, rest)) if rest == "image" || rest == "image/" => pages.extend(images(base, query)?),
        Some((base, rest)) => pages.extend(next_data(base, rest)),
        None => pages.extend(next_payload(path)),
    }
    // A page in a language is the page: by itself, and at each of the other addresses.
    let mut plain: Vec<String> = pages.iter().flat_map(|page| without_language(page, languages)).collect();
    if !path.contains(NEXT) {
        plain.extend(without_language(path, languages));
    }
    pages.append(&mut plain);
    Ok(pages)
}

/// `/_next/data/BUILD/paid/x.json`
fn next_data(base: &str, rest: &str) -> Option<String> {
    let (_build, page) = rest.strip_prefix("data/")?.split_once('/')?;
    let page = page.strip_suffix(".json").unwrap_or(page);
    Some(page_at(base, page))
}

/// `/paid/x.rsc`, `/paid.prefetch.rsc`, `/paid.segments/_tree.segment.rsc`
fn next_payload(path: &str) -> Option<String> {
    let page = match path.split_once(".segments/") {
        Some((page, _)) => page,
        None => path.strip_suffix(".rsc")?,
    };
    Some(page_at("", page.strip_suffix(".prefetch").unwrap_or(page)))
}

/// A page by the name that it has as a file: that of a directory's is `index`.
fn page_at(base: &str, page: &str) -> String {
    let page = page.strip_prefix('/').unwrap_or(page);
    let page = if page == "index" { "" } else { page };
    format!("{base}/{page}")
}

/// The images that `/_next/image?url=/paid/photo.png` names.
fn images(base: &str, query: Option<&str>) -> Result<Vec<String>, Refusal> {
    let mut images = Vec::new();
    for pair in query.unwrap_or_default().split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if percent_decode_str(name).decode_utf8_lossy() != "url" {
            continue;
        }
        // A query may write a blank as a plus.
        let url = value.replace('+', "%20");
        let url = percent_decode_str(&url).decode_utf8_lossy();
        // With a host it is fetched from there, and from this very site through this gate, as nobody.
        if url.split_once("://").is_some_and(|(scheme, _)| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
            continue;
        }
        let end = url.find(['?', '#']).unwrap_or(url.len());
        let image = encoded(&url[..end]);
        let image = target::canonical(image.as_bytes())?.path().to_owned();
        if !base.is_empty() {
            images.push(format!("{base}{image}"));
        }
        images.push(image);
    }
    Ok(images)
}

/// What is encoded in a segment that is only compared.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What is not ASCII travels encoded.
fn encoded(path: &str) -> Cow<'_, str> {
    const ENCODED: &AsciiSet = &percent_encoding::CONTROLS.add(b' ');
    utf8_percent_encode(path, ENCODED).into()
}

/// The pages of `/en/paid/x`, `/pt-BR/paid/x`, and of `/docs/en/paid/x` where the site stands below a base path: the path without each
/// of its first segments that is a language.
fn without_language(path: &str, languages: &Languages) -> Vec<String> {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let places = segments.iter().take(LANGUAGE_DEPTH).enumerate().filter(|(_, segment)| languages.include(segment));
    let page = |place: usize| {
        let rest = segments.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, segment)| *segment);
        format!("/{}", rest.collect::<Vec<_>>().join("/"))
    };
    places.map(|(place, _)| page(place)).collect()
}

/// `/paid.data`, `/paid/_.data`, `/_root.data`
fn remix(path: &str) -> Option<String> {
    let page = path.strip_suffix('/').unwrap_or(path).strip_suffix(".data")?;
    Some(match page {
        "/_root" | "/_" => "/".to_owned(),
        page => page.strip_suffix("/_").unwrap_or(page).to_owned(),
    })
}

/// `/paid/x.json`: Rails takes what stands behind the last dot for a format.
fn without_format(path: &str) -> Option<String> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let (folder, name) = path.rsplit_once('/')?;
    let (page, format) = name.rsplit_once('.')?;
    (!page.is_empty() && !format.is_empty()).then(|| format!("{folder}/{page}"))
}

/// What Windows makes of each segment: no dots and blanks at its end, no stream (`::$DATA`), the long name of a short one. And
/// ASP.NET takes a session in the path (`/(S(…))/`) out of it.
fn aspnet(path: &str) -> Result<Vec<String>, Refusal> {
    let mut segments = Vec::new();
    for segment in path.split('/').skip(1) {
        // It is decoded before anything of it is looked at.
        let text = percent_decode_str(segment).decode_utf8_lossy();
        if text.starts_with('(') && text.ends_with(')') && text.len() > 2 {
            continue;
        }
        let name = text.split(':').next().unwrap_or(&text).trim_end_matches(['.', ' ']);
        let name = long_name(name).map_err(|_| Refusal::ShortName)?;
        segments.push(if name == text { segment.to_owned() } else { utf8_percent_encode(name, SEGMENT).to_string() });
    }
    let page = format!("/{}", segments.join("/"));
    Ok(if page == path { Vec::new() } else { vec![page] })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn languages() -> Languages {
        Languages::new(vec!["default".into()])
    }

    #[test]
    fn each_address_of_a_page_is_known() {
        use Framework::{AspNet, NextJs, Rails, Remix};
        let cases: [(Framework, &str, &[&str]); 38] = [
            (Framework::Unknown, "/paid.rsc", &[]),
            (Framework::None, "/_next/data/B1/paid/x.json", &[]),
            (NextJs, "/paid/x", &[]),
            (NextJs, "/_next/data/B1/paid/x.json", &["/paid/x"]),
            (NextJs, "/_next/data/B1/index.json", &["/"]),
            (NextJs, "/_next/data/B1/en/paid/x.json", &["/en/paid/x", "/paid/x"]),
            (NextJs, "/docs/_next/data/B1/paid.json", &["/docs/paid"]),
            (NextJs, "/_next/static/chunks/main.js", &[]),
            (NextJs, "/paid.rsc", &["/paid"]),
            (NextJs, "/index.rsc", &["/"]),
            (NextJs, "/paid/x.prefetch.rsc", &["/paid/x"]),
            (NextJs, "/paid.segments/_tree.segment.rsc", &["/paid"]),
            (NextJs, "/paid.segments/a/b.segment.rsc", &["/paid"]),
            (NextJs, "/_next/image?url=%2Fpaid%2Fphoto.png&w=64&q=75", &["/paid/photo.png"]),
            (NextJs, "/_next/image?w=64&ur%6C=/paid/a+b.png%3Fx", &["/paid/a%20b.png"]),
            (NextJs, "/_next/image?url=https%3A%2F%2Fcdn.example%2Fpaid%2F%2Fa%252Fb.png", &[]),
            (NextJs, "/docs/en/paid/x", &["/docs/paid/x"]),
            (NextJs, "/docs/_next/data/B1/en/paid/x.json", &["/docs/en/paid/x", "/docs/paid/x"]),
            (NextJs, "/zh-Hans-CN/paid", &["/paid"]),
            (NextJs, "/default/paid", &["/paid"]),
            (AspNet, "/%28S(abc)%29/paid/x", &["/paid/x"]),
            (AspNet, "/paid%3A%3A$DATA", &["/paid"]),
            (NextJs, "/_next/image?url=/free.png&url=/paid.png", &["/free.png", "/paid.png"]),
            (NextJs, "/en/paid/x", &["/paid/x"]),
            (NextJs, "/pt-BR/paid", &["/paid"]),
            (NextJs, "/en.rsc", &["/en", "/"]),
            (NextJs, "/english/paid", &[]),
            (Remix, "/paid.data", &["/paid"]),
            (Remix, "/paid/x/_.data", &["/paid/x"]),
            (Remix, "/_root.data", &["/"]),
            (Remix, "/paid.database", &[]),
            (Rails, "/paid/x.json", &["/paid/x"]),
            (Rails, "/paid/a.b.xml", &["/paid/a.b"]),
            (Rails, "/paid/.x", &[]),
            (AspNet, "/paid./x", &["/paid/x"]),
            (AspNet, "/paid%20./x~1", &["/paid/x"]),
            (AspNet, "/(S(abc))/paid/x::$DATA", &["/paid/x"]),
            (AspNet, "/paid/x", &[]),
        ];
        for (framework, address, expected) in cases {
            let (path, query) = address.split_once('?').map_or((address, None), |(path, query)| (path, Some(query)));
            assert_eq!(
                pages(framework, &languages(), path, query).expect("it is understood"),
                expected,
                "{framework:?} {address}"
            );
        }
    }

    #[test]
    fn what_nobody_can_read_is_refused() {
        let image = |query| pages(Framework::NextJs, &languages(), "/_next/image", Some(query));
        assert_eq!(image("url=/free/../paid/x.png"), Err(Refusal::DotSegment));
        assert_eq!(image("url=%252Fpaid"), Err(Refusal::NotOriginForm));
        assert_eq!(image("url=//other.example/x"), Err(Refusal::EmptySegment));
        for cut in ["/premiu~1/x", "/PREMI~10/x", "/paid~1.pdf"] {
            assert_eq!(pages(Framework::AspNet, &languages(), cut, None), Err(Refusal::ShortName), "{cut}");
        }
    }

    #[test]
    fn a_framework_has_a_name() {
        assert_eq!("nextjs".parse(), Ok(Framework::NextJs));
        let error = "nuxt".parse::<Framework>().expect_err("it is not known").to_string();
        assert!(error.contains("nextjs, remix, rails, aspnet, or none"), "{error}");
    }
}
