//! ONNX graphs that are lowered to plans. Any bytes give a model that answers, or an error, never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;

const ENTRIES: [(&str, &str); 1] = [("model.onnx", r#"{"data":"model.onnx"}"#)];

fuzz_target!(|bytes: &[u8]| modelsd_fuzz::native("onnx", &ENTRIES, bytes));
