//! What scikit-learn does, in small: numbers were computed with scikit-learn 1.9.1 by hand-written coefficients.

use std::path::Path;

use proptest::prelude::*;

use crate::flavor::LoadError;
use crate::flavor::formats::object::{Array, ArrayElements, Id, Object, Objects};
use crate::model::mlmodel::MlModel;
use crate::model::tensor::Elements;
use crate::model::value::Value;

use super::estimator::{Ask, classes_of_families};
use super::request::Declared;
use super::testing::{Maker, answer, array, table};

/// A linear regression on `a` and `b`: `2 a - b + 0.5`.
fn regression(maker: &mut Maker) -> Id {
    let coef = maker.floats(&[2], &[2.0, -1.0]);
    let intercept = maker.add(Object::Float(0.5));
    let names = maker.texts(&["a", "b"]);
    let count = maker.add(Object::Int(2));
    maker.estimator(
        "LinearRegression",
        &[
            ("coef_", coef),
            ("intercept_", intercept),
            ("feature_names_in_", names),
            ("n_features_in_", count),
        ],
    )
}

fn regression_alone() -> Objects {
    let mut maker = Maker::default();
    let root = regression(&mut maker);
    maker.finish(root)
}

#[test]
fn a_regression_answers_a_vector() {
    let request = table(vec![
        ("a", Elements::F64(vec![1.0, 3.0])),
        ("b", Elements::I64(vec![2, 4])),
    ]);
    let got = answer(&regression_alone(), Ask::Predict, &request).unwrap();
    assert_eq!(got, (vec![2], Elements::F64(vec![0.5, 2.5])));
}

#[test]
fn other_names_another_order_and_another_number_of_columns_are_refused() {
    let one = || Elements::F64(vec![1.0]);
    for columns in [
        vec![("b", one()), ("a", one())],
        vec![("a", one()), ("c", one())],
        vec![("a", one())],
        vec![("a", one()), ("b", one()), ("c", one())],
    ] {
        assert!(answer(&regression_alone(), Ask::Predict, &table(columns)).is_err());
    }
    // An array has no names; only its width is compared.
    assert!(answer(&regression_alone(), Ask::Predict, &array(1, 2, &[1.0, 1.0])).is_ok());
    assert!(answer(&regression_alone(), Ask::Predict, &array(1, 3, &[1.0; 3])).is_err());
}

#[test]
fn missing_and_infinite_values_are_refused_in_the_words_of_scikit_learn() {
    let refused = |x: f64| answer(&regression_alone(), Ask::Predict, &array(1, 2, &[x, 1.0])).unwrap_err();
    assert!(refused(f64::NAN).contains("Input X contains NaN"));
    assert!(refused(f64::INFINITY).contains("Input X contains infinity"));
}

#[test]
fn text_is_no_number() {
    let request = table(vec![
        ("a", Elements::Str(vec!["x".into()])),
        ("b", Elements::F64(vec![1.0])),
    ]);
    let refused = answer(&regression_alone(), Ask::Predict, &request).unwrap_err();
    assert!(refused.contains("could not convert"), "{refused}");
}

#[test]
fn an_unknown_class_and_a_class_of_another_package_are_refused_by_name() {
    let mut maker = Maker::default();
    let root = maker.estimator("GaussianProcessRegressor", &[]);
    let refused = answer(&maker.finish(root), Ask::Predict, &array(1, 1, &[1.0])).unwrap_err();
    assert!(
        refused.contains("GaussianProcessRegressor") && refused.contains("ONNX"),
        "{refused}"
    );

    let mut objects = regression_alone();
    for object in &mut objects.values {
        if let Object::Instance(instance) = object {
            instance.class.module = "evil.linear_model".into();
        }
    }
    assert!(answer(&objects, Ask::Predict, &array(1, 2, &[1.0; 2])).is_err());
}

#[test]
fn a_pipeline_that_contains_itself_is_refused() {
    let mut maker = Maker::default();
    let name = maker.text("again");
    // Its own number is known beforehand: what follows are the pair, the list, the version.
    let itself = Id(name.0 + 4);
    let pair = maker.tuple(&[name, itself]);
    let steps = maker.list(&[pair]);
    let root = maker.estimator("Pipeline", &[("steps", steps)]);
    assert_eq!(root, itself);
    let refused = answer(&maker.finish(root), Ask::Predict, &array(1, 1, &[1.0])).unwrap_err();
    assert!(refused.contains("within each other"), "{refused}");
}

