//! LightGBM texts, and its scikit-learn classes in pickles and skops files. Any bytes give a model that answers, or an error, never a
//! panic, and nothing is run.

#![no_main]

use libfuzzer_sys::fuzz_target;

const ENTRIES: [(&str, &str); 3] = [
    (
        "model.lgb",
        r#"{"data":"model.lgb","model_class":"lightgbm.basic.Booster"}"#,
    ),
    (
        "model.pkl",
        r#"{"data":"model.pkl","model_class":"lightgbm.sklearn.LGBMClassifier"}"#,
    ),
    (
        "model.skops",
        r#"{"data":"model.skops","model_class":"lightgbm.sklearn.LGBMRegressor","serialization_format":"skops"}"#,
    ),
];

fuzz_target!(|bytes: &[u8]| modelsd_fuzz::native("lightgbm", &ENTRIES, bytes));
