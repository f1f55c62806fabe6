//! Copies between two connections, and holds no buffer while nothing is said.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, sleep_until, timeout};

use super::frames::{self, Frames};

/// What is read at once, in bytes: on the stack, so that it costs nothing in between.
const CHUNK: usize = 16 * 1024;

/// How long a client may take to hear why it ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// Copies in both directions, beginning with what each end has said already, until both have ended, one has failed, or
/// nothing was said for `quiet`. When `over` comes first the client is told its reason, which is returned.
pub(super) async fn relay<A, B>(
    (mut client, from_client): (A, Bytes),
    (mut site, from_site): (B, Bytes),
    quiet: Duration,
    over: impl Future<Output = &'static str>,
) -> Option<&'static str>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let (mut there, mut back) = (Way::new(from_client), Way::new(from_site));
    let mut last = Instant::now();
    let (mut silence, mut over) = (pin!(sleep_until(last + quiet)), pin!(over));
    let reason = poll_fn(|context| {
        if let Poll::Ready(reason) = over.as_mut().poll(context) {
            return Poll::Ready(Some(reason));
        }
        let ways = (there.poll(context, &mut client, &mut site), back.poll(context, &mut site, &mut client));
        if there.take_moved() | back.take_moved() {
            last = Instant::now();
        }
        match ways {
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) | (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => {
                return Poll::Ready(None);
            }
            _ => {}
        }
        // Looked at when it ends, not put off with every message.
        while silence.as_mut().poll(context).is_ready() {
            if last.elapsed() >= quiet {
                return Poll::Ready(None);
            }
            silence.as_mut().reset(last + quiet);
        }
        Poll::Pending
    })
    .await?;
    if back.is_between() {
        let farewell = async {
            client.write_all(&frames::close(reason)).await?;
            client.shutdown().await
        };
        // Who does not listen is not told.
        let _ = timeout(FAREWELL, farewell).await;
    }
    Some(reason)
}

/// One direction.
struct Way {
    /// Read, and not taken by the other end yet.
    waiting: Bytes,
    state: State,
    has_moved: bool,
    frames: Frames,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// All was read, and the other end has not been told so yet.
    Ending,
    Ended,
}

impl Way {
    fn new(waiting: Bytes) -> Self {
        let mut frames = Frames::default();
        frames.pass(&waiting);
        Self { waiting, state: State::Open, has_moved: false, frames }
    }

    /// Whether the other end has got whole frames, and can be told something else.
    fn is_between(&self) -> bool {
        self.state == State::Open && self.waiting.is_empty() && self.frames.is_between()
    }

    fn take_moved(&mut self) -> bool {
        std::mem::take(&mut self.has_moved)
    }

