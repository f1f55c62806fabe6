//! Where in a file a complaint belongs: the line of the key, or of the value, that it names.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The line, counted from 1, of what `told` names in `text`: `site.url`, an unknown key with its table, the path of a route, or a code in
/// backticks. None where it names nothing that the file has.
pub fn line_of(text: &str, told: &str) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    let words = told.split(|c: char| c.is_whitespace() || ":,;()=".contains(c));
    let keys = words.map(|word| word.trim_matches(['"', '`', '.', '?', '[', ']'])).filter(|word| !word.is_empty());
    let unknown = told.split_once("unknown key `").and_then(|(_, rest)| rest.split_once('`')).map(|(key, _)| key);
    let start = unknown
        .and_then(|key| key_anywhere(table.get_ref(), key))
        .or_else(|| keys.filter_map(|key| dotted(table.get_ref(), key)).next())
        .or_else(|| quoted(told).find_map(|value| value_anywhere(table.get_ref(), value)))?;
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

fn value_anywhere(table: &DeTable<'_>, text: &str) -> Option<usize> {
    let is_it = |value: &Spanned<DeValue<'_>>| matches!(value.get_ref(), DeValue::String(value) if value == text);
    let here = table.values().find(|value| is_it(value)).map(|value| value.span().start);
    here.or_else(|| {
        table.values().flat_map(|value| tables(value.get_ref())).find_map(|table| value_anywhere(table, text))
    })
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
            ("route \"/b/**\": methods is empty", Some(11)),
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
}
