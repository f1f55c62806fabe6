//! What a client got, without what may differ: when it was, in which chunks it came, and how much came of what was cut off.

use crate::wire::chunks::{Chunks, Step};

/// What comes of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What the client got.
    pub answers: Vec<Answer>,
    /// What reached the site.
    pub requests: Vec<String>,
}

impl Seen {
    /// Where a later request got no answer of the site: on a connection that was used before, a request is sent once more or
    /// not, and each way has connections of its own.
    pub(super) fn unanswered(&self) -> Option<usize> {
        let is_failure = |answer: &Answer| answer.head[0].starts_with("HTTP/1.1 502");
        self.answers.iter().enumerate().skip(1).find(|(_, answer)| is_failure(answer)).map(|(at, _)| at)
    }

    /// What came before such a request.
    pub(super) fn until(mut self, at: usize) -> Self {
        self.answers.truncate(at);
        self.requests.truncate(1);
        self
    }

    /// One line for each answer and each request.
    pub(super) fn text(&self) -> String {
        let answers = self
            .answers
            .iter()
            .map(|answer| format!("\n  got {:?} {:?}", answer.head.join(" / "), (&answer.body, &answer.trailers)));
        answers.chain(self.requests.iter().map(|request| format!("\n  at the site {request:?}"))).collect()
    }
}

/// One head, and the body behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status line, then the headers in order of the alphabet.
    pub head: Vec<String>,
    /// None when it was cut off.
    pub body: Option<String>,
    /// The lines behind the last chunk.
    pub trailers: String,
}

/// Whether a connection stays depends on what the gate knows of the client at that moment.
const PASSING: [&str; 2] = ["date:", "connection:"];

/// The answers in these bytes.
pub(super) fn answers(bytes: &[u8]) -> Vec<Answer> {
    let (mut answers, mut rest) = (Vec::new(), bytes);
    while let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") {
        let text = String::from_utf8_lossy(&rest[..end]).into_owned();
        rest = &rest[end + 4..];
        let mut lines: Vec<String> = text.lines().skip(1).map(named).collect();
        lines.retain(|line| !PASSING.iter().any(|passing| line.starts_with(passing)));
        lines.sort();
        let first = text.lines().next().unwrap_or_default().to_owned();
        let (body, trailers, behind) = body(&first, &lines, rest);
        rest = behind;
        lines.insert(0, first);
        let body = body.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let trailers = String::from_utf8_lossy(&trailers).into_owned();
        answers.push(Answer { head: lines, body, trailers });
    }
    if !rest.is_empty() {
        answers.push(Answer { head: vec!["a head that is cut off".to_owned()], ..Answer::default() });
    }
    // Whether a client is told to send its body depends on whether that had come.
    answers.retain(|answer| !answer.head[0].starts_with("HTTP/1.1 100 "));
    // What comes before an answer that is refused is passed on, or refused with it: that depends on whether it came alone.
    for at in (1..answers.len()).rev() {
        let is_failure = answers[at].head[0].starts_with("HTTP/1.1 502") || answers[at].head[0].is_empty();
        if is_failure && answers[at - 1].head[0].starts_with("HTTP/1.1 1") {
            let failed = answers.remove(at);
            answers[at - 1] = failed;
        }
    }
    // What cannot be a request is answered, or closes the connection before: that depends on when it came.
    if answers.len() > 1 && answers.last().is_some_and(is_of_garbage) {
        answers.pop();
    }
    answers
}

/// A header line with its name in lower case.
fn named(line: &str) -> String {
    line.split_once(':').map_or_else(|| line.to_owned(), |(name, value)| format!("{}:{value}", name.to_lowercase()))
}

fn is_of_garbage(answer: &Answer) -> bool {
    let words = ["the request cannot be read", "header_too_large"];
    answer.body.as_deref().is_some_and(|body| words.iter().any(|word| body.contains(word)))
}

/// A body, its trailers, and what follows them.
type Read<'a> = (Option<Vec<u8>>, Vec<u8>, &'a [u8]);

/// What is behind a head.
fn body<'a>(first: &str, lines: &[String], rest: &'a [u8]) -> Read<'a> {
    let status = first.split(' ').nth(1).unwrap_or_default();
    if status.starts_with('1') || ["204", "304"].contains(&status) {
        return (Some(Vec::new()), Vec::new(), rest);
    }
    let value = |name: &str| lines.iter().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if value("transfer-encoding:").is_some() {
        return chunks(rest);
    }
    match value("content-length:").and_then(|length| length.parse::<usize>().ok()) {
        Some(length) if rest.len() >= length => (Some(rest[..length].to_vec()), Vec::new(), &rest[length..]),
        // Of a HEAD, or cut off.
        Some(_) if rest.is_empty() => (Some(Vec::new()), Vec::new(), rest),
        Some(_) => (None, Vec::new(), &[]),
        None => (Some(rest.to_vec()), Vec::new(), &[]),
    }
}

fn chunks(bytes: &[u8]) -> Read<'_> {
    let (mut chunks, mut data, mut trailers, mut rest) = (Chunks::default(), Vec::new(), Vec::new(), bytes);
    if rest.is_empty() {
        return (Some(data), trailers, rest);
    }
    while !rest.is_empty() {
        let count = match chunks.step(rest) {
            Ok(Step::Framing(count)) => count,
            Ok(Step::Trailer(count)) => {
                trailers.extend(&rest[..count]);
                count
            }
            Ok(Step::Data(count)) => {
                data.extend(&rest[..count]);
                count
            }
            Ok(Step::End(count)) => return (Some(data), trailers, &rest[count..]),
            Err(_) => break,
        };
        rest = &rest[count..];
    }
    (None, Vec::new(), &[])
}
