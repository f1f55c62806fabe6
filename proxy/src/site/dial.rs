//! How Pingora's own proxying comes to a connection with a site that speaks HTTP/1: by the pool of the fast path, and through
//! the same reader of answers.
//!
//! Pingora's connections end with their request. What it is given is no more than the view of one exchange ([`SiteWire`]);
//! the connection behind it goes back to the pool when another request may follow on it.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use bytes::BytesMut;
use http::Method;
use parking_lot::Mutex;
use pingora::Result;
use pingora::connectors::L4Connect;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream as Socket;
use pingora::protocols::l4::virt::VirtualSocketStream;
use pingora::protocols::{SocketDigest, Stream};

use super::wire::SiteWire;
use crate::upstream::{Connections, Server};

/// One exchange with a site, as both ends of Pingora's proxying see it.
pub(crate) struct Course {
    connections: Arc<Connections>,
    server: Arc<Server>,
    pub(super) method: Method,
    /// Which try of the request it is.
    tries: usize,
    /// Whether the end of an answer with trailers waits until all before it is written: an HTTP/2 stream is over with its
    /// end, and Pingora writes no trailers of HTTP/1.
    pub(super) holds_end: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    socket: Option<Arc<SocketDigest>>,
    is_reused: bool,
    failure: Failure,
    /// Whether the final head has passed to the client, and how many bytes of data have.
    has_head: bool,
    passed: u64,
    trailers: BytesMut,
    waiting: Option<Waker>,
}

/// How an exchange has failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Failure {
    /// It has not, or the site has answered something.
    #[default]
    Answered,
    /// Nothing was answered.
    Unanswered,
    /// The site cannot have read any of the request.
    Unheard,
}

impl Course {
    pub(crate) fn new(
        connections: Arc<Connections>,
        server: Arc<Server>,
        (method, tries): (Method, usize),
        holds_end: bool,
    ) -> Arc<Self> {
        Arc::new(Self { connections, server, method, tries, holds_end, state: Mutex::default() })
    }

    /// The connection to the site.
    pub(crate) fn socket(&self) -> Option<Arc<SocketDigest>> {
        self.state.lock().socket.clone()
    }

    /// Whether the request may be sent once more: the site has closed a connection that was idle, and what it may have read is
    /// no harm when it is done twice.
    pub(crate) fn may_ask_again(&self) -> bool {
        let state = self.state.lock();
        match state.failure {
            Failure::Answered => false,
            Failure::Unanswered => state.is_reused && self.method.is_idempotent(),
            Failure::Unheard => state.is_reused,
        }
    }

    /// The final head goes to the client.
    pub(crate) fn pass_head(&self) {
        let mut state = self.state.lock();
        state.has_head = true;
        state.waiting.take().into_iter().for_each(Waker::wake);
    }

    /// So many bytes of data go to the client. The trailers when they were the last.
    pub(crate) fn pass(&self, count: usize, is_end: bool) -> Option<BytesMut> {
        let mut state = self.state.lock();
        state.passed += count as u64;
        state.waiting.take().into_iter().for_each(Waker::wake);
        (is_end && !state.trailers.is_empty()).then(|| std::mem::take(&mut state.trailers))
    }

    /// Waits until the head and so many bytes of data have passed to the client.
    pub(super) fn poll_passed(&self, count: u64, context: &Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.has_head && state.passed >= count {
            return Poll::Ready(());
        }
        state.waiting = Some(context.waker().clone());
        Poll::Pending
    }

    pub(super) fn end_with(&self, trailers: BytesMut) {
        self.state.lock().trailers = trailers;
    }

    pub(super) fn fail(&self, failure: Failure) {
        self.state.lock().failure = failure;
    }

    /// The connection can have another request.
    pub(super) fn give_back(&self, stream: Stream) {
        self.connections.give_back(stream, &self.server);
    }
}

/// Connects Pingora with a site.
pub(crate) struct Dial(pub(crate) Arc<Course>);

#[async_trait]
impl L4Connect for Dial {
    async fn connect(&self, _: &SocketAddr) -> Result<Socket> {
        let Self(course) = self;
        let (stream, is_reused) = course.connections.get(&course.server, course.tries).await?;
        {
            let mut state = course.state.lock();
            (state.socket, state.is_reused) = (stream.get_socket_digest(), is_reused);
        }
        let wire = SiteWire::new(stream, Arc::clone(course));
        Ok(Socket::from(VirtualSocketStream::new(Box::new(wire))))
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dial").field(&self.0.server.name()).finish()
    }
}
