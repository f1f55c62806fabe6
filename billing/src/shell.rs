//! Commands in messages, as they are copied into a shell.

use std::borrow::Cow;

/// A text as one word of a shell: ids of accounts may have signs that a shell reads otherwise.
#[must_use]
pub fn shell_word(text: &str) -> Cow<'_, str> {
    // Only a NUL fails, which no id has.
    shlex::try_quote(text).unwrap_or(Cow::Borrowed("''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_word_whatever_it_holds() {
        for (text, word) in
            [("user-1", "user-1"), ("auth0|9", "'auth0|9'"), ("$(touch x);y", "'$(touch x);y'"), ("it's", "\"it's\"")]
        {
            assert_eq!(shell_word(text), word);
        }
    }
}
