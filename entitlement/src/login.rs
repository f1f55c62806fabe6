//! Where a user signs in, and how the way back is told there.

/// The longest name of the parameter, in bytes.
const PARAMETER_BYTES_MAX: usize = 64;

/// The login page of a site: one of its own, or one on another host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    address: String,
    /// The text before the way back.
    before: String,
}

/// A login page that no browser can be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    #[error(
        "must be a path on the site, such as \"/login\", or the page of another host, such as \"https://accounts.example/sign-in\""
    )]
    Address,
    #[error("must be the name of a parameter, such as \"next\" or \"redirect_url\": letters, digits, '-', '.' and '_'")]
    Parameter,
}

impl Login {
    /// A page at `address`, a path or a URL, that learns from `parameter` where a user goes on: a path of the site, or, on
    /// another host, a whole address of `site`, which is an origin.
    ///
    /// # Errors
    /// When no browser could be sent there.
    pub fn new(address: &str, parameter: &str, site: &str) -> Result<Self, LoginError> {
        let is_own = address.starts_with('/');
        let is_path = is_own && !address.starts_with("//") && !address.contains('?');
        let elsewhere = ["https://", "http://"].iter().find_map(|scheme| address.strip_prefix(scheme));
        let is_url = elsewhere.is_some_and(|rest| {
            let host = rest.split(['/', '?']).next().unwrap_or_default();
            !host.is_empty() && !host.contains('@')
        });
        let is_plain = address.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\#\"<>".contains(&byte));
        if !is_plain || !(is_path || is_url) {
            return Err(LoginError::Address);
        }
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if parameter.is_empty() || parameter.len() > PARAMETER_BYTES_MAX || !parameter.bytes().all(is_name) {
            return Err(LoginError::Parameter);
        }
        let mark = match address.find('?') {
            None => "?",
            Some(at) if at + 1 == address.len() || address.ends_with('&') => "",
            Some(_) => "&",
        };
        let site = if is_own { String::new() } else { encoded(site.trim_end_matches('/')) };
        Ok(Self { address: address.to_owned(), before: format!("{address}{mark}{parameter}={site}") })
    }

    /// The page without a way back.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The page with the way back: a path of the site with its query, encoded for a query.
    #[must_use]
    pub fn leading_back(&self, path: &str) -> String {
        format!("{}{path}", self.before)
    }
}

impl Default for Login {
    /// `/login?next=`.
    fn default() -> Self {
        Self { address: "/login".to_owned(), before: "/login?next=".to_owned() }
    }
}

/// An origin, encoded for a query (RFC 3986 section 2.1).
fn encoded(origin: &str) -> String {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let one = |byte: u8| if unreserved(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    origin.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_is_a_path_here_and_an_address_elsewhere() {
        let cases = [
            ("/login", "next", "/login?next=%2Fa"),
            ("/sign/in", "return_to", "/sign/in?return_to=%2Fa"),
            (
                "https://id.example/in",
                "redirect_url",
                "https://id.example/in?redirect_url=https%3A%2F%2Fread.example%2Fa",
            ),
            ("https://id.example/in?app=1", "next", "https://id.example/in?app=1&next=https%3A%2F%2Fread.example%2Fa"),
            ("https://id.example?", "next", "https://id.example?next=https%3A%2F%2Fread.example%2Fa"),
            ("http://localhost:3000/in", "next", "http://localhost:3000/in?next=https%3A%2F%2Fread.example%2Fa"),
        ];
        for (address, parameter, expected) in cases {
            let login = Login::new(address, parameter, "https://read.example/").expect(address);
            assert_eq!((login.address(), login.leading_back("%2Fa").as_str()), (address, expected));
        }
        let port = Login::new("https://id.example/", "next", "http://127.0.0.1:8080").expect("a page");
        assert_eq!(port.leading_back("%2F"), "https://id.example/?next=http%3A%2F%2F127.0.0.1%3A8080%2F");
    }

    #[test]
    fn what_no_browser_could_be_sent_to_is_refused() {
        let addresses = [
            "",
            "login",
            "//id.example/in",
            "/in#here",
            "/in?a=b",
            "/a\\b",
            "/a b",
            "/ä",
            "javascript:alert(1)",
            "https://",
            "https:///in",
            "https://user@id.example/in",
            "https://id.example/in#here",
            "ftp://id.example/",
            "/a\"b",
        ];
        for address in addresses {
            assert_eq!(Login::new(address, "next", "https://read.example"), Err(LoginError::Address), "{address}");
        }
        for parameter in ["", "a b", "a=b", "a&b", "ä", &"x".repeat(65)] {
            assert_eq!(Login::new("/in", parameter, ""), Err(LoginError::Parameter), "{parameter}");
        }
    }
}
