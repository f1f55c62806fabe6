//! What stands around every page: the operator's name or logo, the way to the other pages, and what went wrong.

use entitlement::assertion::Claims;

use crate::Billing;
use crate::checkout::links;
use crate::pages::look::{Pages, fill};

/// The frame of a page.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    pub look: &'a Pages,
    /// The page's name, as its window shows it.
    pub title: String,
    /// The name of the page within Tollgate, when the frame links to it.
    pub here: &'static str,
    /// Where buyers choose.
    pub pricing_url: &'a str,
    /// The user who is signed in, and the account.
    pub signed_in: Option<String>,
    /// What went wrong, in words for the visitor.
    pub error: Option<String>,
    /// The way back to the site.
    pub back: String,
}

impl<'a> Frame<'a> {
    /// The frame of a page called `title`.
    pub fn new(billing: &'a Billing, look: &'a Pages, title: &str, here: &'static str) -> Self {
        Self::of(look, &billing.settings().pricing_url, title, here)
    }

    /// As [`Frame::new`], from its parts.
    pub fn of(look: &'a Pages, pricing_url: &'a str, title: &str, here: &'static str) -> Self {
        let back = fill(&look.texts.common.back, &[("site", &look.site_name)]);
        Self { look, title: title.to_owned(), here, pricing_url, signed_in: None, error: None, back }
    }

    /// The same for a visitor who is signed in.
    #[must_use]
    pub fn with_claims(mut self, claims: &Claims) -> Self {
        let texts = &self.look.texts.common;
        let account = claims.sub.as_str();
        self.signed_in = Some(match claims.user() {
            Some(user) => fill(&texts.signed_in_for, &[("user", user.as_str()), ("account", account)]),
            None => fill(&texts.signed_in, &[("account", account)]),
        });
        self
    }

    /// The same with what went wrong, which the window's name says too.
    #[must_use]
    pub fn with_error(mut self, error: Option<String>) -> Self {
        if error.is_some() {
            self.title = fill(&self.look.texts.errors.page, &[("title", &self.title)]);
        }
        self.error = error;
        self
    }

    /// The page of one's own plan.
    pub fn account_url(&self) -> String {
        self.look.own(links::ACCOUNT_PATH)
    }

    /// Whether search engines may show the page: what is sold is the same for everybody, and everything else is not.
    pub fn is_indexed(&self) -> bool {
        self.look.index && self.here == links::PRICING_PATH && self.error.is_none()
    }

    /// What search engines show of it.
    pub fn description(&self) -> &str {
        let told = &self.look.description;
        if told.is_empty() { &self.look.texts.pricing.lead } else { told }
    }

    /// The one address of the page, whatever else leads to it.
    pub fn canonical(&self) -> String {
        links::on_site(&self.look.site_url, &self.look.own(self.here))
    }

    /// Whether this is the page of that name.
    pub fn is_here(&self, name: &str) -> bool {
        self.here == name
    }
}
