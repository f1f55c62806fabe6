//! The chunked transfer coding (RFC 9112 section 7.1), piece by piece: which of the bytes that come are framing, data or
//! trailers, and where a body ends.
//!
//! It is strict: a line ends with CRLF, in chunk extensions too. A server that takes a bare line feed for the end of a line
//! finds another chunk there than one that does not.

/// Most digits of a chunk's size: more would not fit into 64 bits.
const DIGITS_MAX: u8 = 16;

/// A body is not in chunks as its head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a chunk is malformed")]
pub struct Malformed;

/// What the next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many bytes of framing.
    Framing(usize),
    /// So many bytes of data.
    Data(usize),
    /// So many bytes of trailer lines, with their line ends.
    Trailer(usize),
    /// So many bytes of framing, and with them the body is over.
    End(usize),
}

/// Where in a body the next byte belongs.
#[derive(Clone, Debug)]
pub struct Chunks(State);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size {
        digits: u8,
        size: u64,
    },
    /// Blanks behind the size, which some senders pad with.
    Space(u64),
    Extension(u64),
    SizeLineFeed(u64),
    Data(u64),
    DataReturn,
    DataLineFeed,
    /// At the beginning of a line behind the last chunk.
    TrailerStart,
    Trailer,
    TrailerLineFeed,
    EndLineFeed,
    Over,
}

const START: State = State::Size { digits: 0, size: 0 };

impl Default for Chunks {
    fn default() -> Self {
        Self(START)
    }
}

impl Chunks {
    /// Whether a chunk may begin here.
    #[must_use]
    pub fn is_between(&self) -> bool {
        self.0 == START
    }

    /// What the first of these bytes are. To be asked again about the rest.
    ///
    /// # Errors
    /// When they cannot stand there.
    pub fn step(&mut self, bytes: &[u8]) -> Result<Step, Malformed> {
        match self.0 {
            State::Data(left) => return Ok(self.data(left, bytes.len())),
            State::TrailerStart if !matches!(bytes.first(), None | Some(b'\r')) => return self.trailer(bytes),
            State::Trailer | State::TrailerLineFeed => return self.trailer(bytes),
            _ => {}
        }
        for (at, byte) in bytes.iter().enumerate() {
            self.0 = next(self.0, *byte)?;
            match self.0 {
                State::Data(_) | State::TrailerStart => return Ok(Step::Framing(at + 1)),
                State::Over => return Ok(Step::End(at + 1)),
                _ => {}
            }
        }
        Ok(Step::Framing(bytes.len()))
    }

    fn data(&mut self, left: u64, here: usize) -> Step {
        let taken = usize::try_from(left).map_or(here, |left| left.min(here));
        let left = left - taken as u64;
        self.0 = if left == 0 { State::DataReturn } else { State::Data(left) };
        Step::Data(taken)
    }

    /// To the end of a trailer's line, or of what has come of it.
    fn trailer(&mut self, bytes: &[u8]) -> Result<Step, Malformed> {
        for (at, byte) in bytes.iter().enumerate() {
            self.0 = match (self.0, byte) {
                (State::TrailerLineFeed, b'\n') => {
                    self.0 = State::TrailerStart;
                    return Ok(Step::Trailer(at + 1));
                }
                (State::Trailer, b'\r') => State::TrailerLineFeed,
                (State::TrailerLineFeed, _) | (_, b'\r' | b'\n' | 0) => return Err(Malformed),
                _ => State::Trailer,
            };
        }
        Ok(Step::Trailer(bytes.len()))
    }

    /// How many of these bytes belong to the body, and whether it ends with them.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn advance(&mut self, bytes: &[u8]) -> Result<(usize, bool), Malformed> {
        let mut used = 0;
        while used < bytes.len() {
            match self.step(&bytes[used..])? {
                Step::Framing(count) | Step::Data(count) | Step::Trailer(count) => used += count,
                Step::End(count) => return Ok((used + count, true)),
            }
        }
        Ok((used, false))
    }
}

