//! The questions of a new installation, and the answers that are taken where none is given.

use std::io::{BufRead, Write};

use anyhow::{Context, Result, bail};
use entitlement::own_paths::OwnPaths;

use super::Arguments;

/// Longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 1000;

/// The answers from which the files are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// Keys of tollgate.toml with their values, in the order in which they are written.
    pub keys: Vec<(String, String)>,
    /// Those of them that were given, and are not asked.
    given: Vec<String>,
    pub monthly: u32,
    /// 0: nothing is sold by the year.
    pub annual: u32,
    pub currency: String,
    /// Whether amounts and currency were given.
    is_priced: bool,
}

const LOGIN_KEY: &str = "site.login_url";
const LOGIN: &str = "/login";

/// Keys that are asked, with what they are and their defaults.
const QUESTIONS: [(&str, &str, &str); 4] = [
    ("site.url", "Public address of the site", "http://127.0.0.1:8080"),
    ("site.upstream", "Where the site itself listens", "127.0.0.1:3000"),
    (LOGIN_KEY, "Where users sign in", LOGIN),
    ("identity.cookie", "Cookie with the session's token (JWT)", "session"),
];

/// The price of a month where none is given, in minor units, and the number of such months that a year costs.
const MONTHLY: u32 = 700;
const MONTHS_OF_A_YEAR: u32 = 10;

impl Answers {
    /// The answers of the command line, and the defaults.
    pub fn of(arguments: &Arguments) -> Self {
        let mut keys: Vec<(String, String)> =
            QUESTIONS.map(|(key, _, default)| (key.to_owned(), default.to_owned())).into();
        for (key, value) in &arguments.set {
            match keys.iter_mut().find(|(known, _)| known == key) {
                Some((_, known)) => value.clone_into(known),
                None => keys.push((key.clone(), value.clone())),
            }
        }
        let monthly = arguments.monthly.unwrap_or(MONTHLY);
        let mut answers = Self {
            keys,
            given: arguments.set.iter().map(|(key, _)| key.clone()).collect(),
            monthly,
            annual: arguments.annual.unwrap_or(monthly.saturating_mul(MONTHS_OF_A_YEAR)),
            currency: arguments.currency.clone().unwrap_or_else(|| "eur".to_owned()),
            is_priced: arguments.monthly.is_some() || arguments.annual.is_some() || arguments.currency.is_some(),
        };
        answers.settle();
        answers
    }

    /// The path of the site, of which its addresses have to be part: empty for a whole host.
    pub fn base(&self) -> String {
        let url = self.keys.iter().find(|(key, _)| key == "site.url").map_or("", |(_, url)| url);
        OwnPaths::new(url, "").base().to_owned()
    }

    /// Puts the page for signing in below the path of the site, where none was given.
    fn settle(&mut self) {
        let base = self.base();
        let is_given = self.given.iter().any(|key| key == LOGIN_KEY);
        let login = self.keys.iter_mut().find(|(key, value)| key == LOGIN_KEY && value == LOGIN && !is_given);
        if let Some((_, value)) = login {
            *value = format!("{base}{LOGIN}");
        }
    }
}

/// Asks for what was not given; an empty line takes the default.
pub fn ask(answers: &mut Answers, from: &mut impl BufRead, to: &mut impl Write) -> Result<()> {
    for (key, question, _) in QUESTIONS {
        if answers.given.iter().any(|given| given == key) {
            continue;
        }
        if let Some((_, value)) = answers.keys.iter_mut().find(|(known, _)| known == key) {
            *value = answer(question, value, from, to)?;
        }
        if key == "site.url" {
            answers.settle();
        }
    }
    if !answers.is_priced {
        answers.currency = answer("Currency (ISO 4217)", &answers.currency, from, to)?.to_ascii_lowercase();
        answers.monthly = amount("A month costs, in minor units (700: 7.00)", answers.monthly, from, to)?;
        let annual = answers.monthly.saturating_mul(MONTHS_OF_A_YEAR);
        answers.annual = amount("A year costs (0: not sold)", annual, from, to)?;
    }
    Ok(())
}

fn amount(question: &str, default: u32, from: &mut impl BufRead, to: &mut impl Write) -> Result<u32> {
    loop {
        match answer(question, &default.to_string(), from, to)?.parse() {
            Ok(amount) => return Ok(amount),
            Err(_) => writeln!(to, "that is no whole number").context("the terminal cannot be written to")?,
        }
    }
}

fn answer(question: &str, default: &str, from: &mut impl BufRead, to: &mut impl Write) -> Result<String> {
    write!(to, "{question} [{default}]: ").and_then(|()| to.flush()).context("the terminal cannot be written to")?;
    let mut line = String::new();
    let read = from.read_line(&mut line).context("the terminal cannot be read")?;
    if read == 0 {
        bail!("the answers ended: nothing is written");
    }
    let line = line.trim();
    if line.len() > ANSWER_BYTES_MAX {
        bail!("the answer is longer than {ANSWER_BYTES_MAX} bytes: nothing is written");
    }
    Ok(if line.is_empty() { default.to_owned() } else { line.to_owned() })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn of(line: &[&str]) -> Answers {
        Answers::of(&Line::parse_from([&["init"][..], line].concat()).arguments)
    }

    fn value<'a>(answers: &'a Answers, key: &str) -> &'a str {
        answers.keys.iter().find(|(known, _)| known == key).map_or("", |(_, value)| value)
    }

    #[test]
    fn only_what_was_not_given_is_asked() {
        let mut answers = of(&["--set", "site.url=https://read.example", "--set", "log.requests=all"]);
        let mut said = Vec::new();
        ask(&mut answers, &mut "10.0.0.5:3000\n\n\nGBP\nmuch\n900\n0\n".as_bytes(), &mut said).expect("answered");
        assert_eq!(value(&answers, "site.url"), "https://read.example");
        assert_eq!(value(&answers, "site.upstream"), "10.0.0.5:3000");
        assert_eq!((value(&answers, "site.login_url"), value(&answers, "log.requests")), ("/login", "all"));
        assert_eq!((answers.currency.as_str(), answers.monthly, answers.annual), ("gbp", 900, 0));
        let said = String::from_utf8(said).expect("text");
        assert!(!said.contains("Public address") && said.contains("no whole number"), "{said}");
        assert!(said.contains("A year costs (0: not sold) [9000]"), "{said}");
    }

    #[test]
    fn answers_that_end_write_nothing() {
        let ended = ask(&mut of(&[]), &mut "https://read.example\n".as_bytes(), &mut Vec::new());
        assert!(ended.expect_err("they end").to_string().contains("nothing is written"));
        let long = format!("{}\n", "x".repeat(2000));
        assert!(ask(&mut of(&[]), &mut long.as_bytes(), &mut Vec::new()).is_err());
    }
}
