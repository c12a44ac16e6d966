//! TLS of the port, with certificates of an authority of the test's own and clients that check them.

use std::fs;
use std::future::Future;
use std::io::{Read, Write};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use bytes::Bytes;
use reqwest::{Certificate, Client, Identity};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::certificates::{Authority, Place, Signed};
use super::{ROW, token};
use crate::support::{Server, modelsd, repository};

const PATIENCE: Duration = Duration::from_secs(60);

fn run<T>(test: impl Future<Output = T>) -> T {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, test).await.expect("no hang") })
}

fn client(authority: &Authority, identity: Option<&Signed>) -> Client {
    let trusted = Certificate::from_pem(authority.pem.as_bytes()).unwrap();
    let mut builder = Client::builder().tls_certs_only([trusted]).timeout(PATIENCE);
    if let Some(Signed { certificate, key }) = identity {
        builder = builder.identity(Identity::from_pem(format!("{key}{certificate}").as_bytes()).unwrap());
    }
    builder.build().unwrap()
}

async fn predict(client: &Client, server: &Server) -> Result<u16, reqwest::Error> {
    let url = format!("https://{}/invocations", server.address);
    let request = client
        .post(url)
        .header("content-type", "application/json")
        .body(ROW);
    Ok(request.send().await?.status().as_u16())
}

async fn metric(client: &Client, server: &Server, name: &str) -> Option<f64> {
    let url = format!("https://{}/metrics", server.address);
    let text = client.get(url).send().await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().parse().ok()
}

