//! CatBoost files, binary and JSON. Any bytes give a model that answers, or an error, never a
//! panic, and nothing is run.

#![no_main]

use libfuzzer_sys::fuzz_target;

const ENTRIES: [(&str, &str); 2] = [
    (
        "model.cb",
        r#"{"data":"model.cb","model_type":"CatBoostClassifier","save_format":"cbm"}"#,
    ),
    (
        "model.cb",
        r#"{"data":"model.cb","model_type":"CatBoostRegressor","save_format":"json"}"#,
    ),
];

fuzz_target!(|bytes: &[u8]| modelsd_fuzz::native("catboost", &ENTRIES, bytes));
