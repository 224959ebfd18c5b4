//! TLS to the server: what is trusted, what is verified, and the client's certificate.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;
use wasmill_engine::{Error, Result};

use super::address::{PostgresTls, PostgresTlsMode};
use crate::codes::{CERTIFICATE, TLS};

/// The configured mode, where the URL sets none.
pub(super) fn mode(tls: &PostgresTls, url: Option<PostgresTlsMode>) -> Result<PostgresTlsMode> {
    if tls.mode.is_some() && url.is_some() && tls.mode != url {
        return Err(Error::configuration("`tls: { mode }` and `sslmode` in `url` differ")
            .code(TLS)
            .key(["tls"])
            .hint("set it in one place"));
    }
    let default = if tls.ca.is_some() { PostgresTlsMode::VerifyFull } else { PostgresTlsMode::Prefer };
    Ok(tls.mode.or(url).unwrap_or(default))
}

/// Whether the client requires TLS.
pub(super) fn ssl_mode(mode: PostgresTlsMode) -> SslMode {
    match mode {
        PostgresTlsMode::Disable => SslMode::Disable,
        PostgresTlsMode::Prefer => SslMode::Prefer,
        PostgresTlsMode::Require | PostgresTlsMode::VerifyCa | PostgresTlsMode::VerifyFull => SslMode::Require,
    }
}

/// The TLS side of connections. Reads the files that the configuration names.
pub(super) fn connector(tls: &PostgresTls, mode: PostgresTlsMode) -> Result<MakeRustlsConnect> {
    let provider = Arc::new(ring::default_provider());
    let verifies = matches!(mode, PostgresTlsMode::VerifyCa | PostgresTlsMode::VerifyFull);
    if verifies && tls.ca.is_none() {
        return system_roots(tls, mode, &provider);
    }
    let verifier: Arc<dyn ServerCertVerifier> = match &tls.ca {
        Some(ca) if verifies => {
            let roots = Arc::new(roots(ca)?);
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
            let verifier = verifier.map_err(|error| Error::configuration(format!("`ca: {ca}`: {error}")).code(CERTIFICATE).key(["ca"]))?;
            if mode == PostgresTlsMode::VerifyFull { verifier } else { Arc::new(AnyName(verifier)) }
        }
        _ => Arc::new(Anyone(Arc::clone(&provider))),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::bug(format!("TLS can't be set up: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => {
            builder.with_client_auth_cert(certificates(certificate, "certificate")?, private_key(key)?).map_err(|error| {
                Error::configuration(format!("`certificate: {certificate}` and `key: {key}`: {error}"))
                    .code(CERTIFICATE)
                    .key(["certificate"])
            })?
        }
        (None, None) => builder.with_no_client_auth(),
        _ => {
            return Err(Error::configuration("`certificate` and `key` go together: one of them is missing")
                .code(CERTIFICATE)
                .key(["certificate"]));
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

/// The authorities that the operating system trusts.
fn system_roots(tls: &PostgresTls, mode: PostgresTlsMode, provider: &Arc<CryptoProvider>) -> Result<MakeRustlsConnect> {
    if mode == PostgresTlsMode::VerifyCa {
        return Err(Error::configuration("`mode: verify-ca` needs a `ca`").code(CERTIFICATE).key(["mode"]).hint(
            "any server could present a certificate of one of the system's authorities: name your own, or verify its name with verify-full",
        ));
    }
    if tls.certificate.is_some() || tls.key.is_some() {
        return Err(Error::configuration("`certificate` needs a `ca` as well")
            .code(CERTIFICATE)
            .key(["certificate"])
            .hint("name the file with the authorities to trust"));
    }
    // The first caller installs it; all of this program is built on the same provider.
    let _ = CryptoProvider::install_default(provider.as_ref().clone());
    let (connector, _) = MakeRustlsConnect::with_native_certs().map_err(|errors| {
        let why = errors.first().map_or_else(|| "there are none".to_owned(), ToString::to_string);
        Error::environment(format!("cannot read the system's certificate authorities: {why}"))
            .code(CERTIFICATE)
            .hint("install ca-certificates, or name a `ca`")
    })?;
    Ok(connector)
}

fn roots(ca: &str) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca, "ca")? {
        roots.add(certificate).map_err(|error| Error::configuration(format!("`ca: {ca}`: {error}")).code(CERTIFICATE).key(["ca"]))?;
    }
    Ok(roots)
}

fn certificates(path: &str, key: &str) -> Result<Vec<CertificateDer<'static>>> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Error::configuration(format!("`{key}: {path}`: {error}"))
            .code(CERTIFICATE)
            .key([key])
            .hint("it has to be a PEM file of certificates")
    };
    let found = CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(|error| unreadable(&error))?;
    if found.is_empty() { Err(unreadable(&"there is no certificate in it")) } else { Ok(found) }
}

fn private_key(path: &str) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| {
        Error::configuration(format!("`key: {path}`: {error}"))
            .code(CERTIFICATE)
            .key(["key"])
            .hint("it has to be a PEM file with a private key without a password")
    })
}

/// Verifies that the certificate is of a trusted authority, with any name.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.0.verify_server_cert(certificate, intermediates, name, stapled, now) {
            // The name is checked after everything else.
            Err(rustls::Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. })) => {
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Takes any certificate: `prefer` and `require` encrypt and verify nothing, as PostgreSQL defines them.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
