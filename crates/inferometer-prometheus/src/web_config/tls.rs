//! The TLS that a `web.yml` describes.

use super::client_certificates::ClientCertificates;
use super::error::WebConfigError;
use super::file::{Cipher, ClientAuth, Curve, Tls, Version};
use super::sources::TlsSources;
use rustls::crypto::ring as provider;
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, RootCertStore, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};
use std::path::Path;
use std::sync::Arc;

/// Makes it. `path` is of the `web.yml`, for errors.
pub(super) fn build(path: &Path, tls: &Tls, sources: &TlsSources) -> Result<ServerConfig, WebConfigError> {
    let versions = versions(path, tls)?;
    let provider = Arc::new(CryptoProvider {
        cipher_suites: cipher_suites(path, tls, &versions)?,
        kx_groups: key_exchanges(path, tls)?,
        ..provider::default_provider()
    });
    let wrong = |field| move |error: &dyn std::fmt::Display| WebConfigError::field(path, field, error);
    let cert = wrong("tls_server_config.cert_file");
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&sources.certificates)
        .collect::<Result<_, _>>()
        .map_err(|error| cert(&error))?;
    if certificates.is_empty() {
        return Err(cert(&"there is no certificate in it"));
    }
    let key =
        PrivateKeyDer::from_pem_slice(&sources.key).map_err(|error| wrong("tls_server_config.key_file")(&error))?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .map_err(|error| wrong("tls_server_config.cipher_suites")(&error))?;
    let builder = match client_verifier(path, tls, sources, &provider)? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    // The certificate and the key must belong together.
    let mut config = builder.with_single_cert(certificates, key).map_err(|error| cert(&error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ignore_client_order = tls.prefer_server_cipher_suites;
    Ok(config)
}

fn versions(path: &Path, tls: &Tls) -> Result<Vec<&'static SupportedProtocolVersion>, WebConfigError> {
    let (min, max) = (tls.min_version.unwrap_or(Version::Tls12), tls.max_version.unwrap_or(Version::Tls13));
    let all = [(Version::Tls12, &TLS12), (Version::Tls13, &TLS13)];
    let versions: Vec<_> = all.iter().filter(|(own, _)| (min..=max).contains(own)).map(|&(_, own)| own).collect();
    if versions.is_empty() {
        // Versions before 1.2 are broken and not offered, whatever the file says.
        let message = "no version of TLS from 1.2 on is left";
        return Err(WebConfigError::field(path, "tls_server_config.max_version", message));
    }
    Ok(versions)
}

/// Those that the file names, of TLS 1.2; those of TLS 1.3 cannot be chosen, as in Go.
fn cipher_suites(
    path: &Path,
    tls: &Tls,
    versions: &[&SupportedProtocolVersion],
) -> Result<Vec<SupportedCipherSuite>, WebConfigError> {
    let all = provider::ALL_CIPHER_SUITES;
    let Some(named) = tls.cipher_suites.as_ref().filter(|named| !named.is_empty()) else { return Ok(all.to_vec()) };
    let mut suites: Vec<_> = all.iter().filter(|suite| suite.tls13().is_some()).copied().collect();
    for &cipher in named {
        let suite = suite(cipher);
        match all.iter().find(|own| Some(own.suite()) == suite) {
            Some(own) if own.tls13().is_none() => suites.push(*own),
            Some(_) => {}
            None => log::warn!("{}: {cipher:?} is not offered, since it is weak", path.display()),
        }
    }
    if !versions.contains(&&TLS13) && suites.iter().all(|suite| suite.tls13().is_some()) {
        let message = "none of them can be used with TLS 1.2";
        return Err(WebConfigError::field(path, "tls_server_config.cipher_suites", message));
    }
    Ok(suites)
}

fn suite(cipher: Cipher) -> Option<CipherSuite> {
    Some(match cipher {
        Cipher::TLS_AES_128_GCM_SHA256 => CipherSuite::TLS13_AES_128_GCM_SHA256,
        Cipher::TLS_AES_256_GCM_SHA384 => CipherSuite::TLS13_AES_256_GCM_SHA384,
        Cipher::TLS_CHACHA20_POLY1305_SHA256 => CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        Cipher::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        Cipher::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        Cipher::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        Cipher::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        Cipher::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        Cipher::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => {
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        }
        Cipher::TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA
        | Cipher::TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA
        | Cipher::TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA
        | Cipher::TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA => return None,
    })
}

fn key_exchanges(path: &Path, tls: &Tls) -> Result<Vec<&'static dyn SupportedKxGroup>, WebConfigError> {
    let Some(named) = tls.curve_preferences.as_ref().filter(|named| !named.is_empty()) else {
        return Ok(provider::ALL_KX_GROUPS.to_vec());
    };
    let mut groups = Vec::new();
    for curve in named {
        match curve {
            Curve::X25519 => groups.push(provider::kx_group::X25519),
            Curve::CurveP256 => groups.push(provider::kx_group::SECP256R1),
            Curve::CurveP384 => groups.push(provider::kx_group::SECP384R1),
            Curve::CurveP521 => log::warn!("{}: {curve:?} is not offered", path.display()),
        }
    }
    if groups.is_empty() {
        return Err(WebConfigError::field(path, "tls_server_config.curve_preferences", "none of them is offered"));
    }
    Ok(groups)
}

fn client_verifier(
    path: &Path,
    tls: &Tls,
    sources: &TlsSources,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, WebConfigError> {
    let wrong = |field, message: &dyn std::fmt::Display| Err(WebConfigError::field(path, field, message));
    let auth = tls.client_auth_type.unwrap_or_default();
    let mandatory = matches!(auth, ClientAuth::RequireAnyClientCert | ClientAuth::RequireAndVerifyClientCert);
    let verified = matches!(auth, ClientAuth::VerifyClientCertIfGiven | ClientAuth::RequireAndVerifyClientCert);
    if tls.client_allowed_sans.is_some() && !mandatory {
        let message = "it needs a client_auth_type that requires a certificate";
        return wrong("tls_server_config.client_allowed_sans", &message);
    }
    let Some(authorities) = &sources.client_authorities else {
        return match auth {
            ClientAuth::NoClientCert => Ok(None),
            _ if verified => wrong("tls_server_config.client_ca_file", &"it is needed for the client_auth_type"),
            _ => Ok(Some(Arc::new(ClientCertificates::new(None, mandatory, tls, provider)))),
        };
    };
    if auth == ClientAuth::NoClientCert {
        return wrong("tls_server_config.client_auth_type", &"there is a client_ca and nothing to use it for");
    }
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(authorities) {
        match authority.map(|authority| roots.add(authority)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return wrong("tls_server_config.client_ca_file", &error),
            Err(error) => return wrong("tls_server_config.client_ca_file", &error),
        }
    }
    if roots.is_empty() {
        return wrong("tls_server_config.client_ca_file", &"there is no certificate in it");
    }
    let chain = if verified {
        match WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build() {
            Ok(chain) => Some(chain),
            Err(error) => return wrong("tls_server_config.client_ca_file", &error),
        }
    } else {
        None
    };
    Ok(Some(Arc::new(ClientCertificates::new(chain, mandatory, tls, provider))))
}
