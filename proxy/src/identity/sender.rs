//! A request, as far as it identifies its sender.

use std::net::IpAddr;

use http::HeaderMap;

use crate::clock::Moment;
use crate::forwarded::Origin;

/// A request, as far as it identifies its sender.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sender<'a> {
    pub(crate) headers: &'a HeaderMap,
    /// Its connection. Without one no proxy in front is believed.
    pub(crate) origin: Option<Origin<'a>>,
    pub(crate) now: Moment,
}

impl Sender<'_> {
    /// The address of the client, as far as it is known.
    pub(super) fn client(&self) -> Option<IpAddr> {
        self.origin.and_then(|origin| origin.client(self.headers))
    }
}
