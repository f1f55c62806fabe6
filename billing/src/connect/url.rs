//! What can be wrong with the URL of a database, told without showing a piece of it.

use super::ConnectError;

/// What the URL of a Postgres database begins with.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// Looks for what a parser would take for something else: `name` is the variable that holds the URL.
///
/// # Errors
/// When it is no URL of a Postgres database, or its password has a character that ends the part of a URL where a password stands.
pub(super) fn check(name: &'static str, url: &str) -> Result<(), ConnectError> {
    let rest = SCHEMES.iter().find_map(|scheme| url.strip_prefix(scheme)).ok_or(ConnectError::DatabaseUrl { name })?;
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = before_query.split_once('/').unwrap_or((before_query, ""));
    let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if host.starts_with(['.', '-']) || host.contains("..") {
        return Err(ConnectError::DatabaseUrl { name });
    }
    // User and password end with the last `@` of the authority (RFC 3986 section 3.2), which a `/`, `?` or `#` in them cuts short: then
    // the `@` before the host stands where none is expected.
    let parameter = query.split_once('@').is_none_or(|(before, _)| before.contains('='));
    let is_cut = rest.contains('#') || path.contains('@') || !parameter;
    if is_cut || login.contains(['@', ' ']) || !is_encoded(login) {
        return Err(ConnectError::Encoding { name });
    }
    Ok(())
}

/// Whether each `%` begins an encoded byte.
fn is_encoded(text: &str) -> bool {
    let mut parts = text.split('%');
    parts.next();
    parts.all(|part| part.as_bytes().get(..2).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_is_not_encoded_is_told_from_a_url_that_is_none() {
        const ENCODING: Option<&str> = Some("percent-encoded");
        let cases = [
            ("postgres://u:p@h/db", None),
            ("postgres://u:p@h:5432/db?sslmode=require", None),
            ("postgresql://u@h", None),
            ("postgres:///db?host=/tmp&user=a@b", None),
            ("postgres://h:5432/db?user=a@b", None),
            ("postgres://u:p%40%2f@h/db", None),
            ("postgres://u:p/w@h/db", ENCODING),
            ("postgres://u:p#w@h/db", ENCODING),
            ("postgres://u:p?w@h/db", ENCODING),
            ("postgres://u:p@w@h/db", ENCODING),
            ("postgres://u:p w@h/db", ENCODING),
            ("postgres://u:p%w@h/db", ENCODING),
            ("postgres://u:p%@h/db", ENCODING),
            ("postgres://u:12/34@h/db", ENCODING),
            ("postgres://u:12?34@h/db", ENCODING),
            ("postgres://u:12#34@h/db", ENCODING),
            ("postgres://u:a@b/c@h/db", ENCODING),
            ("mysql://u:p@h/db", Some("not the URL")),
            ("u:p@h/db", Some("not the URL")),
            ("postgres://u:p@h..x/db", Some("not the URL")),
            ("postgres://-h/db", Some("not the URL")),
        ];
        for (url, expected) in cases {
            let told = check("DATABASE_URL", url).err().map(|error| error.to_string());
            assert_eq!(told.is_some(), expected.is_some(), "{url}: {told:?}");
            let expected = expected.unwrap_or_default();
            assert!(told.unwrap_or_default().contains(expected), "{url}");
        }
    }
}
