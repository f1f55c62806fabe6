//! The short way and Pingora's own proxying side by side: the same bytes from a client and from a site, and whether the
//! same comes of them.
//!
//! An input is what the client sends, then the answers of the site, one for each request that reaches it, each behind a
//! `~`. A `|` ends a piece that is written by itself; a `!` at the end of an answer closes the connection behind it. A line
//! feed stands for CRLF, `^` for a bare line feed, `` ` `` for a bare CR, and `$` for the header line of an account that has
//! paid. When all is sent the client says no more, so that everything ends.

mod site;
mod transcript;

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use self::site::{Script, Site};
use self::transcript::{Seen, answers};
use super::world::{Billing, free, settings, start, token};
use crate::{Limits, Settings};

/// How long either side may be silent: what takes longer hangs.
const LIMIT: Duration = Duration::from_secs(20);

/// How long the site may be silent.
const SITE: Duration = Duration::from_millis(500);

/// Bytes of a head, so that a short input can be too long.
const HEADER_BYTES: usize = 1024;

/// What both sides say.
#[derive(Clone, Debug, Default)]
pub struct Case {
    segments: Vec<Vec<u8>>,
    answers: Vec<Script>,
}

impl Case {
    /// What an input means.
    #[must_use]
    pub fn parse(input: &[u8]) -> Self {
        let mut parts = input.split(|byte| *byte == b'~');
        let segments = pieces(parts.next().unwrap_or_default());
        let answers = parts.map(|part| match part.strip_suffix(b"!") {
            Some(part) => Script { pieces: pieces(part), closes: true },
            None => Script { pieces: pieces(part), closes: false },
        });
        Self { segments, answers: answers.collect() }
    }
}

fn pieces(part: &[u8]) -> Vec<Vec<u8>> {
    part.split(|byte| *byte == b'|').map(expanded).filter(|piece| !piece.is_empty()).collect()
}

fn expanded(piece: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(piece.len());
    for byte in piece {
        match byte {
            b'\n' => bytes.extend(b"\r\n"),
            b'^' => bytes.push(b'\n'),
            b'`' => bytes.push(b'\r'),
            b'$' => bytes.extend(format!("Authorization: Bearer {}\r\n", paid()).bytes()),
            other => bytes.push(*other),
        }
    }
    bytes
}

/// The token of an account that has paid. One for all: what reaches the site is compared.
fn paid() -> &'static str {
    static TOKEN: OnceLock<String> = OnceLock::new();
    TOKEN.get_or_init(|| token("payer"))
}

/// A gate, and the site behind it.
struct Way {
    gate: SocketAddr,
    site: Site,
}

impl Way {
    fn start(fast_path: bool) -> Self {
        let (gate, site, billing) = (free(), Site::start(), Arc::new(Billing::default()));
        billing.holds("payer", 1, "paid");
        let mut settings = settings(gate, vec![site.address], free());
        settings.upstream.read = SITE;
        let limits = Limits { header_bytes: HEADER_BYTES, ..Limits::default() };
        let (stop, _) = start(Settings { fast_path, limits, ..settings }, billing);
        // For as long as the process runs.
        std::mem::forget(stop);
        Self { gate, site }
    }

    /// What comes of a case.
    fn run(&self, case: &Case) -> Result<Seen, String> {
        self.site.play(&case.answers);
        let mut stream = TcpStream::connect(self.gate).map_err(|error| error.to_string())?;
        stream
            .set_nodelay(true)
            .and_then(|()| stream.set_read_timeout(Some(LIMIT)))
            .map_err(|error| error.to_string())?;
        for segment in &case.segments {
            // The gate may have answered and closed.
            if stream.write_all(segment).is_err() {
                break;
            }
            thread::yield_now();
        }
        let _ = stream.shutdown(Shutdown::Write);
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => bytes.extend(&buffer[..count]),
                Err(error) => return Err(format!("{error} after {:?}", String::from_utf8_lossy(&bytes))),
            }
        }
        Ok(Seen { answers: answers(&bytes), requests: self.site.requests() })
    }
}

/// Both ways.
pub struct Ways {
    short: Way,
    long: Way,
    /// One case at a time.
    turn: Mutex<()>,
}

impl Ways {
    /// The two of this process.
    pub fn get() -> &'static Self {
        static WAYS: OnceLock<Ways> = OnceLock::new();
        WAYS.get_or_init(|| Self { short: Way::start(true), long: Way::start(false), turn: Mutex::default() })
    }

    /// Whether the same comes of a case on both.
    ///
    /// # Errors
    /// With what differs.
    pub fn compare(&self, case: &Case) -> Result<Seen, String> {
        let _turn = self.turn.lock().map_err(|error| error.to_string())?;
        let (mut short, mut long) = (self.short.run(case), self.long.run(case));
        if let (Ok(one), Ok(other)) = (&short, &long)
            && let Some(at) = one.unanswered().into_iter().chain(other.unanswered()).min()
        {
            (short, long) = (short.map(|seen| seen.until(at)), long.map(|seen| seen.until(at)));
        }
        match (short, long) {
            (Ok(short), Ok(long)) if short == long => Ok(short),
            (short, long) => {
                let mut text = case_text(case);
                for (way, seen) in [("short", short), ("long", long)] {
                    let _ = match seen {
                        Ok(seen) => writeln!(text, "{way}: {}", seen.text()),
                        Err(error) => writeln!(text, "{way}: {error}"),
                    };
                }
                Err(text)
            }
        }
    }
}

fn case_text(case: &Case) -> String {
    let mut text = String::new();
    for segment in &case.segments {
        let _ = writeln!(text, "client: {:?}", String::from_utf8_lossy(segment));
    }
    for answer in &case.answers {
        for piece in &answer.pieces {
            let _ = writeln!(text, "site: {:?}", String::from_utf8_lossy(piece));
        }
        let _ = writeln!(text, "site: {}", if answer.closes { "closes" } else { "stays" });
    }
    text
}

#[cfg(test)]
mod random;