/// One-hot encoding of `colour` (categories `None`, text and NaN) before a sum with weights 1, 2, 4, 8.
fn encoded(handle_unknown: &str) -> Objects {
    let mut maker = Maker::default();
    let members = [
        maker.text("blue"),
        maker.text("red"),
        maker.add(Object::None),
        maker.add(Object::Float(f64::NAN)),
    ];
    let categories = maker.array(&[4], ArrayElements::Object(members.to_vec()));
    let categories = maker.list(&[categories]);
    let handle = maker.text(handle_unknown);
    let none = maker.add(Object::None);
    let one = maker.add(Object::Int(1));
    let encoder = maker.estimator(
        "OneHotEncoder",
        &[
            ("categories_", categories),
            ("handle_unknown", handle),
            ("drop_idx_", none),
            ("n_features_in_", one),
        ],
    );
    let coef = maker.floats(&[4], &[1.0, 2.0, 4.0, 8.0]);
    let zero = maker.add(Object::Float(0.0));
    let four = maker.add(Object::Int(4));
    let sum = maker.estimator(
        "Ridge",
        &[("coef_", coef), ("intercept_", zero), ("n_features_in_", four)],
    );
    let name = maker.text("step");
    let first = maker.tuple(&[name, encoder]);
    let second = maker.tuple(&[name, sum]);
    let steps = maker.list(&[first, second]);
    let root = maker.estimator("Pipeline", &[("steps", steps)]);
    maker.finish(root)
}

fn colours(values: Vec<Value>) -> crate::model::batch::Batch {
    table(vec![("colour", Elements::Object(values))])
}

#[test]
fn none_and_nan_are_two_categories() {
    let request = colours(vec![
        Value::Str("red".into()),
        Value::Null,
        Value::Float(f64::NAN),
        Value::Str("blue".into()),
    ]);
    let got = answer(&encoded("error"), Ask::Predict, &request).unwrap();
    assert_eq!(got.1, Elements::F64(vec![2.0, 4.0, 8.0, 1.0]));
}

#[test]
fn an_unknown_category_is_refused_or_all_zeros() {
    let request = colours(vec![Value::Str("green".into())]);
    let refused = answer(&encoded("error"), Ask::Predict, &request).unwrap_err();
    assert!(refused.contains("Found unknown categories"), "{refused}");
    let got = answer(&encoded("ignore"), Ask::Predict, &request).unwrap();
    assert_eq!(got.1, Elements::F64(vec![0.0]));
}

#[test]
fn a_column_transformer_takes_columns_by_name_wherever_they_are() {
    let mut maker = Maker::default();
    let inner = {
        let mean = maker.floats(&[1], &[10.0]);
        let scale = maker.floats(&[1], &[2.0]);
        let yes = maker.add(Object::Bool(true));
        maker.estimator(
            "StandardScaler",
            &[
                ("mean_", mean),
                ("scale_", scale),
                ("with_mean", yes),
                ("with_std", yes),
            ],
        )
    };
    let (left, right) = (maker.text("left"), maker.text("right"));
    let passthrough = maker.text("passthrough");
    let by_name = maker.text("b");
    let by_name = maker.list(&[by_name]);
    let by_number = maker.add(Object::Int(0));
    let by_number = maker.list(&[by_number]);
    let first = maker.tuple(&[left, inner, by_name]);
    let second = maker.tuple(&[right, passthrough, by_number]);
    let transformers = maker.list(&[first, second]);
    let names = maker.texts(&["a", "b"]);
    let columns = maker.estimator(
        "ColumnTransformer",
        &[("transformers_", transformers), ("feature_names_in_", names)],
    );
    let coef = maker.floats(&[2], &[1.0, 100.0]);
    let zero = maker.add(Object::Float(0.0));
    let sum = maker.estimator("Ridge", &[("coef_", coef), ("intercept_", zero)]);
    let first = maker.tuple(&[left, columns]);
    let second = maker.tuple(&[right, sum]);
    let steps = maker.list(&[first, second]);
    let root = maker.estimator("Pipeline", &[("steps", steps)]);
    let objects = maker.finish(root);
    let request = table(vec![
        ("b", Elements::F64(vec![14.0])),
        ("extra", Elements::Str(vec!["x".into()])),
        ("a", Elements::F64(vec![3.0])),
    ]);
    let got = answer(&objects, Ask::Predict, &request).unwrap();
    assert_eq!(got.1, Elements::F64(vec![302.0]));
    let request = table(vec![("b", Elements::F64(vec![14.0]))]);
    let refused = answer(&objects, Ask::Predict, &request).unwrap_err();
    assert!(refused.contains("columns are missing"), "{refused}");
}

#[test]
fn a_name_that_leads_out_of_the_directory_is_refused() {
    for name in ["../model.pkl", "/etc/passwd", ""] {
        assert!(
            matches!(super::read(Path::new("."), name), Err(LoadError::Refused(_))),
            "{name}"
        );
    }
}

