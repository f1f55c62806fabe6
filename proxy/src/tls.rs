//! TLS in front of the gate, with a certificate that can be replaced while everything runs.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use entitlement::Timestamp;
use pingora::protocols::Stream;
use pingora::protocols::l4::stream::Stream as Socket;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::encrypted::Encrypted;

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
        let socket: Stream = Box::new(socket);
        let stream = TlsAcceptor::from(self.0.load_full()).accept(socket).await?;
        Ok(Box::new(Encrypted::new(stream.into())))
    }
}
