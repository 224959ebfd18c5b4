//! TLS to the server: what is trusted, what is verified, and the client's certificate.

use std::path::PathBuf;

use mysql_async::{ClientIdentity, Error as ClientError, IoError, SslOpts};
use rustls::CertificateError;
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
    let verifies = matches!(mode, MysqlTlsMode::VerifyCa | MysqlTlsMode::VerifyFull);
    let mut options = SslOpts::default().with_danger_accept_invalid_certs(!verifies);
    if verifies {
        let roots = match &tls.ca {
            Some(ca) => certificates(ca, "ca")?,
            None if mode == MysqlTlsMode::VerifyCa => {
                return Err(Error::configuration("`mode: verify-ca` needs a `ca`").code(CERTIFICATE).key(["mode"]).hint(
                    "any server could present a certificate of one of the system's authorities: name your own, or verify its name with verify-full",
                ));
            }
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

/// The name of a server whose certificate is of a trusted authority and for this name, but not for the one that was asked for; `None` for any other
/// error.
///
/// The client can't leave names out, so `verify-ca` connects once more, by this one. Names are verified after everything else. What is not understood here
/// is refused by the client.
pub(super) fn own_name(error: &ClientError) -> Option<String> {
    let ClientError::Io(IoError::Io(error)) = error else { return None };
    let presented = match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }) => presented,
        _ => return None,
    };
    presented.iter().find_map(|name| {
        let dns = name.strip_prefix("DnsName(\"").and_then(|rest| rest.strip_suffix("\")"));
        let address = name.strip_prefix("IpAddress(").and_then(|rest| rest.strip_suffix(")"));
        // Any name fits a wildcard.
        dns.map(|name| name.replacen('*', "any", 1)).or_else(|| address.map(str::to_owned))
    })
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
    fn verify_ca_needs_an_authority_of_its_own() {
        let error = options(&MysqlTls::default(), MysqlTlsMode::VerifyCa).unwrap_err();
        assert!(error.message().contains("needs a `ca`"), "{error}");
    }

    #[test]
    fn a_certificate_for_another_name_tells_its_own() {
        let named = |presented: &[&str]| {
            let expected = rustls::pki_types::ServerName::try_from("elsewhere").unwrap();
            let presented = presented.iter().map(ToString::to_string).collect();
            let error = rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { expected, presented });
            own_name(&ClientError::Io(IoError::Io(std::io::Error::other(error))))
        };
        assert_eq!(
            named(&["Unsupported(0x01)", "DnsName(\"*.db.example.org\")", "IpAddress(10.0.0.1)"]).as_deref(),
            Some("any.db.example.org")
        );
        assert_eq!(named(&["IpAddress(10.0.0.1)"]).as_deref(), Some("10.0.0.1"));
        assert_eq!((named(&[]), named(&["DirectoryName"])), (None, None));
        let expired = rustls::Error::InvalidCertificate(CertificateError::Expired);
        assert_eq!(own_name(&ClientError::Io(IoError::Io(std::io::Error::other(expired)))), None);
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
