//! A connection to a site that was asked, and what it answers, part by part.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Method;
use pingora::protocols::Stream;
use pingora::time::timeout;
use pingora::{Error, ErrorType, Result};
use tokio::io::{AsyncRead, AsyncReadExt};

pub(crate) use super::reading::Part;
use super::reading::Reading;
use crate::upstream;

/// The answer on a connection.
pub(crate) struct Answer<S = Stream> {
    stream: S,
    reading: Reading,
    /// How long the site may be silent.
    patience: Option<Duration>,
}

impl<S: AsyncRead + Unpin> Answer<S> {
    /// The answer on a connection on which a request was sent.
    pub(crate) fn new(stream: S, method: &Method, patience: Option<Duration>) -> Self {
        Self { stream, reading: Reading::new(method), patience }
    }

    /// Whether all of it has come.
    pub(crate) const fn is_over(&self) -> bool {
        self.reading.is_over()
    }

    /// The lines behind the last chunk.
    pub(crate) fn take_trailers(&mut self) -> BytesMut {
        self.reading.take_trailers()
    }

    /// The connection, when it can be used again.
    pub(crate) fn into_idle(self) -> Option<S> {
        self.reading.may_be_followed().then_some(self.stream)
    }

    /// The connection, and what has come behind the last head.
    pub(crate) fn into_parts(self) -> (S, Bytes) {
        // Nothing is left behind that would hold what was parsed.
        (self.stream, Bytes::copy_from_slice(&self.reading.bytes))
    }

    /// The next part. Nothing is lost when it is not awaited to its end.
    pub(crate) async fn next(&mut self) -> Result<Part> {
        loop {
            if let Some(part) = self.reading.parse()? {
                return Ok(part);
            }
            self.reading.reserve();
            let read = self.stream.read_buf(&mut self.reading.bytes);
            let read = match self.patience {
                Some(patience) => {
                    timeout(patience, read).await.map_err(|_| Error::explain(ErrorType::ReadTimedout, "an answer"))?
                }
                None => read.await,
            };
            if read.map_err(|error| self.reading.broken(error))? == 0 {
                return self.reading.ended();
            }
        }
    }
}

impl Answer {
    /// Whether the site, which has closed its connection, cannot have read any of the question's bytes, so many of them.
    pub(crate) fn is_unheard(&self, question: usize) -> bool {
        !self.reading.has_begun() && upstream::is_unheard(&self.stream, question)
    }
}