#[test]
fn score_is_refused_by_name() {
    let text = "flavors:\n  python_function:\n    predict_fn: score\n";
    let refusal = super::ask(&MlModel::parse(text).unwrap()).unwrap_err();
    assert!(refusal.to_string().contains("`predict_fn: score`"), "{refusal}");
}

/// Names of attributes that families look at.
const NAMES: &[&str] = &[
    "coef_",
    "intercept_",
    "classes_",
    "n_features_in_",
    "feature_names_in_",
    "mean_",
    "scale_",
    "min_",
    "components_",
    "categories_",
    "drop_idx_",
    "handle_unknown",
    "statistics_",
    "missing_values",
    "transformers_",
    "steps",
    "support_vectors_",
    "_dual_coef_",
    "_intercept_",
    "_n_support",
    "_gamma",
    "kernel",
    "_fit_X",
    "_y",
    "n_neighbors",
    "weights",
    "theta_",
    "var_",
    "class_prior_",
    "coefs_",
    "intercepts_",
    "_label_binarizer",
    "cluster_centers_",
    "constant_",
    "scores_",
    "k",
    "support_",
    "lambdas_",
    "quantiles_",
    "references_",
    "bin_edges_",
    "_min_degree",
    "_max_degree",
    "func",
    "transformer_list",
    "regressor_",
    "transformer_",
    "features_",
    "_infrequent_enabled",
    "_default_to_infrequent_mappings",
    "_infrequent_indices",
    "encodings_",
    "target_mean_",
    "rotations_",
    "scalings_",
    "means_",
    "priors_",
    "variances_",
    "threshold",
    "estimator_",
    "_training_dim",
];

/// Any object: plain ones, arrays of any shape, lists of earlier ones, estimators of any class with such attributes.
fn any_object() -> impl Strategy<Value = (u8, i64, f64, Vec<u8>)> {
    let floats = prop_oneof![
        Just(f64::NAN),
        Just(f64::INFINITY),
        -3.0..9.0f64,
        Just(0.0),
        Just(1e300)
    ];
    (
        any::<u8>(),
        -3..6i64,
        floats,
        prop::collection::vec(any::<u8>(), 0..10),
    )
}

fn made(parts: Vec<(u8, i64, f64, Vec<u8>)>) -> Objects {
    let classes: Vec<&str> = classes_of_families().collect();
    let words = [
        "ovr",
        "linear",
        "error",
        "passthrough",
        "all",
        "uniform",
        "a",
        "relu",
    ];
    let mut maker = Maker::default();
    let mut root = maker.add(Object::None);
    for (kind, whole, float, bytes) in parts {
        // Any object so far, and now and then one that follows or is not there.
        let other = |byte: u8| Id(u32::from(byte) % (root.0 + 3));
        let floats: Vec<f64> = bytes.iter().map(|byte| f64::from(*byte % 5) * float).collect();
        let count = bytes.len();
        root = match kind % 12 {
            0 => maker.add(Object::Int(whole)),
            1 => maker.add(Object::Float(float)),
            2 => maker.text(words[kind as usize / 12 % words.len()]),
            3 => maker.floats(&[count], &floats),
            4 => maker.floats(&[count / 2, 2], &floats[..count / 2 * 2]),
            5 => maker.array(&[1, count], ArrayElements::Int(vec![whole; count])),
            6 => maker.list(&bytes.iter().map(|byte| other(*byte)).collect::<Vec<_>>()),
            7 => maker.add(Object::Array(Array {
                shape: vec![count],
                elements: ArrayElements::Object(bytes.iter().map(|byte| other(*byte)).collect()),
            })),
            8 => maker.texts(&words[..count.min(words.len())]),
            _ => {
                let attributes: Vec<(&str, Id)> = NAMES
                    .iter()
                    .zip(bytes.iter().cycle())
                    .enumerate()
                    .map(|(at, (name, byte))| (*name, other(byte.wrapping_add(at as u8))))
                    .collect();
                let class =
                    classes[(kind as usize * 31 + count * 7 + whole.unsigned_abs() as usize) % classes.len()];
                maker.estimator(class, &attributes)
            }
        };
    }
    maker.finish(root)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn no_objects_make_it_panic(parts in prop::collection::vec(any_object(), 1..40)) {
        let objects = made(parts);
        for ask in [Ask::Predict, Ask::Proba, Ask::LogProba, Ask::Decision, Ask::Transform] {
            if let Ok((plan, _)) = super::plan(ask, &objects, Declared::default()) {
                plan.describe();
                for width in [0, 1, 2, 3] {
                    let _ = plan.run(&array(2, width, &vec![0.5; 2 * width]));
                    let _ = plan.run(&array(1, width, &vec![1e300; width]));
                }
            }
        }
    }
}
