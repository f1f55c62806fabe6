//! Texts of the pages with values in them: those of the gate and those of billing are filled in alike.

/// Puts values in the place of `{names}`. A value is never looked into, so it cannot bring names of its own.
#[must_use]
pub fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let known = after.split_once('}').and_then(|(name, after)| {
            let (_, value) = values.iter().find(|(known, _)| *known == name)?;
            Some((value, after))
        });
        match known {
            Some((value, after)) => {
                filled.push_str(value);
                rest = after;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_filled_in_once() {
        let values = [("days", "{tier}"), ("tier", "Paid")];
        for (text, expected) in [
            ("{days} of {tier}", "{tier} of Paid"),
            ("{unknown} {tier}", "{unknown} Paid"),
            ("a { b {tier", "a { b {tier"),
            ("{{tier}}", "{Paid}"),
            ("", ""),
        ] {
            assert_eq!(fill(text, &values), expected, "{text}");
        }
    }
}
