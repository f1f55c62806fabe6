//! The methods that may be asked with at all, before any rule is read.

use http::Method;

/// Why a method is refused with 405.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MethodRefusal {
    #[error("a method is written in capitals")]
    NotCapital,
    #[error("this method is not offered here")]
    NotOffered,
}

impl MethodRefusal {
    /// The stable code of this answer.
    pub const CODE: &'static str = "method_not_allowed";
}

/// Lets a method pass that means the same to everybody.
///
/// # Errors
/// For one that is not written in capitals: methods are case-sensitive (RFC 9110 section 9.1), so no rule for `GET` is
/// one for `get`, but many a server takes it for one. For `TRACE`, which would show a client the headers that the gate
/// wrote (section 9.3.8), and for `CONNECT`, as the gate opens no tunnels.
pub fn check_method(method: &Method) -> Result<(), MethodRefusal> {
    if matches!(*method, Method::TRACE | Method::CONNECT) {
        return Err(MethodRefusal::NotOffered);
    }
    let capital = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
    if method.as_str().bytes().all(capital) { Ok(()) } else { Err(MethodRefusal::NotCapital) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_pass_as_this_table_says() {
        use MethodRefusal::{NotCapital, NotOffered};
        let cases = [
            ("GET", Ok(())),
            ("OPTIONS", Ok(())),
            ("PROPFIND", Ok(())),
            ("M-SEARCH", Ok(())),
            ("get", Err(NotCapital)),
            ("Get", Err(NotCapital)),
            ("GET2", Err(NotCapital)),
            ("G_T", Err(NotCapital)),
            ("trace", Err(NotCapital)),
            ("TRACE", Err(NotOffered)),
            ("CONNECT", Err(NotOffered)),
        ];
        for (text, expected) in cases {
            let method = Method::from_bytes(text.as_bytes()).expect("a token");
            assert_eq!(check_method(&method), expected, "{text}");
        }
    }
}
