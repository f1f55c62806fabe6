//! The readings of a path: what else a server behind the gate may take it for. Express routes `/PAID` as `/paid`, Next.js serves
//! the page `/paid` at `/paid.rsc` too. Whatever a path may be read as has to satisfy the rule of that, too.

mod case;
mod framework;
mod languages;
mod raw;
mod short_names;

pub(crate) use self::case::{Case, folded};
pub use self::framework::{Framework, UnknownFramework};
pub use self::languages::Languages;
pub(crate) use self::raw::decoded;

use crate::target::Refusal;

/// How the site behind reads paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    /// Whether it tells `/Paid` from `/paid`.
    pub case_sensitive: bool,
    pub framework: Framework,
    /// In which languages it gives pages addresses of their own.
    pub languages: Languages,
}

impl Readings {
    /// The pages that the site may serve for this path and query, besides what it says by itself.
    ///
    /// # Errors
    /// When the path is a short name, of which nobody here knows the long one, or the query names no page that can be read.
    pub(crate) fn pages(&self, path: &str, query: Option<&str>) -> Result<Vec<String>, Refusal> {
        framework::pages(self.framework, &self.languages, path, query)
    }
}
