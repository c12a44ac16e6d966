//! `MLmodel` files: an answer or an error, quickly, and never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelsd::model::mlmodel::MlModel;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(model) = MlModel::parse(text) else { return };
    // What was read can be shown.
    for schema in [&model.signature.inputs, &model.signature.outputs]
        .into_iter()
        .flatten()
    {
        let _ = schema.to_string();
    }
});
