//! The form encoding of Stripe's API: `a[b][0][c]=d`, as in a body or in a query.
//!
//! Values stay text; whoever reads one says what it should be, and its refusal names the parameter as the caller wrote it.

use std::str::FromStr;

use chrono::DateTime;
use url::form_urlencoded;

use crate::Timestamp;
use crate::provider::books::model::Metadata;
use crate::provider::books::table::Paging;
use crate::provider::refusal::Refusal;

/// Parameters that one call may have.
const PAIRS_MAX: usize = 500;
/// How deep brackets may nest.
const DEPTH_MAX: usize = 6;

/// Limits of metadata (<https://docs.stripe.com/api/metadata>).
pub(super) const METADATA_KEYS_MAX: usize = 50;
const METADATA_KEY_CHARS_MAX: usize = 40;
const METADATA_VALUE_CHARS_MAX: usize = 500;

/// The parameters of one call.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Form {
    pairs: Vec<(Vec<String>, String)>,
}

impl Form {
    /// Parses an encoded body or query.
    pub fn parse(encoded: &[u8]) -> Result<Self, Refusal> {
        let mut form = Self::default();
        for (key, value) in form_urlencoded::parse(encoded) {
            if form.pairs.len() == PAIRS_MAX {
                return Err(Refusal::invalid(&key, format!("More than {PAIRS_MAX} parameters.")));
            }
            let mut path = segments(&key).ok_or_else(|| Refusal::invalid(&key, format!("Invalid parameter: {key}")))?;
            form.number(&mut path);
            form.pairs.push((path, value.into_owned()));
        }
        Ok(form)
    }

    /// Gives `[]` its index: a new one when it ends the name or the element already has this field.
    fn number(&self, path: &mut [String]) {
        for place in 0..path.len() {
            if !path[place].is_empty() {
                continue;
            }
            let (before, after) = (&path[..place], &path[place + 1..]);
            let elements = self.children(before);
            let last = elements.last().map(|last| [before, &[(*last).to_owned()], after].concat());
            let taken = last.is_none_or(|last| self.pairs.iter().any(|(path, _)| *path == last));
            let index = if after.is_empty() || taken { elements.len() } else { elements.len() - 1 };
            path[place] = index.to_string();
        }
    }

