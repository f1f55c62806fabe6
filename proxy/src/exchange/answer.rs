//! The answer of a site that speaks HTTP/1: its heads, its body, its trailers, and whether its connection can be used again.
//!
//! It reads as Pingora's client does, with which a test compares it, and differs where that drops something: trailers pass,
//! every `Connection` line counts, and no connection is used again on which a byte may still come.

use std::mem::MaybeUninit;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode, Version};
use httparse::{ParserConfig, Status};
use pingora::http::{ResponseHeader, header_value_from_raw};
use pingora::protocols::Stream;
use pingora::time::timeout;
use pingora::{Error, ErrorType, Result, RetryType};
use tokio::io::AsyncReadExt;

use crate::headers::hop;
use crate::upstream;
use crate::wire::chunks::{Chunks, Step};
use crate::wire::head::HeadEnd;

/// Longest head, and longest trailers, in bytes.
const HEAD_BYTES_MAX: usize = 1_048_575;
const TRAILER_BYTES_MAX: usize = 64 * 1024;

/// Most headers.
const HEADERS_MAX: usize = 256;

/// What is read at once: of a head, and of a body.
const HEAD_READ: usize = 4 * 1024;
const BODY_READ: usize = 64 * 1024;

/// A connection to a site that was asked, and what it answers.
pub(super) struct Answer {
    stream: Stream,
    /// What was read and not parsed yet.
    bytes: BytesMut,
    state: State,
    /// How long the site may be silent.
    patience: Option<Duration>,
    /// The question's.
    is_head: bool,
    /// Whether the site says that its connection stays.
    is_kept: bool,
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

/// What comes next of an answer.
#[derive(Debug)]
pub(super) enum Part {
    Head(Box<ResponseHeader>),
    Data(Bytes),
    /// Nothing more.
    End,
}

impl Answer {
    /// The answer on a connection on which a request was sent.
    pub(super) fn new(stream: Stream, method: &Method, patience: Option<Duration>) -> Self {
        Self {
            stream,
            bytes: BytesMut::new(),
            state: State::Head(HeadEnd::default()),
            patience,
            is_head: *method == Method::HEAD,
            is_kept: false,
            trailers: BytesMut::new(),
        }
    }

    /// Whether all of it has come.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// The lines behind the last chunk.
    pub(super) fn take_trailers(&mut self) -> BytesMut {
        std::mem::take(&mut self.trailers)
    }

    /// The connection, when it can be used again: the answer is over, nothing has come behind it, and the site keeps it.
    pub(super) fn into_idle(self) -> Option<Stream> {
        (self.is_over() && self.is_kept && self.bytes.is_empty()).then_some(self.stream)
    }

    /// Whether the site, which has closed its connection, cannot have read any of the question's bytes, so many of them.
    pub(super) fn is_unheard(&self, question: usize) -> bool {
        let has_answered = !self.bytes.is_empty() || !matches!(self.state, State::Head(_));
        !has_answered && upstream::is_unheard(&self.stream, question)
    }

    /// The next part. Nothing is lost when it is not awaited to its end.
    pub(super) async fn next(&mut self) -> Result<Part> {
        loop {
            if let Some(part) = self.parse()? {
                return Ok(part);
            }
            let room = match self.state {
                State::Head(_) => HEAD_READ,
                State::Length(left) => usize::try_from(left).unwrap_or(BODY_READ).min(BODY_READ),
                _ => BODY_READ,
            };
            self.bytes.reserve(room);
            let read = self.stream.read_buf(&mut self.bytes);
            let read = match self.patience {
                Some(patience) => {
                    timeout(patience, read).await.map_err(|_| Error::explain(ErrorType::ReadTimedout, "an answer"))?
                }
                None => read.await,
            };
            if read.map_err(|error| self.broken(error))? == 0 {
                return self.ended();
            }
        }
    }

    /// What the bytes that are here are; none when more must come.
    fn parse(&mut self) -> Result<Option<Part>> {
        match &mut self.state {
            State::Head(end) => {
                let Some(length) = end.find(&self.bytes) else { return self.begun().map(|()| None) };
                let head = self.bytes.split_to(length).freeze();
                self.head(&head).map(|head| Some(Part::Head(head)))
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
        let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut []);
        if self.bytes.len() <= HEAD_READ
            && let Err(error) = parser().parse_response_with_uninit_headers(&mut parsed, &self.bytes, &mut headers)
        {
            return Err(Error::because(ErrorType::InvalidHTTPHeader, "a head", error));
        }
        Ok(())
    }

    /// What a whole head says.
    fn head(&mut self, whole: &Bytes) -> Result<Box<ResponseHeader>> {
        let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut []);
        match parser().parse_response_with_uninit_headers(&mut parsed, whole, &mut headers) {
            Ok(Status::Complete(length)) if length == whole.len() => {}
            Ok(_) => return Err(invalid("a head with two ends")),
            Err(error) => return Err(Error::because(ErrorType::InvalidHTTPHeader, "a head", error)),
        };
        let mut head = Box::new(ResponseHeader::build(parsed.code.unwrap_or_default(), Some(parsed.headers.len()))?);
        head.set_version(if parsed.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 });
        head.set_reason_phrase(parsed.reason)?;
        for header in parsed.headers.iter().filter(|header| !header.name.is_empty()) {
            let name = whole.slice_ref(header.name.as_bytes());
            let value = header_value_from_raw(whole.slice_ref(header.value));
            head.append_header(name, value)?;
        }
        self.begin(&mut head)?;
        Ok(head)
    }

