//! Model URIs: what is read is written as a text that reads back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelsd::model::uri::ModelUri;

fuzz_target!(|text: &str| {
    match text.parse::<ModelUri>() {
        Ok(uri) => assert_eq!(uri.to_string().parse::<ModelUri>(), Ok(uri)),
        Err(error) => assert!(error.to_string().len() < 10_000),
    }
});
