//! TLS for tests: certificates made on the spot, and clients that trust them alone.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub const NAME: &str = "site.test";

/// A certificate and its key, in PEM.
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

impl Identity {
    /// One that is valid for a long time.
    pub fn new() -> Self {
        Self::until(4000)
    }

    /// One that is valid until the beginning of a year.
    pub fn until(year: i32) -> Self {
        let mut params = CertificateParams::new(vec![NAME.to_owned()]).expect("a name");
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// Puts both into a directory, as `site.pem` and `site.key`.
    pub fn write(&self, dir: &Path) {
        std::fs::write(dir.join("site.pem"), &self.certificate).expect("it is written");
        std::fs::write(dir.join("site.key"), &self.key).expect("it is written");
    }

    /// A connection of a client that trusts this certificate alone and offers these protocols; none when TLS fails.
    pub async fn connect(&self, address: SocketAddr, protocols: &[&str]) -> Option<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("a certificate");
        roots.add(certificate).expect("a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = builder.expect("versions").with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let socket = TcpStream::connect(address).await.expect("a connection");
        socket.set_nodelay(true).expect("a socket");
        let name = ServerName::try_from(NAME).expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, socket).await.ok()
    }

    /// An HTTP/2 client.
    pub async fn http2(&self, address: SocketAddr) -> Http2 {
        let stream = self.connect(address, &["h2", "http/1.1"]).await.expect("TLS");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()), "HTTP/2 is preferred");
        let (requests, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
        let connection = tokio::spawn(async move { drop(connection.await) });
        Http2 { requests, connection }
    }
}

/// An HTTP/2 connection of a client.
pub struct Http2 {
    pub requests: h2::client::SendRequest<Bytes>,
    connection: JoinHandle<()>,
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Http2 {
    /// Waits for the end of the connection.
    pub async fn ended(&mut self) {
        // It ends without a panic.
        let _ = (&mut self.connection).await;
    }

    /// Sends a request without a body.
    pub async fn get(&mut self, path: &str, token: Option<&str>) -> http::Response<h2::RecvStream> {
        let mut request = http::Request::get(format!("https://{NAME}{path}"));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut requests = self.requests.clone().ready().await.expect("a connection");
        let (response, _) = requests.send_request(request.body(()).expect("a request"), true).expect("a stream");
        response.await.expect("an answer")
    }
}

/// The next piece of a body; none when the stream ends, however it does.
pub async fn piece(body: &mut h2::RecvStream) -> Option<Bytes> {
    let piece = body.data().await?.ok()?;
    // What it is told of cannot fail.
    let _ = body.flow_control().release_capacity(piece.len());
    Some(piece)
}