    /// The names directly below `path`, in the order in which they first came.
    fn children(&self, path: &[String]) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in &self.pairs {
            if let Some(child) = name.strip_prefix(path).and_then(<[String]>::first)
                && !names.contains(&child.as_str())
            {
                names.push(child);
            }
        }
        names
    }

    /// Refuses a parameter whose first name is not among `known`, as Stripe does.
    pub fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        let stranger =
            self.pairs.iter().filter_map(|(path, _)| path.first()).find(|name| !known.contains(&name.as_str()));
        stranger.map_or(Ok(()), |name| Err(Refusal::unknown_parameter(name)))
    }

    /// Refuses what stands below `name` and is none of `known`.
    pub fn only_in(&self, name: &str, known: &[&str]) -> Result<(), Refusal> {
        let Some(path) = segments(name) else { return Ok(()) };
        let below = self.pairs.iter().filter_map(|(own, _)| own.strip_prefix(path.as_slice())?.first());
        let stranger = below.into_iter().find(|inner| !known.contains(&inner.as_str()));
        stranger.map_or(Ok(()), |inner| Err(Refusal::unknown_parameter(&format!("{name}[{inner}]"))))
    }

    /// A value, empty or not; `name` is written as the caller writes it, such as `a[b]`.
    pub fn raw(&self, name: &str) -> Option<&str> {
        let path = segments(name)?;
        self.pairs.iter().rev().find(|(own, _)| *own == path).map(|(_, value)| value.as_str())
    }

    /// Whether anything is named `name`, or stands below it.
    pub fn has(&self, name: &str) -> bool {
        segments(name).is_some_and(|path| self.pairs.iter().any(|(own, _)| own.starts_with(&path)))
    }

    /// A text; empty means absent.
    pub fn text(&self, name: &str) -> Option<String> {
        self.raw(name).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    /// A text that must be there.
    pub fn required(&self, name: &str) -> Result<String, Refusal> {
        self.text(name).ok_or_else(|| Refusal::missing(name))
    }

    /// A whole number; empty means absent.
    pub fn number_of<T: FromStr>(&self, name: &str) -> Result<Option<T>, Refusal> {
        let read = |text: String| text.parse().map_err(|_| Refusal::invalid(name, format!("Invalid integer: {text}")));
        self.text(name).map(read).transpose()
    }

    /// `true` or `false`; empty means absent.
    pub fn truth(&self, name: &str) -> Result<Option<bool>, Refusal> {
        let read = |text: String| text.parse().map_err(|_| Refusal::invalid(name, format!("Invalid boolean: {text}")));
        self.text(name).map(read).transpose()
    }

    /// Seconds since 1970; empty means absent.
    pub fn moment(&self, name: &str) -> Result<Option<Timestamp>, Refusal> {
        let Some(seconds) = self.number_of::<i64>(name)? else { return Ok(None) };
        let moment = DateTime::from_timestamp(seconds, 0);
        moment.map(Some).ok_or_else(|| Refusal::invalid(name, format!("Invalid timestamp: {seconds}")))
    }

    /// An absolute http or https URL; empty means absent.
    pub fn url(&self, name: &str) -> Result<Option<String>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let web = url::Url::parse(&text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if web { Ok(Some(text)) } else { Err(Refusal::invalid(name, "Not a valid URL")) }
    }

    /// The elements of a list of objects, as names: `line_items[0]`, `line_items[1]`.
    pub fn elements(&self, name: &str) -> Vec<String> {
        let path = segments(name).unwrap_or_default();
        self.children(&path).into_iter().map(|index| format!("{name}[{index}]")).collect()
    }

    /// The values of a list of texts.
    pub fn texts(&self, name: &str) -> Vec<String> {
        self.elements(name).iter().filter_map(|element| self.text(element)).collect()
    }

    /// Key and value pairs; an empty value takes the key away.
    pub fn metadata(&self, name: &str) -> Result<Metadata, Refusal> {
        let path = segments(name).unwrap_or_default();
        let mut metadata = Metadata::new();
        for key in self.children(&path) {
            let place = format!("{name}[{key}]");
            let value = self.raw(&place).unwrap_or_default();
            let fits = key.chars().count() <= METADATA_KEY_CHARS_MAX
                && value.chars().count() <= METADATA_VALUE_CHARS_MAX
                && metadata.len() < METADATA_KEYS_MAX;
            if !fits {
                return Err(Refusal::invalid(&place, "Metadata has at most 50 keys of 40 characters, values of 500."));
            }
            metadata.insert(key.to_owned(), value.to_owned());
        }
        Ok(metadata)
    }

    /// Which page of a list is asked for.
    pub fn paging(&self) -> Result<Paging, Refusal> {
        let limit = self.number_of::<usize>("limit")?.unwrap_or(10);
        if !(1..=100).contains(&limit) {
            return Err(Refusal::invalid("limit", "limit must be between 1 and 100"));
        }
        Ok(Paging { limit, starting_after: self.text("starting_after"), ending_before: self.text("ending_before") })
    }
}

