//! CSV bodies: an answer or an error, never a panic, whatever the signature.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use modelsd::model::signature::Signature;
use modelsd::protocol::mlflow::csv::CsvCodec;
use modelsd::protocol::{Codec, Limits};

const INPUTS: [Option<&str>; 4] = [
    None,
    Some(
        r#"[{"name": "a", "type": "double"}, {"name": "b", "type": "long"}, {"name": "c", "type": "boolean"}]"#,
    ),
    Some(r#"[{"type": "integer"}, {"type": "string"}, {"type": "float"}]"#),
    Some(r#"[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}}]"#),
];

static SIGNATURES: LazyLock<Vec<Signature>> = LazyLock::new(|| {
    let signature =
        |inputs| Signature::parse(inputs, None, None).expect("the signatures above are well-formed");
    INPUTS.into_iter().map(signature).collect()
});

fuzz_target!(|bytes: &[u8]| {
    for signature in SIGNATURES.iter() {
        let _ = CsvCodec::default().decode(bytes, signature, Limits::default());
    }
});
