//! A server with a `web.yml`, certificates for it, and clients of it.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use inferometer::Registry;
use inferometer_prometheus::{Exporter, ExporterBuilder, Server, WebConfig};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Far longer than anything takes, so that a test fails rather than hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A directory with a `web.yml` and what it names.
pub(crate) struct Files(TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        Files(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// A certificate and its key, as `NAME.crt` and `NAME.key`.
    pub(crate) fn write_pair(&self, name: &str, pair: &Pair) {
        self.write(&format!("{name}.crt"), &pair.certificate);
        self.write(&format!("{name}.key"), &pair.key);
    }

    /// A server with the `web.yml`.
    pub(crate) fn serve(&self) -> (Registry, Server) {
        self.serve_built(|builder| builder)
    }

    pub(crate) fn serve_built(&self, build: impl FnOnce(ExporterBuilder) -> ExporterBuilder) -> (Registry, Server) {
        self.serve_with(build, WebConfig::from_file(self.path("web.yml")).unwrap())
    }

    /// A server with the `web.yml` and the token in the file `token`.
    pub(crate) fn serve_with_token(&self) -> (Registry, Server) {
        let config = WebConfig::from_file(self.path("web.yml")).unwrap();
        self.serve_with(|builder| builder, config.bearer_token_file(self.path("token")).unwrap())
    }

    fn serve_with(
        &self,
        build: impl FnOnce(ExporterBuilder) -> ExporterBuilder,
        config: WebConfig,
    ) -> (Registry, Server) {
        let registry = Registry::new();
        registry.counter("requests_total", &[]).unwrap().increment(3);
        let exporter = build(Exporter::builder().registry(registry.clone())).build().unwrap();
        let server = exporter.serve_with("127.0.0.1:0", config).unwrap();
        (registry, server)
    }
}

/// A certificate and its key, as PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// An authority that signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn certificate(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn sign(&self, names: &[&str]) -> Pair {
        self.sign_with(params(names))
    }

    /// One that was good once.
    pub(crate) fn sign_expired(&self, names: &[&str]) -> Pair {
        let mut params = params(names);
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
        self.sign_with(params)
    }

    fn sign_with(&self, params: CertificateParams) -> Pair {
        let key = KeyPair::generate().unwrap();
        Pair { certificate: params.signed_by(&key, &self.0).unwrap().pem(), key: key.serialize_pem() }
    }
}

/// One that nobody has signed but itself.
pub(crate) fn self_signed(names: &[&str]) -> Pair {
    let key = KeyPair::generate().unwrap();
    Pair { certificate: params(names).self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

/// Names with a colon are of other kinds: `uri:`, `email:`.
fn params(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.subject_alt_names = names
        .iter()
        .map(|name| match (name.strip_prefix("uri:"), name.strip_prefix("email:"), name.parse()) {
            (Some(uri), _, _) => SanType::URI(uri.try_into().unwrap()),
            (_, Some(email), _) => SanType::Rfc822Name(email.try_into().unwrap()),
            (_, _, Ok(ip)) => SanType::IpAddress(ip),
            _ => SanType::DnsName((*name).try_into().unwrap()),
        })
        .collect();
    params
}

/// A client of TLS that trusts one authority.
#[derive(Clone)]
pub(crate) struct Client {
    roots: RootCertStore,
    versions: Vec<&'static SupportedProtocolVersion>,
    suites: Option<rustls::SupportedCipherSuite>,
    identity: Option<(Vec<CertificateDer<'static>>, Arc<PrivateKeyDer<'static>>)>,
}

impl Client {
    pub(crate) fn of(authority: &Authority) -> Self {
        Client::trusting(&authority.certificate())
    }

    pub(crate) fn trusting(certificate: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
        Client { roots, versions: vec![&rustls::version::TLS12, &rustls::version::TLS13], suites: None, identity: None }
    }

    pub(crate) fn with_version(mut self, version: &'static SupportedProtocolVersion) -> Self {
        self.versions = vec![version];
        self
    }

    pub(crate) fn with_suite(mut self, suite: rustls::SupportedCipherSuite) -> Self {
        self.suites = Some(suite);
        self
    }

    pub(crate) fn with_certificate(mut self, pair: &Pair) -> Self {
        let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
        self.identity = Some((vec![certificate], Arc::new(key)));
        self
    }

    pub(crate) fn connect(&self, address: SocketAddr) -> StreamOwned<ClientConnection, TcpStream> {
        let mut provider = rustls::crypto::ring::default_provider();
        if let Some(suite) = self.suites {
            provider.cipher_suites = vec![suite];
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&self.versions)
            .unwrap()
            .with_root_certificates(self.roots.clone());
        let config = match &self.identity {
            Some((chain, key)) => builder.with_client_auth_cert(chain.clone(), key.clone_key()).unwrap(),
            None => builder.with_no_client_auth(),
        };
        let name = ServerName::try_from("localhost").unwrap();
        StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), connect(address))
    }

    /// The answer to a scrape with further headers, each with its line's end.
    pub(crate) fn get(&self, server: &Server, headers: &str) -> io::Result<Answer> {
        Answer::to(&mut self.connect(server.local_addr()), headers)
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// The answer to a scrape without TLS.
pub(crate) fn get(server: &Server, headers: &str) -> Answer {
    Answer::to(&mut connect(server.local_addr()), headers).unwrap()
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    fn to(stream: &mut (impl Read + Write), headers: &str) -> io::Result<Self> {
        let request = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let Some((head, body)) = answer.split_once("\r\n\r\n") else { return Err(io::ErrorKind::UnexpectedEof.into()) };
        Ok(Answer { status: head[9..12].parse().unwrap(), head: head.to_lowercase(), body: body.to_owned() })
    }
}

/// A header with a name and a password.
pub(crate) fn basic(user: &str, password: &str) -> String {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("Authorization: Basic {encoded}\r\n")
}

/// A password's hash, of the lowest cost.
pub(crate) fn hash(password: &str) -> String {
    hash_of_cost(password, 4)
}

pub(crate) fn hash_of_cost(password: &str, cost: u32) -> String {
    bcrypt::hash_with_salt(password, cost, *b"salt of the test").unwrap().to_string()
}

/// The value of a counter.
pub(crate) fn count(registry: &Registry, name: &str, labels: &[(&str, &str)]) -> u64 {
    registry.snapshot().counter(name, labels).unwrap()
}

pub(crate) fn refused(registry: &Registry, reason: &str) -> u64 {
    count(registry, "inferometer_web_requests_refused_total", &[("reason", reason)])
}

pub(crate) fn wait_for(mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "it takes too long");
        thread::sleep(Duration::from_millis(10));
    }
}
