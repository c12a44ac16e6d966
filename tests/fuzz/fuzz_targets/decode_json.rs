//! Any bytes, as JSON requests for models of every kind of signature: no panic, and the decoder of regular requests
//! answers what the other one does.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use modelsd::model::signature::Signature;
use modelsd::protocol::Limits;
use modelsd::protocol::mlflow::json::JsonCodec;

static SIGNATURES: LazyLock<Vec<Signature>> = LazyLock::new(|| {
    let params = r#"[{"name": "n", "default": 2, "shape": null, "type": "long"},
        {"name": "l", "default": ["a"], "shape": [-1], "type": "string"}]"#;
    let inputs = [
        None,
        Some(r#"[{"type": "double", "name": "a"}, {"type": "double", "name": "b"}]"#),
        Some(
            r#"[{"type": "boolean", "name": "a"}, {"type": "integer", "name": "b"}, {"type": "string", "name": "c"},
                {"type": "float", "name": "d", "required": false}, {"type": "long", "name": "e", "required": false}]"#,
        ),
        Some(
            r#"[{"type": "datetime", "name": "a", "required": false}, {"type": "binary", "name": "b", "required": false}]"#,
        ),
        Some(
            r#"[{"type": "array", "items": {"type": "double"}, "name": "a"}, {"type": "any", "name": "d"},
                {"type": "object", "name": "b", "properties": {"k": {"type": "string", "required": false}}},
                {"type": "map", "values": {"type": "long"}, "name": "c"}]"#,
        ),
        Some(r#"[{"type": "long"}, {"type": "long"}]"#),
        Some(r#"[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}}]"#),
        Some(
            r#"[{"name": "a", "type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1, 2]}},
                {"name": "b", "type": "tensor", "tensor-spec": {"dtype": "str", "shape": [-1]}}]"#,
        ),
    ];
    let parse = |inputs: &Option<&str>| Signature::parse(*inputs, None, Some(params)).expect("a signature");
    inputs.iter().map(parse).collect()
});

fuzz_target!(|body: &[u8]| {
    let codec = JsonCodec::default();
    for signature in SIGNATURES.iter() {
        let any = codec.decode_any(body, signature, Limits::default());
        if let Some(regular) = codec.decode_regular(body, signature, Limits::default()) {
            let any = any.expect("a regular request is read by both decoders");
            // In print NaN equals itself.
            assert_eq!(format!("{regular:?}"), format!("{any:?}"));
        }
    }
});
