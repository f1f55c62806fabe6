//! Where in a file a complaint belongs: the line of the key, or of the value, that it names.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::plain::Step;

/// The line, counted from 1, of what `told` names in `text`: `site.url`, an unknown key with its table, the path of a route, or a code in
/// backticks. None where it names nothing that the file has.
pub fn line_of(text: &str, told: &str) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    let words: Vec<&str> = told
        .split(|c: char| c.is_whitespace() || ":,;()".contains(c))
        .map(|word| word.trim_matches(['"', '`', '.', '?', '[', ']']))
        .filter(|word| !word.is_empty())
        .collect();
    if let Some(line) = line_in_list(text, told) {
        return Some(line);
    }
    let unknown = told.split_once("unknown key `").and_then(|(_, rest)| rest.split_once('`')).map(|(key, _)| key);
    let start = unknown
        .and_then(|key| key_anywhere(table.get_ref(), key))
        .or_else(|| words.iter().find_map(|key| dotted(table.get_ref(), key)))
        .or_else(|| {
            let values = quoted(told).filter_map(|value| value_anywhere(table.get_ref(), value, 0));
            // A price is said to be of its tier: the value that lies deepest is meant, and of two the first.
            let value = values.reduce(|best, next| if next.depth > best.depth { next } else { best })?;
            Some(key_beside(&value, &words).unwrap_or(value.start))
        })?;
    line_at_byte(text, start)
}

/// The line of a key of `[[list]] 2: key`, which says by itself where it stands.
fn line_in_list(text: &str, told: &str) -> Option<usize> {
    let (list, rest) = told.split_once("[[")?.1.split_once("]] ")?;
    let (number, rest) = rest.split_once(": ")?;
    let place = number.parse::<usize>().ok()?.checked_sub(1)?;
    let key = rest.split([' ', ':']).next()?;
    line_at(text, &[Step::Key(list.to_owned()), Step::Place(place), Step::Key(key.to_owned())])
}

/// The line at which a path leads, as far as the file has it.
pub fn line_at(text: &str, path: &[Step]) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    let mut steps = path.iter();
    let Some(Step::Key(name)) = steps.next() else { return None };
    let (key, value) = table.get_ref().get_key_value(name.as_str())?;
    let (mut start, mut value) = (key.span().start, value.get_ref());
    for step in steps {
        let next = match (step, value) {
            (Step::Key(name), DeValue::Table(table)) => {
                table.get_key_value(name.as_str()).map(|(key, value)| (key.span().start, value.get_ref()))
            }
            (Step::Place(place), DeValue::Array(values)) => {
                values.get(*place).map(|value| (value.span().start, value.get_ref()))
            }
            _ => None,
        };
        let Some(next) = next else { break };
        (start, value) = next;
    }
    line_at_byte(text, start)
}

/// The place in a list of tables of the one that has this code.
pub fn place_of_code(text: &str, list: &str, code: &str) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    let DeValue::Array(owners) = table.get_ref().get(list)?.get_ref() else { return None };
    let has_code = |owner: &DeTable<'_>| {
        owner.get("code").is_some_and(|it| matches!(it.get_ref(), DeValue::String(it) if it == code))
    };
    owners.iter().position(|owner| matches!(owner.get_ref(), DeValue::Table(owner) if has_code(owner)))
}

fn line_at_byte(text: &str, start: usize) -> Option<usize> {
    Some(text.get(..start)?.matches('\n').count() + 1)
}

/// `a.b.c`, as deep as the file has it, but for its first part alone.
fn dotted(table: &DeTable<'_>, path: &str) -> Option<usize> {
    let (mut table, mut found) = (table, None);
    for (depth, part) in path.split('.').enumerate() {
        let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref() == part) else { break };
        if depth > 0 {
            found = Some(key.span().start);
        }
        let DeValue::Table(inner) = value.get_ref() else { break };
        table = inner;
    }
    found
}

fn tables<'a, 'b>(value: &'b DeValue<'a>) -> Vec<&'b DeTable<'a>> {
    match value {
        DeValue::Table(table) => vec![table],
        DeValue::Array(values) => values.iter().flat_map(|value| tables(value.get_ref())).collect(),
        _ => Vec::new(),
    }
}

fn key_anywhere(table: &DeTable<'_>, name: &str) -> Option<usize> {
    let here = table.iter().find(|(key, _)| key.get_ref() == name).map(|(key, _)| key.span().start);
    here.or_else(|| {
        table.values().flat_map(|value| tables(value.get_ref())).find_map(|table| key_anywhere(table, name))
    })
}

/// A value that a complaint quotes: where its key is, and what stands beside it.
struct Value<'a, 'b> {
    start: usize,
    depth: usize,
    beside: &'b DeTable<'a>,
}

