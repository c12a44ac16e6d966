//! Compressed bodies, in every pair of codings: what comes out is within its bound, wherever the work is cut in two.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use modelsd::http::encoding::{Coding, expand};

const LIMIT: usize = 1 << 20;

fuzz_target!(|body: &[u8]| {
    let body = Bytes::copy_from_slice(body);
    for first in [Coding::Gzip, Coding::Zstd] {
        for second in [None, Some(Coding::Gzip), Some(Coding::Zstd)] {
            let codings: Vec<Coding> = [Some(first), second].into_iter().flatten().collect();
            let undo = |little| expand(body.clone(), &codings, LIMIT, little, |work| work());
            match (undo(0), undo(1000)) {
                (Ok(whole), Ok(halved)) => assert!(whole == halved && whole.len() <= LIMIT),
                (Err(whole), Err(halved)) => assert_eq!(whole.to_string(), halved.to_string()),
                (whole, halved) => panic!("{:?} or {:?}", whole.err(), halved.err()),
            }
        }
    }
});
