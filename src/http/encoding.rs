//! Content codings of request bodies: which were applied, and their expansion within a bound.

use std::io::{self, Read};

use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;
use bytes::Bytes;
use flate2::bufread::GzDecoder;
use smallvec::SmallVec;

/// What is read, for the `accept-encoding` of a 415 and for messages.
pub const READ: &str = "gzip, zstd";

/// Codings one body may have. Nobody has a use for more, and each is a way to make much of little.
const MAX_CODINGS: usize = 2;
/// Members or frames that one body may be made of: each costs microseconds however little is in it, so that a body of
/// nothing else would keep a thread busy for half a minute. Those who write many make each of tens of kilobytes.
const MAX_PARTS: usize = 10_000;
/// Exponent of the largest window a zstd frame may ask for: 8 MiB, the bound that RFC 9659 sets for this coding. The
/// library's own is 128 MiB.
const ZSTD_WINDOW_LOG: u32 = 23;
/// The expansion begins with room for this many times what was sent: about what JSON of numbers comes to.
const FIRST_GUESS: usize = 4;
/// Bytes expanded at a time.
const STEP: usize = 64 << 10;
/// How libzstd tells of a window beyond the bound; it has no other sign that the crate hands on.
const ZSTD_WINDOW_TOO_LARGE: &str = "Frame requires too much memory for decoding";

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952, one member or several.
    Gzip,
    /// RFC 8878, one frame or several.
    Zstd,
}

impl Coding {
    /// As headers spell it.
    pub fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Zstd => "zstd",
        }
    }

    /// Reads a name, in any case; `x-gzip` is an old one (RFC 9110, 8.4.1.3).
    pub(super) fn named(name: &str) -> Option<Coding> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("gzip") || is("x-gzip") {
            Some(Coding::Gzip)
        } else if is("zstd") {
            Some(Coding::Zstd)
        } else {
            None
        }
    }
}

/// Codings in the order in which they were applied.
pub type Codings = SmallVec<[Coding; MAX_CODINGS]>;

/// Why a body was not expanded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A coding that is not read.
    #[error("The content-encoding `{0}` is not read here. Use {READ}, or none.")]
    Unknown(String),
    /// More codings than anybody needs.
    #[error("The request body has more than {MAX_CODINGS} content codings. Use one of {READ}, or none.")]
    TooMany,
    /// The bound was reached.
    #[error(
        "The request body, {sent} bytes of {}, expands to more than the limit of {limit} bytes. Send fewer rows a \
         request, or start modelsd with a larger --max-body-bytes.", .coding.name()
    )]
    TooLong {
        /// What it was sent as.
        coding: Coding,
        /// Its bytes as sent.
        sent: usize,
        /// The bound.
        limit: usize,
    },
    /// A zstd frame asks for more memory than is given.
    #[error(
        "The request body is a zstd frame with a window of more than {} MiB, the most that RFC 9659 allows. Compress it \
         with a level below 20, or with --zstd=wlog={ZSTD_WINDOW_LOG}.", (1 << ZSTD_WINDOW_LOG) >> 20
    )]
    Window,
    /// More members or frames than anybody needs.
    #[error("The request body is made of more than {MAX_PARTS} pieces of {}. Compress it as one.", .0.name())]
    TooManyParts(Coding),
    /// It is not what it says, or not all of it.
    #[error(
        "The request body is not whole {}: {source}, at byte {at} of {sent}, after {expanded} bytes were expanded.",
        .coding.name()
    )]
    Damaged {
        /// What it should be.
        coding: Coding,
        /// How far it was read.
        at: usize,
        /// Its bytes as sent.
        sent: usize,
        /// What came of it until then.
        expanded: usize,
        /// What is wrong.
        source: io::Error,
    },
}

/// The codings of a body, `identity` left out.
///
/// # Errors
/// [`Error::Unknown`] and [`Error::TooMany`].
pub fn applied(headers: &HeaderMap) -> Result<Codings, Error> {
    let mut codings = Codings::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        let value = String::from_utf8_lossy(value.as_bytes());
        for name in value.split(',').map(str::trim) {
            // Lists may have empty elements (RFC 9110, 5.6.1).
            if name.is_empty() || name.eq_ignore_ascii_case("identity") {
                continue;
            }
            let coding = Coding::named(name).ok_or_else(|| Error::Unknown(shown(name)))?;
            if codings.len() == MAX_CODINGS {
                return Err(Error::TooMany);
            }
            codings.push(coding);
        }
    }
    Ok(codings)
}

/// A name for a message; a hostile one is cut.
fn shown(name: &str) -> String {
    name.chars().take(40).flat_map(char::escape_debug).collect()
}

