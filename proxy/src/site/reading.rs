//! The answers of a site as their bytes come: heads, data, trailers, and where they end.

use bytes::{Buf, Bytes, BytesMut};
use http::Method;
use pingora::http::ResponseHeader;
use pingora::{Error, ErrorType, Result, RetryType};

use super::framing::{self, Framing, invalid};
use crate::wire::chunks::{Chunks, Step};
use crate::wire::head::HeadEnd;

/// Longest head, and longest trailers, in bytes.
const HEAD_BYTES_MAX: usize = 1_048_575;
const TRAILER_BYTES_MAX: usize = 64 * 1024;

/// Most informational answers before the final one.
const INFORMATIONAL_MAX: u8 = 100;

/// What is read at once: of a head, and of a body.
const HEAD_READ: usize = 4 * 1024;
const BODY_READ: usize = 64 * 1024;

/// What comes next of an answer.
#[derive(Debug)]
pub(crate) enum Part {
    Head(Box<ResponseHeader>),
    Data(Bytes),
    /// Nothing more.
    End,
}

/// An answer of which bytes come.
pub(super) struct Reading {
    /// What was read and not parsed yet.
    pub(super) bytes: BytesMut,
    state: State,
    /// Whether the question was a HEAD.
    is_head: bool,
    /// Whether the site says that its connection stays.
    is_kept: bool,
    /// Heads that have come before the final one.
    informational: u8,
    /// The last head as it came; empty when it is to be written otherwise.
    raw: Bytes,
    trailers: BytesMut,
}

#[derive(Debug)]
enum State {
    Head(HeadEnd),
    Length(u64),
    Chunks(Chunks),
    UntilClose,
    Over,
}

impl Reading {
    pub(super) fn new(method: &Method) -> Self {
        Self {
            bytes: BytesMut::new(),
            state: State::Head(HeadEnd::default()),
            is_head: *method == Method::HEAD,
            is_kept: false,
            informational: 0,
            raw: Bytes::new(),
            trailers: BytesMut::new(),
        }
    }

    /// Whether all of it has come.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Whether its data come in chunks.
    pub(super) const fn is_in_chunks(&self) -> bool {
        matches!(self.state, State::Chunks(_))
    }

    /// Whether anything of it has come.
    pub(super) fn has_begun(&self) -> bool {
        !self.bytes.is_empty() || self.informational > 0 || !matches!(self.state, State::Head(_))
    }

    /// Whether another question may follow on the same connection: it is over, nothing has come behind it, and the site
    /// keeps its connection.
    pub(super) fn may_be_followed(&self) -> bool {
        self.is_over() && self.is_kept && self.bytes.is_empty()
    }

    /// The last head as it came, unless it is to be written otherwise.
    pub(super) fn take_raw(&mut self) -> Option<Bytes> {
        Some(std::mem::take(&mut self.raw)).filter(|raw| !raw.is_empty())
    }

    /// The lines behind the last chunk.
    pub(super) fn take_trailers(&mut self) -> BytesMut {
        std::mem::take(&mut self.trailers)
    }

    /// Makes room for what is read next.
    pub(super) fn reserve(&mut self) {
        let room = match self.state {
            State::Head(_) => HEAD_READ,
            State::Length(left) => usize::try_from(left).unwrap_or(BODY_READ).min(BODY_READ),
            _ => BODY_READ,
        };
        self.bytes.reserve(room);
    }

    /// What the bytes that are here are; none when more must come.
    pub(super) fn parse(&mut self) -> Result<Option<Part>> {
        match &mut self.state {
            State::Head(end) => {
                let Some(length) = end.find(&self.bytes) else { return self.begun().map(|()| None) };
                if length > HEAD_BYTES_MAX {
                    return Err(invalid("a head that is too long"));
                }
                let head = self.bytes.split_to(length).freeze();
                self.head(head).map(|head| Some(Part::Head(head)))
            }
            State::Over => Ok(Some(Part::End)),
            _ if self.bytes.is_empty() => Ok(None),
            State::UntilClose => Ok(Some(Part::Data(self.bytes.split().freeze()))),
            State::Length(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(self.bytes.len());
                *left -= count as u64;
                if *left == 0 {
                    self.state = State::Over;
                }
                Ok(Some(Part::Data(self.bytes.split_to(count).freeze())))
            }
            State::Chunks(_) => self.chunk(),
        }
    }

