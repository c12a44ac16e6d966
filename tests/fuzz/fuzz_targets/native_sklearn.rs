//! Pickles and skops files of scikit-learn. Any bytes give a model that answers, or an error, never a
//! panic, and nothing is run.

#![no_main]

use libfuzzer_sys::fuzz_target;

const ENTRIES: [(&str, &str); 2] = [
    (
        "model.pkl",
        r#"{"pickled_model":"model.pkl","serialization_format":"cloudpickle","sklearn_version":"1.9.1"}"#,
    ),
    (
        "model.skops",
        r#"{"pickled_model":"model.skops","serialization_format":"skops","sklearn_version":"1.9.1"}"#,
    ),
];

fuzz_target!(|bytes: &[u8]| modelsd_fuzz::native("sklearn", &ENTRIES, bytes));