/// Undoes all codings, the last one first; no step gives more than `limit` bytes. What may take long, which is all
/// beyond `little` bytes sent or expanded, is run by `aside`.
///
/// # Errors
/// [`Error::TooLong`], [`Error::Window`] and [`Error::Damaged`].
pub fn expand(
    mut body: Bytes,
    codings: &[Coding],
    limit: usize,
    little: usize,
    aside: impl Fn(&mut dyn FnMut() -> Result<bool, Error>) -> Result<bool, Error>,
) -> Result<Bytes, Error> {
    for coding in codings.iter().rev() {
        let mut expansion = Expansion::new(*coding, &body, limit)?;
        let done = body.len() < little && expansion.until(little)?;
        if !done {
            aside(&mut || expansion.until(usize::MAX))?;
        }
        body = Bytes::from(expansion.expanded);
    }
    Ok(body)
}

/// One coding being undone.
struct Expansion<'a> {
    decoder: Decoder<'a>,
    coding: Coding,
    sent: usize,
    /// Members or frames begun.
    parts: usize,
    expanded: Vec<u8>,
    limit: usize,
}

/// Of one member or frame. Both read from the body as it lies in memory, so that what is left of it tells how far they came.
enum Decoder<'a> {
    Gzip(Box<GzDecoder<&'a [u8]>>),
    Zstd(zstd::stream::read::Decoder<'static, &'a [u8]>),
}

impl<'a> Expansion<'a> {
    fn new(coding: Coding, body: &'a [u8], limit: usize) -> Result<Expansion<'a>, Error> {
        let decoder = match coding {
            Coding::Gzip => Ok(Decoder::Gzip(Box::new(GzDecoder::new(body)))),
            Coding::Zstd => zstd_decoder(body).map(Decoder::Zstd),
        };
        let decoder = decoder.map_err(|source| Error::Damaged {
            coding,
            at: 0,
            sent: body.len(),
            expanded: 0,
            source,
        })?;
        Ok(Expansion {
            decoder,
            coding,
            sent: body.len(),
            parts: 1,
            expanded: Vec::with_capacity(body.len().saturating_mul(FIRST_GUESS).min(limit)),
            limit,
        })
    }

    /// Goes on until it is done, which is `true`, or until `enough` bytes are there.
    fn until(&mut self, enough: usize) -> Result<bool, Error> {
        while self.expanded.len() < enough {
            let done = self.expanded.len();
            // When the limit is used up, one more byte tells an end from an excess.
            let mut probe = [0];
            let room = if done == self.limit {
                &mut probe[..]
            } else {
                self.make_room(done);
                self.expanded.get_mut(done..).unwrap_or_default()
            };
            let read = match &mut self.decoder {
                Decoder::Gzip(decoder) => decoder.read(room),
                Decoder::Zstd(decoder) => decoder.read(room),
            };
            self.expanded.truncate(done + read.as_ref().copied().unwrap_or(0));
            match read {
                Ok(0) => {
                    if !self.next_part()? {
                        return Ok(true);
                    }
                }
                Ok(_) if done == self.limit => {
                    return Err(Error::TooLong {
                        coding: self.coding,
                        sent: self.sent,
                        limit: self.limit,
                    });
                }
                Ok(_) => {}
                Err(source) => return Err(self.failed(source)),
            }
        }
        Ok(false)
    }

    /// Begins the next member or frame; `false` when there is none.
    fn next_part(&mut self) -> Result<bool, Error> {
        let rest = self.rest();
        if rest.is_empty() {
            return Ok(false);
        }
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return Err(Error::TooManyParts(self.coding));
        }
        match &mut self.decoder {
            Decoder::Gzip(decoder) => {
                decoder.reset(rest);
            }
            Decoder::Zstd(decoder) => match zstd_decoder(rest) {
                Ok(next) => *decoder = next,
                Err(source) => return Err(self.failed(source)),
            },
        }
        Ok(true)
    }

    /// What was not read yet.
    fn rest(&self) -> &'a [u8] {
        match &self.decoder {
            Decoder::Gzip(decoder) => decoder.get_ref(),
            Decoder::Zstd(decoder) => decoder.get_ref(),
        }
    }

    /// Fills one step beyond `done` with zeros, never beyond the limit; the memory behind grows by doubling.
    fn make_room(&mut self, done: usize) {
        let filled = (done + STEP).min(self.limit);
        if filled > self.expanded.capacity() {
            let room = (self.expanded.capacity() * 2).clamp(filled, self.limit);
            self.expanded.reserve_exact(room - done);
        }
        self.expanded.resize(filled, 0);
    }

    fn failed(&self, source: io::Error) -> Error {
        if self.coding == Coding::Zstd && source.to_string() == ZSTD_WINDOW_TOO_LARGE {
            return Error::Window;
        }
        Error::Damaged {
            coding: self.coding,
            at: self.sent - self.rest().len(),
            sent: self.sent,
            expanded: self.expanded.len(),
            source,
        }
    }
}

fn zstd_decoder(body: &[u8]) -> io::Result<zstd::stream::read::Decoder<'static, &[u8]>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG)?;
    Ok(decoder.single_frame())
}

#[cfg(test)]
mod tests;