    /// Looks at a head of which only the beginning is here: what is none already is not waited for.
    fn begun(&self) -> Result<()> {
        if self.bytes.len() > HEAD_BYTES_MAX {
            return Err(invalid("a head that is too long"));
        }
        // Not again and again when it is long.
        if self.bytes.len() <= HEAD_READ { framing::begun(&self.bytes) } else { Ok(()) }
    }

    /// What a whole head says.
    fn head(&mut self, whole: Bytes) -> Result<Box<ResponseHeader>> {
        let (mut head, is_folded) = framing::head(&whole)?;
        let said = framing::said(&mut head, self.is_head)?;
        self.raw = if is_folded || said.is_changed { Bytes::new() } else { whole };
        if head.status.is_informational() {
            self.informational += 1;
            if self.informational > INFORMATIONAL_MAX {
                return Err(invalid("too many informational answers"));
            }
            self.state = State::Head(HeadEnd::default());
            return Ok(head);
        }
        self.is_kept = said.is_kept;
        self.state = match said.framing {
            Framing::None => State::Over,
            Framing::Chunks => State::Chunks(Chunks::default()),
            Framing::Length(length) => State::Length(length),
            Framing::UntilClose => State::UntilClose,
        };
        Ok(head)
    }

    /// The next data of a body in chunks, as far as it is here. When the last chunk stands behind it, all is over with it.
    fn chunk(&mut self) -> Result<Option<Part>> {
        let State::Chunks(chunks) = &mut self.state else { return Ok(None) };
        let mut data = None;
        while !self.bytes.is_empty() {
            let mut after = chunks.clone();
            let step = after.step(&self.bytes);
            if data.is_some() && matches!(step, Ok(Step::Data(_)) | Err(_)) {
                break;
            }
            *chunks = after;
            match step.map_err(|malformed| Error::because(ErrorType::InvalidHTTPHeader, "an answer", malformed))? {
                Step::Framing(count) => self.bytes.advance(count),
                Step::Data(count) => data = Some(self.bytes.split_to(count).freeze()),
                Step::Trailer(count) => self.trailers.extend_from_slice(&self.bytes.split_to(count)),
                Step::End(count) => {
                    self.bytes.advance(count);
                    self.state = State::Over;
                    return Ok(Some(data.map_or(Part::End, Part::Data)));
                }
            }
            if self.trailers.len() > TRAILER_BYTES_MAX {
                return Err(invalid("trailers that are too long"));
            }
        }
        Ok(data.map(Part::Data))
    }

    /// What it means that the site has closed its connection. What has begun to come is not asked for again: the site has
    /// read the question.
    pub(super) fn ended(&mut self) -> Result<Part> {
        match self.state {
            State::UntilClose => {
                self.state = State::Over;
                self.is_kept = false;
                Ok(Part::End)
            }
            State::Head(_) => {
                let mut error = Error::explain(ErrorType::ConnectionClosed, "before an answer");
                self.may_ask_again(&mut error);
                Err(error)
            }
            _ => Err(Error::explain(ErrorType::ConnectionClosed, "in the middle of an answer")),
        }
    }

    /// What it means that nothing can be read.
    pub(super) fn broken(&self, error: std::io::Error) -> Box<Error> {
        let mut error = Error::because(ErrorType::ReadError, "an answer", error);
        self.may_ask_again(&mut error);
        error
    }

    fn may_ask_again(&self, error: &mut Error) {
        if !self.has_begun() {
            error.retry = RetryType::ReusedOnly;
        }
    }
}