    /// How the body behind a head is framed (RFC 9112 section 6.3).
    fn begin(&mut self, head: &mut ResponseHeader) -> Result<()> {
        if head.status.is_informational() {
            self.state = State::Head(HeadEnd::default());
            return Ok(());
        }
        let is_coded = head.headers.contains_key(TRANSFER_ENCODING);
        if is_coded {
            head.remove_header(&CONTENT_LENGTH);
        }
        let length = length(&head.headers)?;
        self.is_kept = stays(head) && !(is_coded && head.version == Version::HTTP_10);
        self.state = match (head.status, length) {
            // Some sites send the body that they announce.
            (StatusCode::NO_CONTENT, _) => {
                self.is_kept &= length.is_none() && !is_coded;
                State::Over
            }
            (StatusCode::NOT_MODIFIED, _) => State::Over,
            _ if self.is_head => State::Over,
            _ if is_coded && is_chunked(&head.headers) => State::Chunks(Chunks::default()),
            (_, Some(0)) => State::Over,
            (_, Some(length)) => State::Length(length),
            _ => State::UntilClose,
        };
        Ok(())
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

    /// What it means that the site has closed its connection.
    fn ended(&mut self) -> Result<Part> {
        match self.state {
            State::UntilClose => {
                self.state = State::Over;
                self.is_kept = false;
                Ok(Part::End)
            }
            State::Head(_) => {
                let mut error = Error::explain(ErrorType::ConnectionClosed, "before an answer");
                error.retry = RetryType::ReusedOnly;
                Err(error)
            }
            _ => Err(Error::explain(ErrorType::ConnectionClosed, "in the middle of an answer")),
        }
    }

    /// What it means that nothing can be read.
    fn broken(&self, error: std::io::Error) -> Box<Error> {
        let mut error = Error::because(ErrorType::ReadError, "an answer", error);
        if matches!(self.state, State::Head(_)) {
            error.retry = RetryType::ReusedOnly;
        }
        error
    }
}

/// As lenient as Pingora.
fn parser() -> ParserConfig {
    let mut parser = ParserConfig::default();
    parser.allow_spaces_after_header_name_in_responses(true);
    parser.allow_obsolete_multiline_headers_in_responses(true);
    parser
}

fn invalid(what: &'static str) -> Box<Error> {
    Error::explain(ErrorType::InvalidHTTPHeader, what)
}

/// The length in a head: one number, however often it is said.
fn length(headers: &HeaderMap) -> Result<Option<u64>> {
    let mut lengths =
        headers.get_all(CONTENT_LENGTH).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let Some(first) = lengths.next().map(<[u8]>::trim_ascii) else { return Ok(None) };
    let is_number = !first.is_empty() && first.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(first).ok().and_then(|digits| digits.parse::<u64>().ok()).filter(|_| is_number);
    let same = |other: &[u8]| {
        let other = other.trim_ascii();
        !other.is_empty()
            && other.iter().all(u8::is_ascii_digit)
            && std::str::from_utf8(other).ok().and_then(|digits| digits.parse().ok()) == number
    };
    match number {
        Some(number) if lengths.all(same) => Ok(Some(number)),
        _ => Err(invalid("a Content-Length that is not one number")),
    }
}

/// Whether chunks are the last coding.
fn is_chunked(headers: &HeaderMap) -> bool {
    let last = headers.get_all(TRANSFER_ENCODING).iter().next_back();
    let coding = last.and_then(|line| line.as_bytes().rsplit(|byte| *byte == b',').next());
    coding.is_some_and(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"chunked"))
}

/// Whether the site keeps its connection after this answer.
fn stays(head: &ResponseHeader) -> bool {
    let says = |token: &str| hop::tokens(&head.headers).any(|said| said.eq_ignore_ascii_case(token.as_bytes()));
    if head.version == Version::HTTP_11 { !says("close") } else { says("keep-alive") && !says("close") }
}
