//! TLS of a server: its certificate and its key.

use std::fmt::Display;
use std::sync::Arc;

use rustls::ServerConfig as TlsConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use wasmill_engine::{Error, Result};

use crate::codes::CERTIFICATE;
use crate::config::ServerTls;

/// Accepts connections with TLS 1.2 and 1.3. Reads the files.
pub(crate) fn acceptor(tls: &ServerTls) -> Result<TlsAcceptor> {
    let wrong = |key: &'static str, path: &str, error: &dyn Display| {
        Error::configuration(format!("`{key}: {path}`: {error}")).code(CERTIFICATE).key(["tls", key])
    };
    let certificates = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong("certificate", &tls.certificate, &error))?;
    if certificates.is_empty() {
        return Err(wrong("certificate", &tls.certificate, &"there is no certificate in it"));
    }
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| wrong("key", &tls.key, &error))?;
    let builder = TlsConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::bug(format!("TLS can't be set up: {error}")))?;
    let mut config = builder
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|error| wrong("certificate", &tls.certificate, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_none_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pem").to_string_lossy().into_owned();
        let tls = ServerTls { certificate: path.clone(), key: path.clone() };
        assert!(acceptor(&tls).err().unwrap().message().starts_with("`certificate: "));
        std::fs::write(&path, "nothing").unwrap();
        assert!(acceptor(&tls).err().unwrap().message().contains("no certificate"));
    }
}
