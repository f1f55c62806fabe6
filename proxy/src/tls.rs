//! TLS in front of the gate, with a certificate that can be replaced while everything runs.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use entitlement::Timestamp;
use pingora::protocols::l4::stream::Stream as Socket;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream, TimingDigest,
    UniqueID, UniqueIDType,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A certificate chain and its key, ready to be served.
#[derive(Clone)]
pub struct Certificate {
    config: Arc<ServerConfig>,
    from: Timestamp,
    until: Timestamp,
}

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("the certificate file holds no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    #[error("the certificate cannot be read")]
    Unreadable,
    #[error("the key file holds no private key in PEM")]
    NoKey,
    #[error("the key is not that of the certificate, or one of the two cannot be used")]
    Mismatch(#[source] rustls::Error),
}

impl Certificate {
    /// A certificate chain (the server's own first) and its private key, both in PEM.
    ///
    /// # Errors
    /// When one of the two is missing or unusable, or they do not belong together.
    pub fn parse(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or(CertificateError::NoCertificate)?;
        let (from, until) = chain.first().and_then(validity).ok_or(CertificateError::Unreadable)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| CertificateError::NoKey)?;
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(CertificateError::Mismatch)?;
        let mut config =
            builder.with_no_client_auth().with_single_cert(chain, key).map_err(CertificateError::Mismatch)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), from, until })
    }

    /// From when and until when clients accept it.
    #[must_use]
    pub const fn validity(&self) -> (Timestamp, Timestamp) {
        (self.from, self.until)
    }
}

fn validity(certificate: &CertificateDer<'_>) -> Option<(Timestamp, Timestamp)> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let moment = |time: x509_parser::time::ASN1Time| Timestamp::from_timestamp(time.timestamp(), 0);
    let validity = certificate.validity();
    Some((moment(validity.not_before)?, moment(validity.not_after)?))
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate")
    }
}

/// Agrees with clients on TLS.
pub(crate) struct Tls(ArcSwap<ServerConfig>);

impl Tls {
    pub(crate) fn new(certificate: Certificate) -> Self {
        Self(ArcSwap::new(certificate.config))
    }

    /// Serves another certificate to who connects from now on.
    pub(crate) fn replace(&self, certificate: Certificate) {
        self.0.store(certificate.config);
    }

    pub(crate) async fn accept(&self, socket: Socket) -> std::io::Result<Stream> {
        let stream = TlsAcceptor::from(self.0.load_full()).accept(socket).await?;
        let connection = stream.get_ref().1;
        let protocol = connection.alpn_protocol().is_some_and(|name| name == b"h2");
        let version = connection.protocol_version().and_then(|version| version.as_str()).unwrap_or("unknown");
        let suite = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
        let digest = SslDigest::new(suite.unwrap_or("unknown"), version, None, None, Vec::new());
        let protocol = if protocol { ALPN::H2 } else { ALPN::H1 };
        Ok(Box::new(Encrypted { stream, protocol, digest: Arc::new(digest) }))
    }
}

/// A connection under TLS, as Pingora wants one.
struct Encrypted {
    stream: TlsStream<Socket>,
    protocol: ALPN,
    digest: Arc<SslDigest>,
}

impl Encrypted {
    fn socket(&self) -> &Socket {
        self.stream.get_ref().0
    }
}

impl fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encrypted").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[async_trait]
impl Shutdown for Encrypted {
    async fn shutdown(&mut self) {
        // The client may be gone already.
        let _ = AsyncWriteExt::shutdown(&mut self.stream).await;
    }
}

impl UniqueID for Encrypted {
    fn id(&self) -> UniqueIDType {
        self.socket().id()
    }
}

impl Ssl for Encrypted {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        Some(Arc::clone(&self.digest))
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        Some(self.protocol.clone())
    }
}

impl Peek for Encrypted {}

impl GetTimingDigest for Encrypted {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.socket().get_timing_digest()
    }

    fn get_read_pending_time(&self) -> Duration {
        self.socket().get_read_pending_time()
    }

    fn get_write_pending_time(&self) -> Duration {
        self.socket().get_write_pending_time()
    }
}

impl GetProxyDigest for Encrypted {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.socket().get_proxy_digest()
    }
}

impl GetSocketDigest for Encrypted {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.socket().get_socket_digest()
    }
}
