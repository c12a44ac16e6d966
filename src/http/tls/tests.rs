//! Tests of reading certificates and keys.

use std::fs;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::*;

/// A folder with a certificate that ends then, and its key.
fn folder(ends: (i32, u8, u8)) -> (tempfile::TempDir, Config) {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        certificate: folder.path().join("cert.pem"),
        key: folder.path().join("key.pem"),
        clients: None,
    };
    write(&config, ends);
    (folder, config)
}

fn write(config: &Config, (year, month, day): (i32, u8, u8)) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = date_time_ymd(year, month, day);
    fs::write(&config.certificate, params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(&config.key, key.serialize_pem()).unwrap();
}

fn problem(config: &Config) -> String {
    Tls::load(config)
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default()
}

#[test]
fn the_end_of_a_certificate_is_read() {
    let (_folder, config) = folder((2100, 1, 2));
    let tls = Tls::load(&config).unwrap();
    assert_eq!(tls.current.load().ends, Some(Duration::from_secs(4_102_531_200)));
    assert_eq!(config.files(), [config.certificate.clone(), config.key.clone()]);
    // One that has expired is no reason not to start, and never replaces one.
    let (_other, old) = folder_of_the_past();
    assert!(Tls::load(&old).is_ok());
    write(&config, (2001, 1, 1));
    let refused = tls.reread().unwrap_err().to_string();
    assert!(refused.contains("has expired"), "{refused}");
    write(&config, (2100, 1, 3));
    assert!(tls.reread().unwrap().contains("days"));
    assert_eq!(tls.current.load().ends, Some(Duration::from_secs(4_102_617_600)));
}

fn folder_of_the_past() -> (tempfile::TempDir, Config) {
    folder((2001, 1, 1))
}

#[test]
fn what_cannot_be_used_is_told_by_name() {
    let (folder, config) = folder((2100, 1, 1));
    let with = |change: fn(&mut Config, PathBuf), name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let mut config = config.clone();
        change(&mut config, path);
        problem(&config)
    };
    let key = |config: &mut Config, path| config.key = path;
    let certificate = |config: &mut Config, path| config.certificate = path;
    let authorities = |config: &mut Config, path| {
        config.clients = Some(Clients {
            authorities: path,
            auth: ClientAuth::Optional,
        });
    };
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert!(with(key, "a", encrypted).contains("is encrypted"));
    let encrypted =
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    assert!(with(key, "b", encrypted).contains("is encrypted"));
    assert!(with(key, "c", "secret").contains("no private key in PEM form"));
    assert!(
        with(key, "d", &KeyPair::generate().unwrap().serialize_pem()).contains("cannot be used with the key")
    );
    assert!(with(certificate, "e", "").contains("no certificate in PEM form"));
    assert!(with(certificate, "f", &"x".repeat(MAX_BYTES as usize + 1)).contains("cannot read"));
    assert!(with(authorities, "g", "none").contains("no certificate in PEM form"));
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(with(authorities, "h", broken).contains("authorities in"));
    assert_eq!(problem(&config), "");
    fs::remove_file(&config.key).unwrap();
    assert!(problem(&config).contains("cannot read"));
}
