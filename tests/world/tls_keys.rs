//! An identity provider that publishes its keys over TLS, under a certificate of a private authority.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use jsonwebtoken::jwk::JwkSet;
use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::keys::Key;

/// Who certifies hosts.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// What a host of this name presents.
    pub fn certify(&self, name: &str) -> Arc<ServerConfig> {
        self.certify_all(&[name])
    }

    /// What a host of these names presents.
    pub fn certify_all(&self, names: &[&str]) -> Arc<ServerConfig> {
        let (certificate, key) = self.issue(names);
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.expect("versions").with_no_client_auth();
        Arc::new(builder.with_single_cert(vec![certificate.der().clone()], key).expect("a certificate"))
    }

    /// The certificate of a host of these names, and its key.
    pub fn issue(&self, names: &[&str]) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).expect("parameters");
        (params.signed_by(&key, &self.0).expect("a certificate"), key)
    }
}

/// The running identity provider.
pub struct TlsKeyHost {
    address: SocketAddr,
    face: Arc<Mutex<Face>>,
    server: JoinHandle<()>,
}

/// What it shows of itself.
#[derive(Clone)]
struct Face {
    tls: Arc<ServerConfig>,
    body: String,
}

impl TlsKeyHost {
    pub async fn start(tls: Arc<ServerConfig>, key: Key) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let face = Arc::new(Mutex::new(Face { tls, body: set(key) }));
        let shared = Arc::clone(&face);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let face = shared.lock().expect("no panic").clone();
                // A client that goes away is what is tested.
                tokio::spawn(async move { drop(serve(stream, face).await) });
            }
        });
        Self { address, face, server }
    }

    pub fn url(&self) -> String {
        format!("https://localhost:{}/keys", self.address.port())
    }

    /// From now on.
    pub fn shows(&self, tls: Arc<ServerConfig>, key: Key) {
        *self.face.lock().expect("no panic") = Face { tls, body: set(key) };
    }
}

impl Drop for TlsKeyHost {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn set(key: Key) -> String {
    serde_json::to_string(&JwkSet { keys: vec![key.jwk()] }).expect("it encodes")
}

async fn serve(stream: TcpStream, face: Face) -> std::io::Result<()> {
    let mut stream = TlsAcceptor::from(face.tls).accept(stream).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let (length, body) = (face.body.len(), face.body);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}
