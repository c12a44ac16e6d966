//! What connections are made to, and what goes over them: plain or encrypted.

use std::future::poll_fn;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use rustls::ProtocolVersion;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::address::{Address, Place};
use super::tls::{self, Tls};

/// How long a server may take to say that it does not like us once it was greeted; most say at once that they do.
const SECOND_THOUGHTS: Duration = Duration::from_secs(1);

/// How a target is connected to.
#[derive(Clone)]
pub(super) enum Door {
    Plain(String, u16),
    /// With the name that the server's certificate must have.
    Tls(String, u16, TlsConnector, ServerName<'static>),
    Unix(PathBuf),
}

/// A connection.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

impl Door {
    /// The way to an address.
    ///
    /// # Errors
    /// When it is one of https and there is no TLS, or its host cannot have a certificate.
    pub(super) fn new(address: &Address, tls: Option<&Tls>) -> io::Result<Door> {
        let (host, port, encrypted) = match &address.place {
            Place::Socket(path) => return Ok(Door::Unix(path.clone())),
            // An IPv6 address has no brackets here.
            Place::Port { host, port, tls } => (host.trim_matches(['[', ']']).to_owned(), *port, *tls),
        };
        if !encrypted {
            return Ok(Door::Plain(host, port));
        }
        let missing = || io::Error::other(format!("there are no settings of TLS for {}", address.url()));
        let connector = tls.ok_or_else(missing)?.connector();
        let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
        Ok(Door::Tls(host, port, connector, name))
    }

    /// Makes a connection.
    ///
    /// Cancel-safe: dropping the future closes what there is of it.
    pub(super) async fn connect(&self) -> io::Result<Stream> {
        match self {
            Door::Plain(host, port) => Ok(Stream::Plain(to_port(host, *port).await?)),
            Door::Tls(host, port, connector, name) => {
                let stream = to_port(host, *port).await?;
                let stream = connector.connect(name.clone(), stream).await?;
                Ok(Stream::Tls(Box::new(stream)))
            }
            Door::Unix(path) => Ok(Stream::Unix(UnixStream::connect(path).await?)),
        }
    }

    /// Why TLS cannot be spoken to the server, if that is known: one that is not there may yet come.
    ///
    /// Cancel-safe: dropping the future closes the connection.
    pub(super) async fn greet(&self) -> Result<(), String> {
        if !matches!(self, Door::Tls(..)) {
            return Ok(());
        }
        let greeted = match self.connect().await {
            Ok(Stream::Tls(mut stream)) => accepted(&mut stream).await,
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        match greeted.as_ref().err().and_then(tls::reason) {
            Some(reason) => Err(reason),
            None => Ok(()),
        }
    }
}

async fn to_port(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    // Without it a body that follows its head may wait for the server's acknowledgement.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// In TLS 1.3 a server looks at a client's certificate when for the client the greeting is over: waits until it says that
/// it does not like it, or gives a ticket for the next session, which it does to whom it likes.
async fn accepted(stream: &mut TlsStream<TcpStream>) -> io::Result<()> {
    if stream.get_ref().1.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
        return Ok(());
    }
    let told = poll_fn(|context| {
        let mut byte = [0];
        let read = Pin::new(&mut *stream).poll_read(context, &mut ReadBuf::new(&mut byte));
        match read {
            Poll::Pending if stream.get_ref().1.tls13_tickets_received() > 0 => Poll::Ready(Ok(())),
            told => told,
        }
    });
    tokio::time::timeout(SECOND_THOUGHTS, told)
        .await
        .unwrap_or(Ok(()))
}

impl Stream {
    /// Sends all of it.
    pub(super) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.write_all(bytes).await,
            Stream::Unix(stream) => stream.write_all(bytes).await,
            Stream::Tls(stream) => {
                stream.write_all(bytes).await?;
                // The last of it may still be with us.
                stream.flush().await
            }
        }
    }

    /// Reads what there is; 0 at the end.
    ///
    /// Cancel-safe: what was not read stays where it was.
    pub(super) async fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.read(room).await,
            Stream::Unix(stream) => stream.read(room).await,
            Stream::Tls(stream) => stream.read(room).await,
        }
    }
}
