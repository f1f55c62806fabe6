//! Whose certificates are accepted, where the gate is the client.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Authorities whose certificates are accepted.
#[derive(Clone)]
pub struct Authorities(Arc<RootCertStore>);

/// Why a file names no authorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the file holds no certificate of an authority in PEM, which begins with -----BEGIN CERTIFICATE-----")]
pub struct AuthoritiesError;

impl Authorities {
    /// The public ones, and those of this host: what is asked may well be private.
    #[must_use]
    pub fn of_system() -> Self {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self(Arc::new(roots))
    }

    /// Those of a file in PEM, and no others.
    ///
    /// # Errors
    /// When it has none, or one that cannot be read.
    pub fn parse(pem: &[u8]) -> Result<Self, AuthoritiesError> {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let mut roots = RootCertStore::empty();
        for certificate in certificates.map_err(|_| AuthoritiesError)? {
            roots.add(certificate).map_err(|_| AuthoritiesError)?;
        }
        if roots.is_empty() { Err(AuthoritiesError) } else { Ok(Self(Arc::new(roots))) }
    }

    /// How a client speaks TLS that accepts them.
    pub(crate) fn client(&self) -> Result<ClientConfig, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(builder.with_root_certificates(Arc::clone(&self.0)).with_no_client_auth())
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_authority_is_refused() {
        for pem in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert_eq!(Authorities::parse(pem.as_bytes()).map(drop), Err(AuthoritiesError), "{pem}");
        }
    }
}
