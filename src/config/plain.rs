//! Complaints of the TOML reader about a value, in words of the file: the key, the value that has to stand there, and the present one.

use std::fmt;

use serde_path_to_error::Segment;

use super::identity::written;
use super::misnamed;
use super::nearest::hint;

/// A step into a file: a key, or a place in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Key(String),
    Place(usize),
}

/// A complaint about what stands at a path of a file.
#[derive(Debug)]
pub struct Complaint {
    told: String,
    pub path: Vec<Step>,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told)
    }
}

impl std::error::Error for Complaint {}

impl Complaint {
    /// About a value of a table that has been read; `known` are the keys of the file itself.
    pub fn of_table(error: &serde_path_to_error::Error<toml::de::Error>, known: &toml::Table) -> Self {
        let mut path: Vec<Step> = error.path().iter().filter_map(step).collect();
        let place = written(&dotted(&path));
        // The reader of this section has two halves and names them; the file does not.
        if path.first() == Some(&Step::Key("identity".to_owned())) && path.len() > 1 {
            path.remove(1);
        }
        Self { told: told(&one_line(error.inner().message()), &place, known), path }
    }
}

/// Says in one line what is wrong with a text, and in which line.
pub fn explain(error: &toml::de::Error, text: &str) -> String {
    let message = one_line(error.message());
    let Some(span) = error.span() else { return message };
    let before = text.get(..span.start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    let (line, column) = (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1);
    let here = text.get(span).unwrap_or_default();
    let key = key_before(&before[line_start..]).unwrap_or(here);
    let told = if message == "duplicate key" {
        format!("`{here}` stands there twice: keep one of both, with all of its keys below it")
    } else if message.contains("minor units") && here.contains(['e', 'E']) {
        // A reader of numbers cannot tell 7e2 from 700.0.
        let amount: f64 = here.parse().unwrap_or_default();
        format!("`{key} = {here}` is no whole number: write {amount:.0}")
    } else {
        told(&message, key, &toml::Table::new()).replace(" in `amount`", "")
    };
    format!("{told} (line {line}, column {column})")
}

fn one_line(message: &str) -> String {
    message.lines().collect::<Vec<_>>().join(" ")
}

fn step(segment: &Segment) -> Option<Step> {
    match segment {
        Segment::Map { key } => Some(Step::Key(key.clone())),
        Segment::Seq { index } => Some(Step::Place(*index)),
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

/// `route.require.tier`: places in lists are told by the line.
fn dotted(path: &[Step]) -> String {
    let keys = path.iter().filter_map(|step| match step {
        Step::Key(key) => Some(key.as_str()),
        Step::Place(_) => None,
    });
    keys.collect::<Vec<_>>().join(".")
}

/// The key to whose right a value stands in its line.
fn key_before(line: &str) -> Option<&str> {
    let key = line.trim_end().strip_suffix('=')?.trim_end();
    key.rsplit(|c: char| c.is_whitespace() || "{,".contains(c)).next().filter(|key| !key.is_empty())
}

/// The words for a message; `place` is the key with those that it stands below.
fn told(message: &str, place: &str, known: &toml::Table) -> String {
    let parts = |what: &str| message.strip_prefix(what).and_then(|rest| rest.split_once('`'));
    fn names(expected: &str) -> impl Iterator<Item = &str> {
        expected.split('`').skip(1).step_by(2)
    }
    let within = if place.is_empty() { String::new() } else { format!(" in `{place}`") };
    if let Some((unknown, expected)) = parts("unknown field `") {
        let parent = place.strip_suffix(unknown).unwrap_or(place).trim_end_matches('.');
        let within = if parent.is_empty() { String::new() } else { format!(" in `{parent}`") };
        if let Some(variable) = misnamed::of_key(parent, unknown) {
            return format!("unknown key `{unknown}`{within}: secrets come from the environment, so set {variable}");
        }
        let hint = elsewhere(unknown, parent, known).unwrap_or_else(|| hint(unknown, names(expected)));
        return format!("unknown key `{unknown}`{within}{hint}");
    }
    if let Some((unknown, expected)) = parts("unknown variant `") {
        let all: Vec<String> = names(expected).map(|name| format!("\"{name}\"")).collect();
        let hint = hint(unknown, names(expected));
        return format!("unknown value \"{unknown}\"{within}, where one of {} may stand{hint}", all.join(", "));
    }
    if let Some((missing, _)) = parts("missing field `") {
        return format!("the key `{missing}` is missing{within}");
    }
    let wrong = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    if let Some((found, expected)) = wrong.and_then(|wrong| wrong.split_once(", expected "))
        && let Some((must, example)) = wanted(expected, found, place)
    {
        return format!("`{place}` must be {must}, and is {}{example}", shown(found));
    }
    if message.contains("expected a duration") {
        return format!("{message}{within}{SPAN}");
    }
    format!("{message}{within}")
}

/// How spans of time are written.
const SPAN: &str = ": write it like \"30s\", \"5m\" or \"14d\"";

/// The value that has to stand at a key, and how the present one may have been meant.
fn wanted(expected: &str, found: &str, place: &str) -> Option<(String, String)> {
    let text = found.strip_prefix("string ").map(|text| text.trim_matches('"'));
    let plain = found.split('`').nth(1);
    let most = match expected {
        "u8" => Some(u64::from(u8::MAX)),
        "u16" => Some(u64::from(u16::MAX)),
        "u32" => Some(u64::from(u32::MAX)),
        "u64" | "usize" | "i64" => Some(i64::MAX.unsigned_abs()),
        _ => None,
    };
    if let Some(most) = most {
        let example = match text.map(|text| text.trim().parse::<u64>()) {
            Some(Ok(number)) => format!(": write {number}, without quotes"),
            _ => ": write it like 14".to_owned(),
        };
        let bound = if found.starts_with("integer") { format!(" from 0 to {most}") } else { String::new() };
        return Some((format!("a whole number{bound}"), example));
    }
    let (must, example) = match expected {
        "a duration" => ("a time with its unit", SPAN.to_owned()),
        _ if expected.starts_with("an amount") => {
            let amount = text.and_then(|text| text.parse::<u64>().ok());
            let example = amount.map(|amount| format!(": write {amount}, without quotes")).unwrap_or_default();
            ("a whole number of minor units, such as 700 for 7.00", example)
        }
        "a boolean" => ("true or false", ": write it without quotes".to_owned()),
        "a string" => ("a text in quotes", plain.map(|it| format!(": write \"{it}\"")).unwrap_or_default()),
        "a sequence" => ("a list in brackets", text.map(|it| format!(": write [\"{it}\"]")).unwrap_or_default()),
        _ if place.ends_with("require") => ("a table in braces", ": write it like { public = true }".to_owned()),
        "a map" => ("a table", String::new()),
        _ if expected.starts_with("struct ") => ("a table", String::new()),
        _ => return None,
    };
    Some((must.to_owned(), example))
}

/// The value that was found, as an operator would call it.
fn shown(found: &str) -> String {
    let plain = found.split('`').nth(1);
    match found.split(' ').next() {
        Some("string") => format!("the text {}", found.trim_start_matches("string ")),
        Some("sequence") => "a list".to_owned(),
        Some("map") => "a table".to_owned(),
        _ => plain.unwrap_or(found).to_owned(),
    }
}

/// Where a key belongs that is known in another place of the file.
fn elsewhere(unknown: &str, parent: &str, known: &toml::Table) -> Option<String> {
    if !parent.is_empty() {
        let told = format!(
            ": what stands below `[{parent}]` or `[[{parent}]]` belongs to that, so write it above the first line in brackets, or below `[{unknown}]`"
        );
        return known.contains_key(unknown).then_some(told);
    }
    let has = |section: &toml::Value| section.as_table().is_some_and(|section| section.contains_key(unknown));
    let mut sections = known.iter().filter(|(_, section)| has(section)).map(|(name, _)| name);
    match (sections.next(), sections.next()) {
        (Some(section), None) => Some(format!(": did you mean `{section}.{unknown}`?")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[expect(dead_code, reason = "read alone")]
        rank: u32,
    }

    #[test]
    fn b17_a_value_of_the_wrong_type_is_told_by_its_key_and_line_in_plain_words() {
        for (text, expected) in [
            ("a = 1\nrank = -1", "unknown key `a`"),
            ("rank = -1", "`rank` must be a whole number from 0 to 4294967295, and is -1"),
            ("rank = \"1\"", "`rank` must be a whole number, and is the text \"1\": write 1, without quotes"),
            ("rank = \"one\"", "write it like 14 (line 1, column 8)"),
            ("rank = 1.5", "`rank` must be a whole number, and is 1.5"),
            ("\nrank = []", "and is a list: write it like 14 (line 2, column 8)"),
            ("rank = 1\nrank = 2", "`rank` stands there twice"),
        ] {
            let told = toml::from_str::<Sample>(text).map_err(|error| explain(&error, text)).expect_err(text);
            assert!(told.contains(expected), "{told:?} should contain {expected:?}");
            assert!(!told.contains("u32"), "{told}");
        }
    }
}
