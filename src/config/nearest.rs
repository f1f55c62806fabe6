//! The known name that somebody may have meant, named only where it is near: a far one sends people astray.

/// How alike two names must be, from 0 to 1 (Jaro).
const ALIKE: f64 = 0.8;

/// The known name that is most like an unknown one, if any is like it.
pub fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |name: &str| strsim::jaro(unknown, name);
    let best = known.max_by(|one, other| likeness(one).total_cmp(&likeness(other)))?;
    (likeness(best) >= ALIKE).then_some(best)
}

/// `: did you mean …?` where a known name is near, else nothing.
pub fn hint<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(unknown, known).map(|known| format!(": did you mean `{known}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_that_is_near_is_named() {
        let known = ["upstream", "url", "login_url", "pricing_url"];
        for (unknown, expected) in
            [("upsteam", Some("upstream")), ("pricing_ur", Some("pricing_url")), ("ulr", Some("url")), ("colour", None)]
        {
            assert_eq!(nearest(unknown, known.into_iter()), expected, "{unknown}");
        }
        assert_eq!(hint("x", [].into_iter()), "");
    }
}
