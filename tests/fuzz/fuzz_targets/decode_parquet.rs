//! Parquet bodies: an answer or an error within bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelsd::model::signature::Signature;
use modelsd::protocol::mlflow::parquet::ParquetCodec;
use modelsd::protocol::{Codec, Limits};

fuzz_target!(
    init: {
        // The reader of the format asserts what a file says of itself, which the decoder catches. The fuzzer would end
        // the run at any panic; only one of ours shall.
        std::panic::set_hook(Box::new(|panic| {
            if panic.location().is_some_and(|at| at.file().contains("protocol/mlflow")) {
                eprintln!("{panic}");
                std::process::abort();
            }
        }));
    },
    |bytes: &[u8]| {
        let _ = ParquetCodec::default().decode(bytes, &Signature::default(), Limits::default());
    }
);
