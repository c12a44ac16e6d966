//! XGBoost documents: UBJSON, JSON and the old binary format. Any bytes give a model that answers, or an error, never a
//! panic, and nothing is run.

#![no_main]

use libfuzzer_sys::fuzz_target;

const ENTRIES: [(&str, &str); 3] = [
    (
        "model.ubj",
        r#"{"data":"model.ubj","model_class":"xgboost.core.Booster"}"#,
    ),
    (
        "model.json",
        r#"{"data":"model.json","model_class":"xgboost.sklearn.XGBClassifier","model_format":"json"}"#,
    ),
    (
        "model.xgb",
        r#"{"data":"model.xgb","model_class":"xgboost.sklearn.XGBRegressor"}"#,
    ),
];

fuzz_target!(|bytes: &[u8]| modelsd_fuzz::native("xgboost", &ENTRIES, bytes));