/// The state behind one byte of framing.
fn next(state: State, byte: u8) -> Result<State, Malformed> {
    use State::{DataLineFeed, DataReturn, EndLineFeed, Extension, Over, Size, SizeLineFeed, Space, TrailerStart};
    let digit = (byte as char).to_digit(16).map(u64::from);
    match (state, byte) {
        (Size { digits, size }, _) if digits < DIGITS_MAX && digit.is_some() => {
            Ok(Size { digits: digits + 1, size: size << 4 | digit.unwrap_or_default() })
        }
        (Size { digits: 1.., size } | Space(size), b' ' | b'\t') => Ok(Space(size)),
        (Size { digits: 1.., size } | Space(size), b';') => Ok(Extension(size)),
        (Size { digits: 1.., size } | Space(size) | Extension(size), b'\r') => Ok(SizeLineFeed(size)),
        (Extension(size), b'\t' | b' '..=b'~' | 0x80..) => Ok(Extension(size)),
        (SizeLineFeed(0), b'\n') => Ok(TrailerStart),
        (SizeLineFeed(size), b'\n') => Ok(State::Data(size)),
        (DataReturn, b'\r') => Ok(DataLineFeed),
        (DataLineFeed, b'\n') => Ok(START),
        (TrailerStart, b'\r') => Ok(EndLineFeed),
        (EndLineFeed, b'\n') => Ok(Over),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The data, the trailers, and how many bytes belong to the body.
    type Read = (Vec<u8>, Vec<u8>, Option<usize>);

    /// What is read of these bytes when they come in pieces of this length.
    fn read(bytes: &[u8], piece: usize) -> Result<Read, Malformed> {
        let (mut chunks, mut data, mut trailers, mut used) = (Chunks::default(), Vec::new(), Vec::new(), 0);
        for piece in bytes.chunks(piece) {
            let mut rest = piece;
            while !rest.is_empty() {
                let count = match chunks.step(rest)? {
                    Step::Framing(count) => count,
                    Step::Data(count) => {
                        data.extend(&rest[..count]);
                        count
                    }
                    Step::Trailer(count) => {
                        trailers.extend(&rest[..count]);
                        count
                    }
                    Step::End(count) => return Ok((data, trailers, Some(used + count))),
                };
                used += count;
                rest = &rest[count..];
            }
        }
        Ok((data, trailers, None))
    }

    #[test]
    fn bodies_are_read_as_this_table_says() {
        let whole: [(&str, &str, &str); 8] = [
            ("0\r\n\r\n", "", ""),
            ("5\r\nhello\r\n0\r\n\r\n", "hello", ""),
            ("3\r\nabc\r\n002\r\nde\r\n000\r\n\r\n", "abcde", ""),
            ("5 \t ;a=b\r\nhello\r\n0;c\r\n\r\n", "hello", ""),
            ("5;a=\"\u{e9}\"\r\nhello\r\n0\r\n\r\n", "hello", ""),
            ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n", ""),
            ("1\r\na\r\n0\r\nX: y\r\nZ:\r\n\r\n", "a", "X: y\r\nZ:\r\n"),
            ("A\r\n0123456789\r\n0\r\n\r\n", "0123456789", ""),
        ];
        for (body, data, trailers) in whole {
            for piece in 1..=body.len() + 4 {
                let bytes = format!("{body}GET ");
                let expected = (data.as_bytes().to_vec(), trailers.as_bytes().to_vec(), Some(body.len()));
                assert_eq!(read(bytes.as_bytes(), piece), Ok(expected), "{body:?} in pieces of {piece}");
            }
            for cut in 0..body.len() {
                let (.., end) = read(&body.as_bytes()[..cut], 3).expect("nothing wrong so far");
                assert_eq!(end, None, "{body:?} cut at {cut}");
            }
        }
        let malformed = [
            "5;\nhello\r\n0\r\n\r\n",
            "5;a\nhello\r\n0\r\n\r\n",
            "5;a\rb\r\nhello\r\n0\r\n\r\n",
            "5;\0\r\nhello\r\n0\r\n\r\n",
            "5\nhello\n0\n\n",
            "\r\n\r\n",
            ";a\r\n",
            " 5\r\nhello",
            "5 5\r\nhello",
            "0x5\r\nhello",
            "-5\r\nhello",
            "5\r\nhello0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "FFFFFFFFFFFFFFFF1\r\nhello",
            "0\r\nX: y\n\r\n",
            "0\r\nX: y\rz\r\n\r\n",
            "0\r\n\n",
        ];
        for body in malformed {
            for piece in 1..=body.len() {
                assert_eq!(read(body.as_bytes(), piece), Err(Malformed), "{body:?} in pieces of {piece}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..5), piece in 1_usize..50) {
            let mut body = Vec::new();
            for part in &parts {
                body.extend(format!("{:x}\r\n", part.len()).into_bytes());
                body.extend(part);
                body.extend(b"\r\n");
            }
            body.extend(b"0\r\n\r\n");
            let expected = (parts.concat(), Vec::new(), Some(body.len()));
            prop_assert_eq!(read(&body, piece), Ok(expected));
        }
    }
}
