//! Reads answers of HTTP/1.1 from what a socket gives, piece by piece, without keeping them.

/// Headers of an answer; more are none that a model server sends.
const MAX_HEADERS: usize = 96;

/// What the head of an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes of the head.
    pub(super) bytes: usize,
    /// Status.
    pub(super) status: u16,
    /// Where the body ends.
    pub(super) body: Body,
    /// Whether the connection can be used again.
    pub(super) keep: bool,
}

/// Where a body ends, and how much of it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// After so many more bytes.
    Length(u64),
    /// With the last chunk.
    Chunked(Chunks),
    /// With the connection.
    Close,
}

/// Where in a chunked body we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunks {
    /// In the line with a chunk's size: the size so far, and whether its digits are over.
    Size(u64, bool),
    /// In a chunk: bytes to come, with the line break after it.
    Content(u64),
    /// In the lines after the last chunk: whether the line has had anything.
    Trailer(bool),
}

/// The bytes are no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

impl Head {
    /// Reads a head; `None` until it is there as a whole.
    ///
    /// # Errors
    /// When the bytes are no head of an answer.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Head>, Malformed> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut answer = httparse::Response::new(&mut headers);
        let length = match answer.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(Malformed),
        };
        let (Some(status), Some(version)) = (answer.code, answer.version) else {
            return Err(Malformed);
        };
        let mut body = Body::Close;
        let mut keep = version == 1;
        for header in answer.headers.iter() {
            let value = std::str::from_utf8(header.value).map_err(|_| Malformed);
            if header.name.eq_ignore_ascii_case("content-length") {
                // A body in chunks has no other length.
                if !matches!(body, Body::Chunked(_)) {
                    body = Body::Length(value?.trim().parse().map_err(|_| Malformed)?);
                }
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                if value?.trim().eq_ignore_ascii_case("chunked") {
                    body = Body::Chunked(Chunks::Size(0, false));
                } else {
                    return Err(Malformed);
                }
            } else if header.name.eq_ignore_ascii_case("connection") {
                let value = value?.trim();
                keep = !value.eq_ignore_ascii_case("close")
                    && (keep || value.eq_ignore_ascii_case("keep-alive"));
            }
        }
        if status < 200 || status == 204 || status == 304 {
            body = Body::Length(0);
        }
        Ok(Some(Head {
            bytes: length,
            status,
            body,
            keep: keep && body != Body::Close,
        }))
    }
}

impl Body {
    /// Takes what belongs to the body from the front of `bytes`, and says how much that is, and whether it was the end.
    ///
    /// # Errors
    /// When a chunk is written wrongly.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(usize, bool), Malformed> {
        match self {
            Body::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                Ok((taken, *left == 0))
            }
            Body::Chunked(chunks) => chunks.take(bytes),
            Body::Close => Ok((bytes.len(), false)),
        }
    }
}

impl Chunks {
    fn take(&mut self, bytes: &[u8]) -> Result<(usize, bool), Malformed> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match self {
                Chunks::Content(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - at);
                    *left -= taken as u64;
                    at += taken;
                    if *left == 0 {
                        *self = Chunks::Size(0, false);
                    }
                    continue;
                }
                Chunks::Size(0, _) if byte == b'\n' => *self = Chunks::Trailer(false),
                Chunks::Size(size, _) if byte == b'\n' => {
                    *self = Chunks::Content(size.checked_add(2).ok_or(Malformed)?);
                }
                Chunks::Size(size, over) => match (char::from(byte).to_digit(16), *over) {
                    (Some(digit), false) => {
                        *size = size
                            .checked_mul(16)
                            .and_then(|size| size.checked_add(u64::from(digit)))
                            .ok_or(Malformed)?;
                    }
                    // An extension, or the end of the line.
                    (None, false) if matches!(byte, b';' | b'\r' | b' ' | b'\t') => *over = true,
                    (_, true) => {}
                    (None, false) => return Err(Malformed),
                },
                Chunks::Trailer(false) if byte == b'\n' => return Ok((at + 1, true)),
                Chunks::Trailer(seen) => *seen = byte != b'\n' && (*seen || byte != b'\r'),
            }
            at += 1;
        }
        Ok((at, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        Head::read(text.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn heads_say_how_the_body_ends() {
        for (lines, body, keep) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n", Body::Length(7), true),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\nContent-Length: 7\r\n",
                Body::Chunked(Chunks::Size(0, false)),
                true,
            ),
            (
                "HTTP/1.1 503 X\r\nconnection: Close\r\ncontent-length: 0\r\n",
                Body::Length(0),
                false,
            ),
            ("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n", Body::Length(1), false),
            (
                "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n",
                Body::Length(1),
                true,
            ),
            ("HTTP/1.1 200 OK\r\n", Body::Close, false),
            ("HTTP/1.1 204 No Content\r\n", Body::Length(0), true),
        ] {
            let head = head(&format!("{lines}\r\n"));
            assert_eq!((head.body, head.keep), (body, keep), "{lines}");
            assert_eq!(head.bytes, lines.len() + 2);
        }
        assert_eq!(Head::read(b"HTTP/1.1 200 OK\r\nA: b\r\n"), Ok(None));
    }

    #[test]
    fn nonsense_is_no_answer() {
        for text in [
            "SSH-2.0-OpenSSH\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        ] {
            assert_eq!(Head::read(text.as_bytes()), Err(Malformed), "{text}");
        }
        for text in ["x\r\n", "fffffffffffffffff\r\n", "ffffffffffffffff\r\n"] {
            let mut body = Body::Chunked(Chunks::Size(0, false));
            assert_eq!(body.take(text.as_bytes()), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn chunks_end_where_they_end_however_they_are_cut() {
        let text =
            b"4;a=b;c\r\n0\r\n\r\r\n1F\r\n0123456789012345678901234567890\r\n0\r\nA: b\r\n\r\nHTTP/1.1";
        let end = text.len() - "HTTP/1.1".len();
        for cut in 1..text.len() {
            let mut body = Body::Chunked(Chunks::Size(0, false));
            let (mut at, mut over) = (0, false);
            for piece in text.chunks(cut) {
                if over {
                    break;
                }
                let (taken, last) = body.take(piece).unwrap();
                at += taken;
                over = last;
            }
            assert_eq!((at, over), (end, true), "pieces of {cut}");
        }
    }

    #[test]
    fn a_length_leaves_what_is_behind_it() {
        let mut body = Body::Length(3);
        assert_eq!(body.take(b"ab"), Ok((2, false)));
        assert_eq!(body.take(b"cHTTP"), Ok((1, true)));
        assert_eq!(Body::Length(0).take(b"H"), Ok((0, true)));
    }
}