    /// Copies what can be copied now; ready when all was, or when it failed.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        loop {
            while !self.waiting.is_empty() {
                match ready!(Pin::new(&mut *to).poll_write(context, &self.waiting))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    taken => self.waiting.advance(taken),
                }
                self.has_moved = true;
            }
            match self.state {
                State::Ended => return Poll::Ready(Ok(())),
                State::Ending => {
                    ready!(Pin::new(&mut *to).poll_shutdown(context))?;
                    self.state = State::Ended;
                }
                State::Open => ready!(self.read(context, from, to))?,
            }
        }
    }

    /// Reads once, and writes what was read; what is not taken at once waits.
    fn read(
        &mut self,
        context: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        // Nothing is left behind here that a wait would keep.
        self.waiting = Bytes::new();
        let mut space = [MaybeUninit::uninit(); CHUNK];
        let mut space = ReadBuf::uninit(&mut space);
        match Pin::new(from).poll_read(context, &mut space) {
            Poll::Ready(read) => read?,
            Poll::Pending => {
                ready!(Pin::new(to).poll_flush(context))?;
                return Poll::Pending;
            }
        }
        let read = space.filled();
        if read.is_empty() {
            self.state = State::Ending;
            return Poll::Ready(Ok(()));
        }
        self.has_moved = true;
        self.frames.pass(read);
        let taken = match Pin::new(to).poll_write(context, read) {
            Poll::Ready(taken) => taken?,
            Poll::Pending => 0,
        };
        self.waiting = Bytes::copy_from_slice(&read[taken..]);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, DuplexStream, duplex};
    use tokio::sync::oneshot;
    use tokio::time::advance;

    use super::*;

    const QUIET: Duration = Duration::from_secs(60);

    /// A relay between two pipes that take so many bytes at once, and their far ends.
    fn between(
        size: usize,
        quiet: Duration,
    ) -> (DuplexStream, DuplexStream, tokio::task::JoinHandle<Option<&'static str>>) {
        let ((client, near), (far, site)) = (duplex(size), duplex(size));
        let early = (Bytes::from_static(b"early "), Bytes::from_static(b"hello "));
        let relayed = tokio::spawn(relay((near, early.0), (far, early.1), quiet, pending()));
        (client, site, relayed)
    }

    async fn all(stream: &mut DuplexStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.expect("it ends");
        bytes
    }

    #[tokio::test]
    async fn both_directions_end_for_themselves() {
        let (mut client, mut site, relayed) = between(64, QUIET);
        client.write_all(b"question").await.expect("it is taken");
        client.shutdown().await.expect("it ends");
        assert_eq!(all(&mut site).await, b"early question");
        site.write_all(b"answer").await.expect("it is taken");
        drop(site);
        assert_eq!(all(&mut client).await, b"hello answer");
        relayed.await.expect("it ends");
    }

    #[tokio::test]
    async fn an_end_that_is_gone_ends_the_other() {
        let (client, mut site, relayed) = between(64, QUIET);
        drop(client);
        let _ = all(&mut site).await;
        let _ = site.write_all(&[0; 1024]).await;
        relayed.await.expect("it ends");
    }

    #[tokio::test]
    async fn who_is_ended_between_two_messages_is_told_why() {
        for (said, farewell) in [(&b"\x82\x01x"[..], &b"\x88\x06\x03\xf0over"[..]), (b"\x82\x02x", b"")] {
            let ((mut client, near), (far, mut site)) = (duplex(64), duplex(64));
            let (end, ended) = oneshot::channel();
            let over = async { ended.await.expect("it is sent") };
            let relayed = tokio::spawn(relay((near, Bytes::new()), (far, Bytes::new()), QUIET, over));
            site.write_all(said).await.expect("it is taken");
            let mut heard = vec![0; said.len()];
            client.read_exact(&mut heard).await.expect("it comes");
            end.send("over").expect("it is waited for");
            assert_eq!(all(&mut client).await, farewell);
            assert_eq!(relayed.await.expect("it ends"), Some("over"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_it_and_a_word_puts_that_off() {
        let start = Instant::now();
        let (mut client, mut site, relayed) = between(64, QUIET);
        advance(QUIET / 2).await;
        client.write_all(b"x").await.expect("it is taken");
        let mut word = [0; 7];
        site.read_exact(&mut word).await.expect("it comes");
        relayed.await.expect("it ends");
        assert_eq!(start.elapsed(), QUIET + QUIET / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_silent() {
        let start = Instant::now();
        let (mut client, _site, relayed) = between(4, QUIET);
        let _ = client.write_all(&[0; 1024]).await;
        relayed.await.expect("it ends");
        assert!(start.elapsed() >= QUIET);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_byte_arrives_in_order(pieces in prop::collection::vec(1..40_000_usize, 0..8), size in 1..70_000_usize) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let (mut client, mut site, relayed) = between(size, QUIET);
                let bytes: Vec<u8> = (0..pieces.iter().sum()).map(|n: usize| (n % 251) as u8).collect();
                let expected = [b"early ", bytes.as_slice()].concat();
                let writing = async {
                    let mut rest = bytes.as_slice();
                    for piece in pieces {
                        client.write_all(&rest[..piece]).await.expect("it is taken");
                        rest = &rest[piece..];
                    }
                    client.shutdown().await.expect("it ends");
                };
                let ((), said) = tokio::join!(writing, all(&mut site));
                assert!(said == expected, "{} of {} bytes", said.len(), expected.len());
                drop((client, site));
                relayed.await.expect("it ends");
            });
        }
    }
}
