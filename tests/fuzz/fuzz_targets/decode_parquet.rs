//! Parquet bodies: an answer or an error within bounds.
//!
//! What the reader asserts of a file is caught by the decoder; under the fuzzer such a panic still ends the run, and
//! is worth a look.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelsd::model::signature::Signature;
use modelsd::protocol::mlflow::parquet::ParquetCodec;
use modelsd::protocol::{Codec, Limits};

fuzz_target!(|bytes: &[u8]| {
    let _ = ParquetCodec::default().decode(bytes, &Signature::default(), Limits::default());
});