/// `a[b][]` as `a`, `b` and an empty name; `None` when it is not written so.
fn segments(key: &str) -> Option<Vec<String>> {
    let (first, mut rest) = key.split_at(key.find('[').unwrap_or(key.len()));
    if first.is_empty() || first.contains(']') {
        return None;
    }
    let mut path = vec![first.to_owned()];
    while !rest.is_empty() {
        let (name, after) = rest.strip_prefix('[')?.split_once(']')?;
        if name.contains('[') || path.len() == DEPTH_MAX {
            return None;
        }
        path.push(name.to_owned());
        rest = after;
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(encoded: &str) -> Form {
        Form::parse(encoded.as_bytes()).expect("a form")
    }

    #[test]
    fn brackets_nest_plain_and_percent_encoded() {
        for encoded in ["a=1&b[c]=2&b[d][0][e]=x+y%26", "a=1&b%5Bc%5D=2&b%5Bd%5D%5B0%5D%5Be%5D=x%20y%26"] {
            let form = form(encoded);
            assert_eq!(form.raw("a"), Some("1"));
            assert_eq!(form.raw("b[c]"), Some("2"));
            assert_eq!(form.raw("b[d][0][e]"), Some("x y&"));
            assert_eq!((form.raw("b"), form.raw("b[d]"), form.has("b[d]"), form.has("c")), (None, None, true, false));
        }
    }

    #[test]
    fn lists_come_with_and_without_an_index() {
        for encoded in [
            "expand[0]=a&expand[1]=b&items[0][price]=p&items[0][quantity]=2&items[1][price]=q",
            "expand[]=a&expand[]=b&items[][price]=p&items[][quantity]=2&items[][price]=q",
        ] {
            let form = form(encoded);
            assert_eq!(form.texts("expand"), ["a", "b"]);
            let items: Vec<_> = form
                .elements("items")
                .iter()
                .map(|item| (form.text(&format!("{item}[price]")), form.text(&format!("{item}[quantity]"))))
                .collect();
            let text = |text: &str| Some(text.to_owned());
            assert_eq!(items, [(text("p"), text("2")), (text("q"), None)], "{encoded}");
        }
    }

    #[test]
    fn what_is_not_a_name_is_refused() {
        let deep = format!("a{}=1", "[b]".repeat(DEPTH_MAX));
        for encoded in ["[a]=1", "a[b=1", "a]b=1", "a[b]c=1", "a[[b]]=1", "=1", deep.as_str()] {
            assert!(Form::parse(encoded.as_bytes()).is_err(), "{encoded}");
        }
        assert!(Form::parse("a=1&".repeat(PAIRS_MAX).as_bytes()).is_ok());
        assert!(Form::parse("a=1&".repeat(PAIRS_MAX + 1).as_bytes()).is_err());
    }

    #[test]
    fn values_are_read_as_what_they_should_be() {
        let form = form("n=7&bad=x&t=true&empty=&when=86400&url=https://a.example/&mail=mailto:a@b.example");
        assert_eq!(form.number_of::<u32>("n"), Ok(Some(7)));
        assert_eq!(form.number_of::<u32>("empty"), Ok(None));
        assert_eq!(form.number_of::<u32>("bad"), Err(Refusal::invalid("bad", "Invalid integer: x")));
        assert_eq!((form.truth("t"), form.truth("empty")), (Ok(Some(true)), Ok(None)));
        assert!(form.truth("n").is_err());
        assert_eq!(form.moment("when"), Ok(DateTime::from_timestamp(86_400, 0)));
        assert_eq!(form.url("url"), Ok(Some("https://a.example/".into())));
        assert!(form.url("mail").is_err() && form.url("bad").is_err());
        assert_eq!(form.required("empty"), Err(Refusal::missing("empty")));
        assert_eq!(form.only(&["n", "bad", "t", "empty", "when", "url"]), Err(Refusal::unknown_parameter("mail")));
    }

    #[test]
    fn metadata_has_stripes_limits() {
        assert_eq!(form("metadata[a]=1&metadata[b]=").metadata("metadata").map(|metadata| metadata.len()), Ok(2));
        let long_key = format!("metadata[{}]=1", "k".repeat(41));
        let long_value = format!("metadata[k]={}", "v".repeat(501));
        let many: String = (0..51).map(|key| format!("metadata[{key}]=1&")).collect();
        for encoded in [long_key, long_value, many] {
            assert!(form(&encoded).metadata("metadata").is_err());
        }
    }

    #[test]
    fn a_page_has_1_to_100_rows() {
        assert_eq!(form("").paging().map(|paging| paging.limit), Ok(10));
        assert_eq!(form("limit=100").paging().map(|paging| paging.limit), Ok(100));
        assert!(form("limit=0").paging().is_err() && form("limit=101").paging().is_err());
    }
}
