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
        if pieces.iter().map(|piece| piece.len()).sum::<usize>() > SMALL {
            return Pin::new(&mut self.0).poll_write_vectored(cx, pieces);
        }
        // On the stack, and not made by a function, which would move it.
        let mut row = SmallVec::<[u8; SMALL]>::new();
        for piece in pieces {
            row.extend_from_slice(piece);
        }
        Pin::new(&mut self.0).poll_write(cx, &row)
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

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use hyper_util::rt::TokioIo;
    use tokio::io::AsyncReadExt;

    use super::*;

    /// What arrives of these pieces, and how many bytes of them were taken.
    fn written(pieces: &[&[u8]]) -> (Vec<u8>, usize) {
        let (near, mut far) = tokio::io::duplex(4 * SMALL);
        let mut near = SmallWrites(TokioIo::new(near));
        let slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let write = |cx: &mut Context<'_>| Pin::new(&mut near).poll_write_vectored(cx, &slices);
        let taken = std::future::poll_fn(write).now_or_never().unwrap().unwrap();
        drop(near);
        let mut all = Vec::new();
        far.read_to_end(&mut all).now_or_never().unwrap().unwrap();
        (all, taken)
    }

    #[test]
    fn pieces_arrive_in_order_whether_they_are_joined_or_not() {
        assert_eq!(written(&[b"head", b"", b"body"]), (b"headbody".to_vec(), 8));
        assert_eq!(written(&[]), (Vec::new(), 0));
        let long = vec![7; SMALL - 4];
        assert_eq!(written(&[b"head", &long]).1, SMALL);
        let (all, taken) = written(&[b"head", &long, b"."]);
        assert_eq!(all.len(), taken);
        assert_eq!(all.get(..4), Some(&b"head"[..]));
    }
}
