//! Sends a small answer in one piece.
//!
//! hyper hands the head and the body of an answer to the system as two pieces. For a few hundred bytes the system takes
//! longer to look at the list of pieces than we take to put them into one.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use smallvec::SmallVec;

/// Bytes up to which pieces are put together.
const SMALL: usize = 1024;

/// A connection whose small writes are put together.
pub(super) struct SmallWrites<T>(pub(super) T);

impl<T: Write + Unpin> Write for SmallWrites<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match joined(pieces) {
            Some(all) => Pin::new(&mut self.0).poll_write(cx, &all),
            None => Pin::new(&mut self.0).poll_write_vectored(cx, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl<T: Read + Unpin> Read for SmallWrites<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, room)
    }
}

/// The pieces in a row, if they fit.
fn joined(pieces: &[IoSlice<'_>]) -> Option<SmallVec<[u8; SMALL]>> {
    let all: usize = pieces.iter().map(|piece| piece.len()).sum();
    (all <= SMALL).then(|| {
        let mut row = SmallVec::new();
        for piece in pieces {
            row.extend_from_slice(piece);
        }
        row
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_that_fit_are_joined_and_others_are_not() {
        let joined = |pieces: &[IoSlice<'_>]| joined(pieces).map(|row| row.to_vec());
        let pieces = [IoSlice::new(b"head"), IoSlice::new(b""), IoSlice::new(b"body")];
        assert_eq!(joined(&pieces), Some(b"headbody".to_vec()));
        assert_eq!(joined(&[]), Some(Vec::new()));
        let long = vec![7; SMALL - 4];
        let mut pieces = vec![IoSlice::new(b"head"), IoSlice::new(&long)];
        assert_eq!(joined(&pieces).map(|row| row.len()), Some(SMALL));
        pieces.push(IoSlice::new(b"."));
        assert_eq!(joined(&pieces), None);
    }
}
