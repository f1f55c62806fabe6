//! Letter case as servers fold it that do not tell `/Paid-É` from `/paid-é`: ASP.NET, regular expressions with `i`, the disks of
//! Windows and macOS. Each letter by itself: what would become several letters stays.

/// A text in which all letters that these servers take for one are one.
pub(super) fn fold(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.chars().map(folded).collect() }
}

/// What would become a letter of ASCII stays: such a path is refused where it matters ([`crate::readings::folded`]).
fn folded(letter: char) -> char {
    let folded = lower(upper(letter));
    if folded.is_ascii() == letter.is_ascii() { folded } else { letter }
}

/// By way of the capital: `ς` and `σ` have one.
fn upper(letter: char) -> char {
    let mut letters = letter.to_uppercase();
    match (letters.next(), letters.next()) {
        (Some(upper), None) => upper,
        _ => letter,
    }
}

fn lower(letter: char) -> char {
    let mut letters = letter.to_lowercase();
    match (letters.next(), letters.next()) {
        (Some(lower), None) => lower,
        _ => letter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_a_server_takes_for_one_are_one() {
        for (one, other) in [
            ("PAID", "paid"),
            ("PAID-É", "paid-é"),
            ("СТАТЬИ", "статьи"),
            ("ΟΔΟΣ", "οδος"),
            ("οδος", "οδοσ"),
            ("ŒUVRE", "œuvre"),
            ("ẞ", "ß"),
            ("Ǆ", "ǅ"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
        for (one, other) in
            [("paid-é", "paid-e"), ("paid-é", "paid-è"), ("ss", "ß"), ("日", "月"), ("ı", "i"), ("\u{212a}", "k")]
        {
            assert_ne!(fold(one), fold(other), "{one} {other}");
        }
    }
}
