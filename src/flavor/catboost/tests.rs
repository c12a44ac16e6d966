//! Whole files, made by catboost 1.2.10 in three iterations of depth three over one number and two categories, and what
//! becomes of them when bytes of them are others.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::model::batch::{Batch, Body, Columns, Frame, Name};
use crate::model::tensor::{Elements, Tensor};

const COUNTERS: &[u8] = include_bytes!("../../../tests/golden/native/catboost/counters.cbm");
const COUNTERS_JSON: &[u8] = include_bytes!("../../../tests/golden/native/catboost/counters.json");
const LOSSGUIDE: &[u8] = include_bytes!("../../../tests/golden/native/catboost/lossguide.cbm");

fn batch(shops: [&str; 3]) -> Batch {
    let texts = |texts: [&str; 3]| Tensor::vector(Elements::Str(texts.map(str::to_owned).to_vec()));
    let columns = vec![
        Tensor::vector(Elements::F64(vec![0.5, f64::NAN, -1.0])),
        texts(["Oslo", "Rome", "Paris"]),
        texts(shops),
    ];
    let names = ["amount", "city", "shop"].map(Name::from);
    Batch::new(Body::Frame(
        Frame::new(3, Arc::from(names), Columns::Separate(columns)).unwrap(),
    ))
}

fn answer(bytes: &[u8], wrapper: Wrapper) -> Result<Elements, String> {
    let model = read(bytes).map_err(|refusal| refusal.to_string())?;
    let plan = lower::plan(model, wrapper).map_err(|refusal| refusal.to_string())?;
    let answer = plan
        .run(&batch(["s1", "s2", "s9"]))
        .map_err(|error| error.to_string())?;
    match answer.body {
        Body::Array(tensor) => Ok(tensor.into_parts().1),
        other => Err(format!("{other:?}")),
    }
}

#[test]
fn both_formats_answer_like_catboost() {
    let wanted = Elements::F64(vec![2.1052514332737005, -0.5955916600129743, -0.5955916600129743]);
    assert_eq!(answer(COUNTERS, Wrapper::Regressor), Ok(wanted.clone()));
    assert_eq!(answer(COUNTERS_JSON, Wrapper::Regressor), Ok(wanted));
}

#[test]
fn trees_that_are_not_symmetric_and_labels_answer_like_catboost() {
    let wanted = Elements::F64(vec![1.9798154640233334, -1.5770881185598038, -1.5770881185598038]);
    assert_eq!(answer(LOSSGUIDE, Wrapper::Plain), Ok(wanted));
    let labels = Elements::Str(["yes", "no", "no"].map(str::to_owned).to_vec());
    assert_eq!(answer(LOSSGUIDE, Wrapper::Classifier), Ok(labels));
    let error = answer(COUNTERS, Wrapper::Classifier).unwrap_err();
    assert!(error.contains("classes are called"), "{error}");
}

#[test]
fn files_of_other_kinds_are_refused_by_name() {
    for (bytes, wanted) in [
        (&b""[..], "neither in CatBoost's binary format"),
        (b"CBM2", "neither in CatBoost's binary format"),
        (b"CBM1", "byte 0 of 0"),
        (b"CBM1\xff\xff\xff\x7f", "cut off"),
        (b"{", "no JSON"),
        (b"{}", "`scale_and_bias` is missing"),
    ] {
        let error = read(bytes).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_change_of_bytes_panics(
        file in 0usize..3,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let mut bytes = [COUNTERS, COUNTERS_JSON, LOSSGUIDE][file].to_vec();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let _ = answer(&bytes, Wrapper::Regressor);
        let _ = answer(&bytes, Wrapper::Classifier);
    }
}
