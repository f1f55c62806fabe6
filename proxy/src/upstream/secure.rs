//! TLS towards a server of the site.
//!
//! Pingora's own needs its feature, which brings a second provider of cryptography. So connections are made here. Pingora's
//! client of HTTP/2, which wants a socket of the system, gets one end of a pair whose other end a task copies from and to the
//! server: HTTP/2 says itself where an answer ends, whoever has cut the connection.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::connectors::TransportConnector;
use pingora::connectors::l4::Connect;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream as Socket;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, OrErr, Result};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncWriteExt, copy, split};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::Protocol;
use super::server::Speech;
use crate::authorities::Authorities;
use crate::encrypted::Encrypted;

/// How long a server may take to hear that a connection is over.
const FAREWELL: Duration = Duration::from_secs(1);

/// With which name and which authorities TLS is spoken.
#[derive(Clone)]
pub(super) struct Speaks {
    /// What is asked for (SNI), and what the certificate has to be issued for.
    name: ServerName<'static>,
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

/// TLS cannot be spoken with a server.
#[derive(Debug, thiserror::Error)]
pub enum SecureError {
    #[error("\"{0}\" is no name that a certificate could be issued for")]
    Name(String),
    #[error("TLS cannot be set up")]
    Setup(#[from] rustls::Error),
}

impl Speaks {
    pub(super) fn new(name: &str, authorities: &Authorities) -> std::result::Result<Self, SecureError> {
        let name = ServerName::try_from(name.to_owned()).map_err(|_| SecureError::Name(name.to_owned()))?;
        let config = authorities.client()?;
        let with = |protocol: &[u8]| {
            let mut config = config.clone();
            config.alpn_protocols = vec![protocol.to_vec()];
            Arc::new(config)
        };
        Ok(Self { name, http1: with(b"http/1.1"), http2: with(b"h2") })
    }
}

/// Makes connections under TLS with one server.
pub(crate) struct Secure {
    speaks: Speaks,
    /// For the log.
    server: String,
    /// How its socket is reached.
    peer: HttpPeer,
    /// What Pingora's proxying speaks with it.
    protocol: Protocol,
    transport: Arc<TransportConnector>,
}

impl Secure {
    pub(super) fn new(speaks: Speaks, server: String, peer: HttpPeer, speech: &Speech<'_>) -> Self {
        Self { speaks, server, peer, protocol: speech.protocol, transport: Arc::clone(speech.transport) }
    }

    /// What Pingora's proxying speaks with it.
    pub(super) const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// A new connection, with a server that has proved to be the one that is meant.
    ///
    /// # Errors
    /// When it has not, cannot be reached, or does not speak this protocol.
    pub(super) async fn open(&self, protocol: Protocol) -> Result<Encrypted> {
        let socket = self.transport.new_stream(&self.peer).await?;
        let is_http2 = protocol == Protocol::Http2;
        let config = Arc::clone(if is_http2 { &self.speaks.http2 } else { &self.speaks.http1 });
        let opened = TlsConnector::from(config).connect(self.speaks.name.clone(), socket).await;
        let stream = Encrypted::new(opened.map_err(|error| self.failed(error))?.into());
        if is_http2 && !stream.is_http2() {
            let what = format!("{} does not speak HTTP/2: set proxy.http2 = false", self.server);
            return Error::e_explain(ErrorType::TLSHandshakeFailure, what);
        }
        Ok(stream)
    }

    fn failed(&self, error: io::Error) -> Box<Error> {
        let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let server = &self.server;
        let (kind, what) = match cause {
            Some(rustls::Error::InvalidCertificate(_)) => (
                ErrorType::InvalidCert,
                format!(
                    "the certificate of {server} is not accepted for the name {}: see tls_name and ca_file of [[upstream]]",
                    self.speaks.name.to_str()
                ),
            ),
            _ => (ErrorType::TLSHandshakeFailure, format!("TLS with {server} fails")),
        };
        Error::because(kind, what, error)
    }
}

impl fmt::Debug for Secure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secure").field("server", &self.server).finish_non_exhaustive()
    }
}

#[async_trait]
impl Connect for Secure {
    /// For Pingora's client of HTTP/2, which has the time that this may take.
    async fn connect(&self, _: &SocketAddr) -> Result<Socket> {
        let server = self.open(self.protocol).await?;
        let (near, far) = UnixStream::pair().or_err(ErrorType::InternalError, "a pair of sockets")?;
        tokio::spawn(bridge(server, far));
        Ok(Socket::from(near))
    }
}

/// Copies both ways until one side ends.
async fn bridge(server: Encrypted, near: UnixStream) {
    let (mut from_server, mut to_server) = split(server);
    let (mut from_near, mut to_near) = near.into_split();
    tokio::select! {
        // Pingora never closes its half alone: it is done.
        _ = copy(&mut from_near, &mut to_server) => {}
        _ = copy(&mut from_server, &mut to_near) => {}
    }
    drop((from_near, to_near));
    let mut server = from_server.unsplit(to_server);
    let _ = timeout(FAREWELL, server.shutdown()).await;
}
