//! TLS to the server: what is trusted, what is verified, and the client's certificate.

use std::path::PathBuf;

use mysql_async::{ClientIdentity, SslOpts};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use wasmill_engine::{Error, Result};

use crate::address::{MysqlTls, MysqlTlsMode};
use crate::codes::{CERTIFICATE, TLS};

/// The configured mode, where the URL sets none.
pub(super) fn mode(tls: &MysqlTls, url: Option<MysqlTlsMode>) -> Result<MysqlTlsMode> {
    if tls.mode.is_some() && url.is_some() && tls.mode != url {
        return Err(Error::configuration("`tls: { mode }` and `ssl-mode` in `url` differ")
            .code(TLS)
            .key(["tls"])
            .hint("set it in one place"));
    }
    let default = if tls.ca.is_some() { MysqlTlsMode::VerifyFull } else { MysqlTlsMode::Prefer };
    Ok(tls.mode.or(url).unwrap_or(default))
}

/// The TLS side of connections; none without. Reads the files that the configuration names.
pub(super) fn options(tls: &MysqlTls, mode: MysqlTlsMode) -> Result<Option<SslOpts>> {
    if mode == MysqlTlsMode::Disable {
        return Ok(None);
    }
    // The first caller installs it; all of this program is built on the same provider.
    let _ = CryptoProvider::install_default(ring::default_provider());
    let verifies = mode == MysqlTlsMode::VerifyFull;
    let mut options = SslOpts::default().with_danger_accept_invalid_certs(!verifies);
    if verifies {
        let roots = match &tls.ca {
            Some(ca) => certificates(ca, "ca")?,
            None => system_roots()?,
        };
        // Only these: the client has some of its own built in.
        options = options.with_disable_built_in_roots(true).with_root_certs(roots.iter().map(|root| root.to_vec().into()).collect());
    } else if let Some(ca) = &tls.ca {
        certificates(ca, "ca")?;
    }
    match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => {
            certificates(certificate, "certificate")?;
            private_key(key)?;
            let identity = ClientIdentity::new(PathBuf::from(certificate).into(), PathBuf::from(key).into());
            Ok(Some(options.with_client_identity(Some(identity))))
        }
        (None, None) => Ok(Some(options)),
        _ => {
            Err(Error::configuration("`certificate` and `key` go together: one of them is missing").code(CERTIFICATE).key(["certificate"]))
        }
    }
}

/// The authorities that the operating system trusts.
fn system_roots() -> Result<Vec<CertificateDer<'static>>> {
    let found = rustls_native_certs::load_native_certs();
    match found.certs.is_empty() {
        false => Ok(found.certs),
        true => {
            let why = found.errors.first().map_or_else(|| "there are none".to_owned(), ToString::to_string);
            Err(Error::environment(format!("cannot read the system's certificate authorities: {why}"))
                .code(CERTIFICATE)
                .hint("install ca-certificates, or name a `ca`"))
        }
    }
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

fn private_key(path: &str) -> Result<()> {
    PrivateKeyDer::from_pem_file(path).map(drop).map_err(|error| {
        Error::configuration(format!("`key: {path}`: {error}"))
            .code(CERTIFICATE)
            .key(["key"])
            .hint("it has to be a PEM file with a private key without a password")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_verified_unless_a_mode_says_otherwise() {
        let with_ca = MysqlTls { ca: Some("ca.pem".into()), ..MysqlTls::default() };
        assert_eq!(mode(&with_ca, None).unwrap(), MysqlTlsMode::VerifyFull);
        assert_eq!(mode(&MysqlTls::default(), None).unwrap(), MysqlTlsMode::Prefer);
        assert_eq!(mode(&MysqlTls::default(), Some(MysqlTlsMode::Require)).unwrap(), MysqlTlsMode::Require);
        let required = MysqlTls { mode: Some(MysqlTlsMode::Require), ..MysqlTls::default() };
        assert!(mode(&required, Some(MysqlTlsMode::Disable)).is_err());
    }

    #[test]
    fn files_are_read_before_any_connection() {
        for tls in [
            MysqlTls { ca: Some("/nowhere/ca.pem".into()), ..MysqlTls::default() },
            MysqlTls { certificate: Some("/nowhere/c.pem".into()), ..MysqlTls::default() },
            MysqlTls { certificate: Some("/nowhere/c.pem".into()), key: Some("/nowhere/k".into()), ..MysqlTls::default() },
        ] {
            assert!(options(&tls, MysqlTlsMode::Require).is_err(), "{tls:?}");
        }
        assert!(options(&MysqlTls::default(), MysqlTlsMode::Disable).unwrap().is_none());
    }
}
