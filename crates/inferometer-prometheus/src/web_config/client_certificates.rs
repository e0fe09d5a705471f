//! Which certificates of clients are good.

use super::file::Tls;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// Verifies what clients present.
#[derive(Debug)]
pub(super) struct ClientCertificates {
    /// Verifies that an authority has signed it. `None` takes any certificate whose key the client has, as two of the
    /// policies of the file do.
    chain: Option<Arc<dyn ClientCertVerifier>>,
    mandatory: bool,
    allowed_names: Option<Vec<String>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertificates {
    pub(super) fn new(
        chain: Option<Arc<dyn ClientCertVerifier>>,
        mandatory: bool,
        tls: &Tls,
        provider: &CryptoProvider,
    ) -> Self {
        let algorithms = provider.signature_verification_algorithms;
        ClientCertificates { chain, mandatory, allowed_names: tls.client_allowed_sans.clone(), algorithms }
    }
}

impl ClientCertVerifier for ClientCertificates {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.as_ref().map_or(&[], |chain| chain.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(chain) = &self.chain {
            chain.verify_client_cert(certificate, intermediates, now)?;
        }
        match &self.allowed_names {
            Some(allowed) if !is_for_any_of(certificate, allowed)? => {
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
            _ => Ok(ClientCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Whether one of a certificate's alternative names is one of these, letter for letter.
fn is_for_any_of(certificate: &CertificateDer<'_>, allowed: &[String]) -> Result<bool, CertificateError> {
    let certificate = Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let names = certificate.tbs_certificate().get_extension::<SubjectAltName>();
    let Some((_, SubjectAltName(names))) = names.map_err(|_| CertificateError::BadEncoding)? else { return Ok(false) };
    Ok(names.iter().any(|name| match name {
        GeneralName::DnsName(name) | GeneralName::Rfc822Name(name) | GeneralName::UniformResourceIdentifier(name) => {
            allowed.iter().any(|allowed| allowed == name.as_str())
        }
        GeneralName::IpAddress(bytes) => {
            ip_address(bytes.as_bytes()).is_some_and(|ip| allowed.iter().any(|allowed| allowed.parse() == Ok(ip)))
        }
        _ => false,
    }))
}

fn ip_address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|sixteen| Ipv6Addr::from(sixteen).into())
}