/// A connection of rustls's own client.
async fn connect(
    server: &Server,
    authority: &Authority,
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let stream = TcpStream::connect(&server.address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

fn leaf(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

fn der(signed: &Signed) -> Vec<u8> {
    CertificateDer::from_pem_slice(signed.certificate.as_bytes())
        .unwrap()
        .to_vec()
}

/// One request on a connection that is kept.
async fn ping(stream: &mut TlsStream<TcpStream>) -> String {
    stream
        .write_all(b"GET /ping HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut seen = [0; 1024];
    let length = stream.read(&mut seen).await.unwrap();
    String::from_utf8_lossy(&seen[..length])
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn the_port_speaks_tls_in_both_versions_and_both_http() {
    let folder = tempfile::tempdir().unwrap();
    let (place, authority) = (Place::new(folder.path()), Authority::new("ours"));
    place.put(&authority.sign());
    let server = Server::start("models:/iris/1", &place.flags());
    run(async {
        let client = client(&authority, None);
        assert_eq!(predict(&client, &server).await.unwrap(), 200);
        for (versions, wanted) in [
            (&TLS12, ProtocolVersion::TLSv1_2),
            (&TLS13, ProtocolVersion::TLSv1_3),
        ] {
            let mut stream = connect(&server, &authority, &[versions], &[]).await.unwrap();
            assert_eq!(stream.get_ref().1.protocol_version(), Some(wanted));
            assert_eq!(ping(&mut stream).await, "HTTP/1.1 200 OK");
        }
        let stream = connect(&server, &authority, &[&TLS13], &[b"h2", b"http/1.1"])
            .await
            .unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let mut client = client.ready().await.unwrap();
        let request = Request::post(format!("https://{}/invocations", server.address));
        let request = request
            .header("content-type", "application/json")
            .body(())
            .unwrap();
        let (answer, mut sender) = client.send_request(request, false).unwrap();
        sender.send_data(Bytes::from(ROW), true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 200);
        // Who trusts somebody else is not spoken to, and who speaks no TLS is not either.
        let other = Authority::new("other");
        assert!(connect(&server, &other, &[&TLS13], &[]).await.is_err());
    });
    let mut plain = server.connect();
    plain
        .write_all(b"GET /ping HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    let mut said = Vec::new();
    let _ = plain.read_to_end(&mut said);
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
    run(async {
        let client = client(&authority, None);
        let failed = metric(&client, &server, "modelsd_tls_handshakes_failed_total").await;
        assert!(failed >= Some(2.0), "{failed:?}");
        let redirect = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let trusted = Certificate::from_pem(authority.pem.as_bytes()).unwrap();
        let redirect = redirect.tls_certs_only([trusted]).build().unwrap();
        let url = format!("https://{}/ping/", server.address);
        let answer = redirect.get(url).send().await.unwrap();
        let wanted = format!("https://{}/ping", server.address);
        assert_eq!(answer.headers()["location"], wanted.as_str());
    });
}

#[test]
fn clients_need_a_certificate_of_their_authority() {
    let folder = tempfile::tempdir().unwrap();
    let (place, authority) = (Place::new(folder.path()), Authority::new("ours"));
    place.put(&authority.sign());
    let clients = Authority::new("clients");
    let file = folder.path().join("clients.pem");
    fs::write(&file, &clients.pem).unwrap();
    let flags = [&place.flags()[..], &["--tls-client-ca", file.to_str().unwrap()]].concat();
    let server = Server::start("models:/iris/1", &flags);
    let ours = clients.sign();
    run(async {
        let strangers = Authority::new("strangers").sign();
        assert!(predict(&client(&authority, None), &server).await.is_err());
        assert!(
            predict(&client(&authority, Some(&strangers)), &server)
                .await
                .is_err()
        );
        assert_eq!(
            predict(&client(&authority, Some(&ours)), &server).await.unwrap(),
            200
        );
    });
    // The commands show one too.
    let (trusted, identity) = (folder.path().join("ca.pem"), folder.path().join("me.pem"));
    fs::write(&trusted, &authority.pem).unwrap();
    fs::write(&identity, format!("{}{}", ours.key, ours.certificate)).unwrap();
    let pin = |more: &[&str]| {
        let url = format!("https://{}", server.address);
        let words = [
            "pin",
            "iris",
            "1",
            "--server",
            &url,
            "--tls-ca",
            trusted.to_str().unwrap(),
        ];
        modelsd()
            .args(words)
            .args(more)
            .output()
            .unwrap()
            .status
            .success()
    };
    let (_, port) = server.address.rsplit_once(':').unwrap();
    let healthy = |more: &[&str]| {
        let mut command = modelsd();
        // As in a container, where nothing is typed.
        command
            .env("MODELSD_PORT", port)
            .env("MODELSD_TLS_CERT", &place.certificate);
        command.env("MODELSD_TLS_CA", &trusted).arg("health").args(more);
        command.output().unwrap().status.success()
    };
    assert!(!healthy(&[]));
    assert!(healthy(&["--tls-identity", identity.to_str().unwrap()]));
    assert!(!pin(&[]));
    assert!(pin(&["--tls-identity", identity.to_str().unwrap()]));
}

#[test]
fn with_optional_certificates_tokens_decide_alone_and_bad_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (place, authority) = (Place::new(folder.path()), Authority::new("ours"));
    place.put(&authority.sign());
    let (clients, strangers) = (Authority::new("clients"), Authority::new("strangers"));
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (secret, line) = token("predict", "python", &[]);
    let (file, tokens) = (write("clients.pem", &clients.pem), write("tokens", &line));
    let flags = ["--tls-client-ca", &file, "--tls-client-auth", "optional"];
    let flags = [
        &place.flags()[..],
        &flags,
        &["--token-file", &tokens, "--anonymous", "read"],
    ]
    .concat();
    let server = Server::start("models:/iris/1", &flags);
    let script = r#"
import http.client, ssl, sys
host, ca, token, *certificates = sys.argv[1:]

def ask(version, certificate, headers):
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = context.maximum_version = version
    if certificate:
        context.load_cert_chain(certificate)
    connection = http.client.HTTPSConnection(host, context=context)
    try:
        body = '{"inputs": [[5.1, 3.5, 1.4, 0.2]]}'
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json", **headers})
        return connection.getresponse().status
    except OSError as error:
        return "refused"

for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
    for certificate in None, *certificates:
        print(ask(version, certificate, {}), ask(version, certificate, {"Authorization": "Bearer " + token}))
"#;
    let identity = |name: &str, of: &Authority| {
        let Signed { certificate, key } = of.sign();
        write(name, &format!("{key}{certificate}"))
    };
    let output = Command::new(repository(".venv-test/bin/python"))
        .args([
            "-c",
            script,
            &server.address,
            &write("ca.pem", &authority.pem),
            &secret,
        ])
        .args([
            identity("ours.pem", &clients),
            identity("stranger.pem", &strangers),
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let each = "401 200\n401 200\nrefused refused\n";
    assert_eq!(
        said,
        each.repeat(2),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    run(async {
        let client = client(&authority, None);
        let count = |label: &str| format!("modelsd_tls_connections_total{{client_certificate=\"{label}\"}}");
        // Python's, and the two that ask here, or the one that they keep.
        let none = metric(&client, &server, &count("none")).await;
        assert!(none >= Some(5.0) && none <= Some(6.0), "{none:?}");
        assert_eq!(metric(&client, &server, &count("shown")).await, Some(4.0));
        // The server may count after its client has gone.
        while metric(&client, &server, "modelsd_tls_handshakes_failed_total").await != Some(4.0) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

#[test]
fn a_new_certificate_counts_for_new_connections_and_a_bad_one_for_none() {
    let folder = tempfile::tempdir().unwrap();
    let (place, authority) = (Place::new(folder.path()), Authority::new("ours"));
    let (first, second) = (authority.sign(), authority.sign());
    place.put(&first);
    let server = Server::start("models:/iris/1", &place.flags());
    run(async {
        let now = async || leaf(&connect(&server, &authority, &[&TLS13], &[]).await.unwrap());
        let client = client(&authority, None);
        let rejected = async || {
            let name = "modelsd_credentials_read_total{kind=\"tls\",outcome=\"rejected\"}";
            metric(&client, &server, name).await.unwrap_or(0.0)
        };
        let pause = || tokio::time::sleep(Duration::from_millis(20));
        let mut kept = connect(&server, &authority, &[&TLS13], &[]).await.unwrap();
        assert_eq!((leaf(&kept), now().await), (der(&first), der(&first)));
        assert_eq!(ping(&mut kept).await, "HTTP/1.1 200 OK");
        place.put(&second);
        while now().await != der(&second) {
            pause().await;
        }
        // The connection from before goes on.
        assert_eq!(ping(&mut kept).await, "HTTP/1.1 200 OK");
        let before = rejected().await;
        fs::write(&place.certificate, "half a certif").unwrap();
        while rejected().await <= before {
            pause().await;
        }
        assert_eq!(now().await, der(&second));
        // A certificate without its key is no better.
        let before = rejected().await;
        fs::write(&place.certificate, &first.certificate).unwrap();
        while rejected().await <= before {
            pause().await;
        }
        assert_eq!(now().await, der(&second));
        fs::write(&place.key, &first.key).unwrap();
        while now().await != der(&first) {
            pause().await;
        }
        assert_eq!(ping(&mut kept).await, "HTTP/1.1 200 OK");
        let expiry = metric(
            &client,
            &server,
            "modelsd_tls_certificate_expiry_timestamp_seconds",
        )
        .await;
        assert!(expiry > Some(4e9), "{expiry:?}");
    });
}

#[test]
fn a_client_that_says_nothing_is_let_go_and_the_end_waits_for_none() {
    let folder = tempfile::tempdir().unwrap();
    let (place, authority) = (Place::new(folder.path()), Authority::new("ours"));
    place.put(&authority.sign());
    let flags = [&place.flags()[..], &["--client-timeout", "0.5"]].concat();
    let server = Server::start("models:/iris/1", &flags);
    let mut silent = server.connect();
    // The read ends when the server closes, and fails after the patience of the test.
    assert_eq!(silent.read(&mut [0; 8]).unwrap(), 0);
    drop(server);
    let server = Server::start("models:/iris/1", &place.flags());
    let _silent = server.connect();
    server.terminate();
    assert!(server.wait().0.success());
}

#[test]
fn python_asks_over_tls_with_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let (place, authority) = (Place::new(folder.path()), Authority::new("ours"));
    place.put(&authority.sign());
    let (secret, line) = token("predict", "python", &[]);
    let (tokens, trusted) = (folder.path().join("tokens"), folder.path().join("ca.pem"));
    fs::write(&tokens, line).unwrap();
    fs::write(&trusted, &authority.pem).unwrap();
    let flags = [&place.flags()[..], &["--token-file", tokens.to_str().unwrap()]].concat();
    let server = Server::start("models:/iris/1", &flags);
    let script = r#"
import requests, sys
url, ca, token = sys.argv[1:]
# Not on a session: there the environment's authorities would come first.
ask = lambda **more: requests.post(url, json={"inputs": [[5.1, 3.5, 1.4, 0.2]]}, verify=ca, **more).status_code
print(ask(), ask(headers={"Authorization": "Bearer " + token}))
"#;
    let url = format!("https://{}/invocations", server.address);
    let output = Command::new(repository(".venv-test/bin/python"))
        .args(["-c", script, &url, trusted.to_str().unwrap(), &secret])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        said.trim(),
        "401 200",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn bad_files_end_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path());
    let signed = Authority::new("ours").sign();
    place.put(&Signed {
        key: "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n".to_owned(),
        ..signed
    });
    for (flags, wanted) in [
        (&place.flags()[..], "is encrypted"),
        (&place.flags()[..2], "both --tls-cert and --tls-key"),
        (
            &["--tls-client-auth", "optional"],
            "for the certificates of --tls-client-ca",
        ),
        (
            &["--tls-client-auth", "maybe"],
            "is `maybe`: use required or optional",
        ),
    ] {
        let output = modelsd()
            .args(["serve", "-m", "models:/iris/1"])
            .args(flags)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{told}");
        assert!(told.contains(wanted), "{told}");
    }
}
