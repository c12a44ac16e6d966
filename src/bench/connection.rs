//! One kept connection, and one request at a time over it.

use std::io;
use std::time::Duration;

use futures_util::FutureExt;

use super::answer::{Body, Head, Malformed};
use super::stream::{Door, Stream};
use super::tally::{Cause, MAX_SAMPLE};
use super::tls;

/// What a connection reads at once, at first.
const MIN_BUFFER: usize = 8 << 10;
/// What it reads at once when answers are long; also the longest head.
const MAX_BUFFER: usize = 64 << 10;
/// Bytes of an answer's body; it is not kept, so this is the bound of a stream that never ends.
const MAX_ANSWER: u64 = 1 << 30;

/// A connection that is made when it is needed, and again when it broke.
pub(super) struct Connection {
    stream: Option<Stream>,
    buffer: Vec<u8>,
    /// The front of the last body, of an answer that was no success, or why there was no TLS.
    sample: Vec<u8>,
    /// Bytes read, of whole answers and others.
    pub(super) bytes_received: u64,
    /// How often it was made.
    pub(super) made: u64,
}

impl Connection {
    pub(super) fn new() -> Connection {
        Connection {
            stream: None,
            buffer: vec![0; MIN_BUFFER],
            sample: Vec::new(),
            bytes_received: 0,
            made: 0,
        }
    }

    /// Makes the connection unless it is there, and drops one that the server closed while nothing was asked.
    pub(super) async fn ready(&mut self, door: &Door) -> Result<(), Cause> {
        if let Some(stream) = &mut self.stream {
            match stream.read(&mut self.buffer).now_or_never() {
                None => return Ok(()),
                // Closed, or said something unasked.
                Some(_) => self.stream = None,
            }
        }
        self.connect(door).await
    }

    async fn connect(&mut self, door: &Door) -> Result<(), Cause> {
        let stream = door.connect().await;
        self.stream = Some(stream.map_err(|error| self.why(&error, Cause::Connect))?);
        self.made += 1;
        Ok(())
    }

    /// Sends a request and reads the whole answer; its status. Dropped before its end, it leaves no connection.
    pub(super) async fn exchange(&mut self, door: &Door, request: &[u8]) -> Result<u16, Cause> {
        self.sample.clear();
        if self.stream.is_none() {
            self.connect(door).await?;
        }
        let mut stream = self.stream.take().ok_or(Cause::Connect)?;
        // A server may refuse, answer and close before it has read everything; what it said counts.
        let sent = stream.write_all(request).await;
        let (status, keep) = self.answer(&mut stream).await?;
        if keep && sent.is_ok() {
            self.stream = Some(stream);
        }
        Ok(status)
    }

    /// The front of the last body that came with another status than 200; what went wrong after [`Cause::Tls`].
    pub(super) fn sample(&self) -> &[u8] {
        &self.sample
    }

    async fn answer(&mut self, stream: &mut Stream) -> Result<(u16, bool), Cause> {
        let mut filled = 0;
        let mut head = loop {
            let bytes = self.buffer.get(..filled).unwrap_or_default();
            if let Some(hint) = tls::meant(bytes) {
                self.sample.extend_from_slice(hint.as_bytes());
                return Err(Cause::Tls);
            }
            match Head::read(bytes)? {
                // 100 and its like come before the answer.
                Some(head) if head.status < 200 => {
                    self.buffer.copy_within(head.bytes..filled, 0);
                    filled -= head.bytes;
                }
                Some(head) => break head,
                None => filled += self.read(stream, filled).await?,
            }
        };
        let mut at = head.bytes;
        let mut length = 0;
        loop {
            let bytes = self.buffer.get(at..filled).unwrap_or_default();
            let (taken, last) = head.body.take(bytes)?;
            if head.status != 200 {
                let room = MAX_SAMPLE.saturating_sub(self.sample.len()).min(taken);
                self.sample
                    .extend_from_slice(bytes.get(..room).unwrap_or_default());
            }
            length += taken as u64;
            if length > MAX_ANSWER {
                return Err(Cause::TooLong);
            }
            if last {
                // Bytes behind the answer were not asked for; the connection is out of step.
                return Ok((head.status, head.keep && at + taken == filled));
            }
            at = 0;
            filled = match (self.read(stream, 0).await, head.body) {
                (Err(Cause::Closed), Body::Close) => return Ok((head.status, false)),
                (read, _) => read?,
            };
        }
    }

