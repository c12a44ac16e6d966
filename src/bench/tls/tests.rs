//! Tests of what TLS is set up with, and of what its failures say.

use rcgen::{CertificateParams, KeyPair};

use super::*;

/// A certificate and its key, as PEM.
fn signed() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn problem(authorities: Option<&str>, identity: Option<&str>) -> String {
    let [authorities, identity] = [authorities, identity].map(|text| text.map(str::as_bytes));
    let problem = Tls::new(authorities, identity).err();
    problem.map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn files_that_cannot_be_used_are_told_by_their_flags() {
    let (certificate, key) = signed();
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let (_, other) = signed();
    for (authorities, identity, wanted) in [
        ("", None, "--tls-ca must be"),
        (key.as_str(), None, "--tls-ca must be"),
        (broken, None, "of --tls-ca cannot be used"),
        (&certificate, Some(certificate.clone()), "--tls-identity must be"),
        (&certificate, Some(key.clone()), "--tls-identity must be"),
        (
            &certificate,
            Some(format!("{certificate}{other}")),
            "certificate and key of --tls-identity",
        ),
        (&certificate, Some(format!("{key}{certificate}")), ""),
        (&certificate, None, ""),
    ] {
        let told = problem(Some(authorities), identity.as_deref());
        assert!(
            told.starts_with(wanted) || told.contains(wanted),
            "{wanted}: {told}"
        );
        assert_eq!(told.is_empty(), wanted.is_empty(), "{wanted}: {told}");
    }
}

#[test]
fn what_ends_a_connection_says_what_helps() {
    let of = |error: rustls::Error| reason(&io::Error::other(error)).unwrap();
    let certificate = |error: CertificateError| of(error.into());
    assert!(certificate(CertificateError::UnknownIssuer).contains("--tls-ca"));
    assert!(certificate(CertificateError::NotValidForName).contains("another name"));
    assert!(certificate(CertificateError::Expired).contains("has expired"));
    assert!(certificate(CertificateError::BadEncoding).contains("cannot be trusted (BadEncoding)"));
    let alert = |alert| of(rustls::Error::AlertReceived(alert));
    assert!(alert(AlertDescription::CertificateRequired).contains("wants a certificate"));
    assert!(alert(AlertDescription::UnknownCA).contains("does not take our certificate"));
    assert!(alert(AlertDescription::NoApplicationProtocol).contains("HTTP/1.1"));
    assert!(alert(AlertDescription::HandshakeFailure).contains("--tls-identity"));
    let plain = rustls::InvalidMessage::InvalidContentType;
    assert!(of(plain.into()).contains("http://"));
    assert!(of(rustls::Error::DecryptError).starts_with("TLS failed: "));
    assert_eq!(reason(&io::ErrorKind::ConnectionReset.into()), None);
    assert_eq!(reason(&io::Error::other("else")), None);
}