fn value_anywhere<'a, 'b>(table: &'b DeTable<'a>, text: &str, depth: usize) -> Option<Value<'a, 'b>> {
    fn is_it(value: &Spanned<DeValue<'_>>, text: &str) -> bool {
        match value.get_ref() {
            DeValue::String(value) => value == text,
            DeValue::Array(values) => values.iter().any(|value| is_it(value, text)),
            _ => false,
        }
    }
    let here = table.iter().find(|(_, value)| is_it(value, text));
    here.map(|(key, _)| Value { start: key.span().start, depth, beside: table }).or_else(|| {
        let below = table.values().flat_map(|value| tables(value.get_ref()));
        below.into_iter().find_map(|table| value_anywhere(table, text, depth + 1))
    })
}

/// The key beside a value that a complaint names: "`pro` has the rank 1", "the price `p` has amount = 7", "methods is empty".
fn key_beside(value: &Value<'_, '_>, words: &[&str]) -> Option<usize> {
    let is_key = |place: usize| {
        let before = words[..place].iter().rev().find(|word| !["the", "a", "an", "empty", "negative"].contains(word));
        let after = words.get(place + 1);
        before.is_some_and(|word| ["has", "have"].contains(word))
            || after.is_some_and(|word| ["=", "is"].contains(word))
    };
    let named = words.iter().enumerate().filter(|(place, _)| is_key(*place)).map(|(_, word)| *word);
    let is_plain = |value: &DeValue<'_>| tables(value).is_empty();
    named
        .filter_map(|word| value.beside.get_key_value(word.trim_end_matches('=')))
        .find(|(_, value)| is_plain(value.get_ref()))
        .map(|(key, _)| key.span().start)
}

/// What stands between quotes or backticks.
fn quoted(told: &str) -> impl Iterator<Item = &str> {
    let between = |mark| told.split(mark).skip(1).step_by(2).filter(|text| !text.is_empty());
    between('`').chain(between('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_placed_where_the_file_says_what_it_is_about() {
        let text = "catalog = \"catalog.toml\"\n\n[site]\nurl = \"x\"\nupsteam = []\n\n[[route]]\npath = \"/a\"\n\n[[route]]\npath = \"/b/**\"\nmethods = []\n\n\
                    [identity]\nleeway = \"1h\"\n\n[pages.colors]\naccent = \"red\"\n";
        for (told, line) in [
            ("site.url = \"x\" is not a URL", Some(4)),
            ("unknown key `upsteam` in site: did you mean `upstream`?", Some(5)),
            ("route \"/b/**\": methods is empty", Some(12)),
            ("[[route]] 2: methods = \"x\" is none (site.url)", Some(12)),
            ("two [[route]] have a path: site.url", Some(4)),
            ("identity.leeway = \"1h\" must be whole seconds", Some(15)),
            ("pages.colors.accent is no colour", Some(18)),
            ("the tier `paid` is known nowhere", None),
            ("cache.capacity is too small", None),
            ("", None),
        ] {
            assert_eq!(line_of(text, told), line, "{told}");
        }
        assert_eq!(
            line_of("[[tier]]\ncode = \"free\"\n\n[[tier]]\ncode = \"paid\"\n", "the tier `paid` has no rank"),
            Some(5)
        );
        assert_eq!(line_of("not toml", "site.url"), None);
    }

    #[test]
    fn b17_of_a_tier_and_its_price_the_one_that_is_meant_is_placed() {
        let text = "[[tier]]\ncode = \"paid\"\nname = \"Paid\"\nrank = 0\nfeatures = [\"Api\"]\n\n[[tier.price]]\nid = \"price_1\"\n\
                    amount = -7\nlookup_key = \" k\"\ncurrency = \"xyz\"\nconsent = \"c\"\n";
        for (told, line) in [
            ("`paid` has a price with the lookup_key \" k\": write 1 to 200 characters", 10),
            ("the stripe price `price_1` is named twice, by `paid` and by `paid`: a price buys one thing", 8),
            ("the price `price_1` has a negative amount: use minor units", 9),
            ("the price `price_1` has amount = 1: stripe takes more", 9),
            ("the price `price_1` has the currency `xyz`: use three letters", 11),
            ("tier `paid` has rank 0, which everybody has, so it must not have prices", 4),
            ("`paid` has an empty name", 3),
            ("`Api` is not a usable code: use lower-case letters", 5),
        ] {
            assert_eq!(line_of(text, told), Some(line), "{told}");
        }
    }

    #[test]
    fn a_path_is_placed_as_deep_as_the_file_has_it() {
        let text = "a = 1\n\n[[route]]\npath = \"/a\"\n\n[[route]]\npath = \"/b\"\nrequire = { tier = [] }\n";
        let key = |name: &str| Step::Key(name.to_owned());
        let route = |more: &[Step]| line_at(text, &[&[key("route"), Step::Place(1)], more].concat());
        assert_eq!(route(&[key("require"), key("tier")]), Some(8));
        assert_eq!(route(&[key("path")]), Some(7));
        assert_eq!((line_at(text, &[key("a")]), line_at(text, &[key("b")])), (Some(1), None));
        assert_eq!(route(&[key("methods")]), Some(6), "the rule that lacks it");
    }
}