    /// Reads behind the first `filled` bytes of the buffer, which grows as answers are longer; never 0.
    async fn read(&mut self, stream: &mut Stream, filled: usize) -> Result<usize, Cause> {
        if filled == self.buffer.len() {
            if filled >= MAX_BUFFER {
                return Err(Cause::TooLong);
            }
            self.buffer.resize(filled * 2, 0);
        }
        let room = self.buffer.get_mut(filled..).unwrap_or_default();
        let read = stream.read(room).await;
        let read = read.map_err(|error| self.why(&error, Cause::Closed))?;
        if read == 0 {
            return Err(Cause::Closed);
        }
        if filled + read == self.buffer.len() && self.buffer.len() < MAX_BUFFER {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        self.bytes_received += read as u64;
        Ok(read)
    }

    /// Why a connection is none: TLS, of which it is kept what was wrong, or else `otherwise`.
    fn why(&mut self, error: &io::Error, otherwise: Cause) -> Cause {
        let Some(mut reason) = tls::reason(error).map(String::into_bytes) else {
            return otherwise;
        };
        reason.truncate(MAX_SAMPLE);
        self.sample = reason;
        Cause::Tls
    }
}

impl From<Malformed> for Cause {
    fn from(_: Malformed) -> Cause {
        Cause::Malformed
    }
}

/// How long a connection that could not be made is left alone, so that a dead server is not stormed.
pub(super) const PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::super::address::Address;
    use super::*;

    /// What comes of one exchange with a server that answers each request with these bytes, and then closes or not.
    fn check(reply: &'static str, close: bool, wanted: Result<u16, Cause>) -> Connection {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address: Address = format!("http://{}", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let door = Door::new(&address, None).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 64]).unwrap();
            // In pieces, as networks deliver it.
            for piece in reply.as_bytes().chunks(7) {
                // A client that has seen enough leaves.
                let _ = stream.write_all(piece);
            }
            if !close {
                let _ = stream.read(&mut [0; 64]);
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let mut connection = Connection::new();
        let got = runtime.block_on(connection.exchange(&door, b"POST / HTTP/1.1\r\n\r\n"));
        assert_eq!(got, wanted, "{reply}");
        // Dropped, so that the server's thread ends.
        let kept = connection.stream.take().is_some();
        server.join().unwrap();
        assert_eq!(
            kept,
            wanted.is_ok() && !close && !reply.contains("close"),
            "{reply}"
        );
        connection
    }

    #[test]
    fn every_form_of_answer_is_read_to_its_end() {
        check("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", false, Ok(200));
        check(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            false,
            Ok(200),
        );
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        check(chunked, false, Ok(200));
        let last = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";
        check(last, true, Ok(200));
        check("HTTP/1.1 200 OK\r\n\r\nuntil the end", true, Ok(200));
        let refused = check(
            "HTTP/1.1 413 Too Large\r\ncontent-length: 4\r\n\r\nlong",
            false,
            Ok(413),
        );
        assert_eq!(refused.sample(), b"long");
    }

    #[test]
    fn what_is_cut_short_or_garbled_is_no_answer() {
        check(
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc",
            true,
            Err(Cause::Closed),
        );
        check(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nabc",
            true,
            Err(Cause::Closed),
        );
        check("", true, Err(Cause::Closed));
        check("SSH-2.0-OpenSSH\r\n\r\n", true, Err(Cause::Malformed));
    }
}
