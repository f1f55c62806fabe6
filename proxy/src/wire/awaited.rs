//! A body that is awaited before anything is done with it: a slow client then holds no connection to the site.
//!
//! It stays where it is, among the bytes that nobody has taken: whatever carries the request on reads it as if it had come
//! just then. What is found out here is only whether all of it is here, never where it ends.

use std::io::{Error, ErrorKind, Result as IoResult};
use std::task::{Context, Poll, ready};

use super::chunks::{Chunks, Malformed, Step};
use super::{Body, Wire};

/// Most bytes of framing that are kept for each byte of data that may come, and in all. One who sends more gets no more time.
const FRAMING_MAX: usize = 6;
const FRAMING_FREE: usize = 4 * 1024;

/// How far a body has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// More of it is awaited.
    More,
    Here,
    /// It is longer than what is awaited.
    Beyond,
}

/// A body that is awaited.
#[derive(Debug)]
pub(super) struct Awaited {
    /// Most bytes of data.
    max: usize,
    chunks: Chunks,
    /// Bytes that were looked at, and those of data among them.
    seen: usize,
    data: usize,
}

impl Awaited {
    fn new(max: usize) -> Self {
        Self { max, chunks: Chunks::default(), seen: 0, data: 0 }
    }

    /// Looks at what has come. Each byte is looked at once.
    fn look(&mut self, body: &Body, held: &[u8]) -> Result<Progress, Malformed> {
        match body {
            Body::Over => Ok(Progress::Here),
            Body::Length(left) if *left > self.max as u64 => Ok(Progress::Beyond),
            Body::Length(left) if held.len() as u64 >= *left => Ok(Progress::Here),
            Body::Length(_) => Ok(Progress::More),
            Body::Chunks(_) => self.look_at_chunks(held),
        }
    }

    fn look_at_chunks(&mut self, held: &[u8]) -> Result<Progress, Malformed> {
        while self.seen < held.len() {
            match self.chunks.step(&held[self.seen..])? {
                Step::End(_) if self.data <= self.max => return Ok(Progress::Here),
                Step::End(count) | Step::Framing(count) | Step::Trailer(count) => self.seen += count,
                Step::Data(count) => {
                    self.seen += count;
                    self.data += count;
                }
            }
            if self.data > self.max || self.seen - self.data > self.max.saturating_mul(FRAMING_MAX) + FRAMING_FREE {
                return Ok(Progress::Beyond);
            }
        }
        Ok(Progress::More)
    }
}

impl Wire {
    /// Begins to await the body of the request whose head was taken, if it is not here yet and may have no more than `max`
    /// bytes. Until [`Self::awaits_body`] says no, whatever reads gets nothing, after each part that has come.
    ///
    /// # Errors
    /// When what has come of it is malformed.
    pub(crate) fn await_body(&self, max: usize) -> Result<Progress, Malformed> {
        let mut told = self.told.lock();
        let mut awaited = Awaited::new(max);
        let progress = awaited.look(&told.body, &self.held)?;
        told.awaited = (progress == Progress::More).then_some(awaited);
        Ok(progress)
    }

    /// Whether more of the body is awaited.
    pub(crate) fn awaits_body(&self) -> bool {
        self.told.lock().awaited.is_some()
    }

    /// Reads more of a body that is awaited.
    pub(super) fn poll_awaited(&mut self, context: &mut Context<'_>) -> Poll<IoResult<()>> {
        ready!(self.poll_more(context))?;
        let told = self.told.get_mut();
        let Some(mut awaited) = told.awaited.take() else { return Poll::Ready(Ok(())) };
        if self.has_ended {
            return Poll::Ready(Err(ErrorKind::UnexpectedEof.into()));
        }
        let progress = awaited.look(&told.body, &self.held);
        if progress.map_err(|malformed| Error::new(ErrorKind::InvalidData, malformed))? == Progress::More {
            told.awaited = Some(awaited);
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How far bodies of so many bytes, in pieces of any length, have come when all of it is here.
    fn progress(body: &Body, bytes: &[u8], max: usize) -> Result<Progress, Malformed> {
        let each = [1, 3, 1000, bytes.len().max(1)].map(|piece| {
            let mut awaited = Awaited::new(max);
            let mut last = awaited.look(body, b"");
            for end in (0..=bytes.len()).step_by(piece).chain([bytes.len()]) {
                match last {
                    Ok(Progress::More) => last = awaited.look(body, &bytes[..end]),
                    _ => break,
                }
            }
            last
        });
        assert!(each.iter().all(|one| *one == each[0]), "{each:?}");
        each[0]
    }

    #[test]
    fn a_body_is_awaited_up_to_the_bound() {
        use Progress::{Beyond, Here, More};
        let chunks = || Body::Chunks(Chunks::default());
        let cases = [
            (Body::Over, "", 10, Here),
            (Body::Length(10), "0123456789", 10, Here),
            (Body::Length(10), "012345678", 10, More),
            (Body::Length(10), "0123456789GET / HTTP/1.1", 10, Here),
            (Body::Length(11), "", 10, Beyond),
            (Body::Length(1), "", 0, Beyond),
            (chunks(), "", 10, More),
            (chunks(), "5\r\n01234\r\n", 10, More),
            (chunks(), "5\r\n01234\r\n5\r\n56789\r\n0\r\n", 10, More),
            (chunks(), "5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n", 10, Here),
            (chunks(), "5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\nGET", 10, Here),
            (chunks(), "5\r\n01234\r\n6\r\n567890", 10, Beyond),
            (chunks(), "0\r\n\r\n", 0, Here),
            (chunks(), "1\r\na", 0, Beyond),
        ];
        for (body, bytes, max, expected) in cases {
            assert_eq!(progress(&body, bytes.as_bytes(), max), Ok(expected), "{bytes:?} of {max}");
        }
        assert!(progress(&chunks(), b"5\nhello", 10).is_err());
        let padded = format!("1;{}\r\na\r\n", "x".repeat(1000)).repeat(10);
        assert_eq!(progress(&chunks(), padded.as_bytes(), 100), Ok(Beyond), "framing is bounded, too");
        let single = "1\r\na\r\n".repeat(65_536);
        assert_eq!(progress(&chunks(), single.as_bytes(), 65_536), Ok(More), "the smallest chunks are no attack");
    }
}
