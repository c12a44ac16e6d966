//! The walk over an ONNX file that looks for external data: any bytes give a survey or an error, never a panic.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use modelsd::flavor::onnx::walk::walk;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(survey) = walk(Cursor::new(bytes), bytes.len() as u64) {
        // Nothing is made up: what is found is in the file.
        for path in &survey.external {
            assert!(path.is_empty() || bytes.windows(path.len()).any(|window| window == path.as_bytes()));
        }
    }
});
