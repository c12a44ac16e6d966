//! Models made by hand, in the words of XGBoost's own files, and what is refused of them.

use crate::flavor::plan::builder::Builder;
use crate::flavor::plan::{Empty, Register};
use crate::model::batch::{Batch, Body, Columns, Frame, Name};
use crate::model::tensor::{Elements, Shape, Tensor};

use super::*;

/// What differs between the models of these tests.
struct Words {
    objective: &'static str,
    base_score: &'static str,
    classes: usize,
    names: &'static str,
    attributes: &'static str,
    booster: String,
}

impl Default for Words {
    fn default() -> Words {
        Words {
            objective: "reg:squarederror",
            base_score: "5E-1",
            classes: 0,
            names: "[]",
            attributes: "{}",
            booster: gbtree(&[stump(0, 1.0), stump(1, 10.0)], "0,0"),
        }
    }
}

/// A tree that asks whether feature 0 is below 2; its leaves are `value` and twice that, missing values go left.
fn stump(id: usize, value: f32) -> String {
    format!(
        r#"{{"id":{id},"tree_param":{{"num_nodes":"3","size_leaf_vector":"1"}},"left_children":[1,-1,-1],
        "right_children":[2,-1,-1],"split_indices":[0,0,0],"split_conditions":[2E0,{value:?},{:?}],
        "default_left":[1,0,0],"split_type":[0,0,0],"categories":[],"categories_nodes":[],
        "categories_segments":[],"categories_sizes":[],"sum_hessian":[NaN,Infinity,1]}}"#,
        2.0 * value
    )
}

fn gbtree(trees: &[String], groups: &str) -> String {
    let count = trees.len();
    let trees = trees.join(",");
    format!(
        r#"{{"name":"gbtree","model":{{"gbtree_model_param":{{"num_trees":"{count}","num_parallel_tree":"1"}},
        "trees":[{trees}],"tree_info":[{groups}]}}}}"#
    )
}

impl Words {
    fn json(&self) -> String {
        format!(
            r#"{{"learner":{{"attributes":{},"feature_names":{},"gradient_booster":{},
            "learner_model_param":{{"base_score":"{}","num_class":"{}","num_feature":"2","num_target":"1"}},
            "objective":{{"name":"{}"}}}},"version":[3,2,0]}}"#,
            self.attributes, self.names, self.booster, self.base_score, self.classes, self.objective
        )
    }

    fn plan(&self, class: &str) -> Result<Plan, Refusal> {
        plan(self.json().into_bytes(), Estimator::named(class)?)
    }

    fn refusal(&self) -> String {
        match self.plan("xgboost.core.Booster") {
            Ok(_) => "nothing".into(),
            Err(refusal) => refusal.to_string(),
        }
    }

    /// The answer to rows of two columns, or why there is none.
    fn answer(&self, class: &str, rows: &[[f64; 2]]) -> Result<Elements, String> {
        let plan = self.plan(class).map_err(|refusal| refusal.to_string())?;
        run(&plan, rows, &["a", "b"])
    }
}

fn run(plan: &Plan, rows: &[[f64; 2]], names: &[&str]) -> Result<Elements, String> {
    let elements = Elements::F64(rows.iter().flatten().copied().collect());
    let columns = Columns::Matrix(Tensor::new(Shape::from_slice(&[rows.len(), 2]), elements).unwrap());
    let names: Vec<Name> = names.iter().map(|&name| Name::from(name)).collect();
    let frame = Frame::new(rows.len(), names.into(), columns).unwrap();
    let answer = plan.run(&Batch::new(Body::Frame(frame)));
    match answer.map_err(|error| error.to_string())?.body {
        Body::Array(tensor) => Ok(tensor.elements().clone()),
        _ => Err("no array".into()),
    }
}

const BOOSTER: &str = "xgboost.core.Booster";
const REGRESSOR: &str = "xgboost.sklearn.XGBRegressor";
const CLASSIFIER: &str = "xgboost.sklearn.XGBClassifier";

#[test]
fn trees_are_added_to_the_base_score() {
    let rows = [[1.0, 0.0], [2.0, 0.0], [f64::NAN, 0.0]];
    let answer = Words::default().answer(BOOSTER, &rows);
    assert_eq!(answer.unwrap(), Elements::F32(vec![11.5, 22.5, 11.5]));
}

#[test]
fn the_best_iteration_counts_for_estimators_only() {
    let words = Words {
        attributes: r#"{"best_iteration":"0"}"#,
        ..Words::default()
    };
    let rows = [[1.0, 0.0]];
    assert_eq!(words.answer(BOOSTER, &rows).unwrap(), Elements::F32(vec![11.5]));
    assert_eq!(words.answer(REGRESSOR, &rows).unwrap(), Elements::F32(vec![1.5]));
    let beyond = Words {
        attributes: r#"{"best_iteration":"2"}"#,
        ..Words::default()
    };
    let refused = beyond.answer(REGRESSOR, &rows).unwrap_err();
    assert!(
        refused.contains("the best of 2 rounds is said to be number 3"),
        "{refused}"
    );
}

#[test]
fn dropped_trees_are_weighted_in_two_ways() {
    let words = |weights: &str| Words {
        booster: format!(
            r#"{{"name":"dart","gbtree":{},"weight_drop":[{weights}]}}"#,
            gbtree(&[stump(0, 1e-9), stump(1, 1.0)], "0,0")
        ),
        ..Words::default()
    };
    let rows = [[1.0, 0.0]];
    let dropped = words("5E-1,2E0");
    assert_eq!(dropped.answer(BOOSTER, &rows).unwrap(), Elements::F32(vec![2.5]));
    // In place, what is lost beside the base score stays lost.
    assert_eq!(
        words("1E9,0").answer(REGRESSOR, &rows).unwrap(),
        Elements::F32(vec![0.5])
    );
    assert_eq!(
        words("1E9,0").answer(BOOSTER, &rows).unwrap(),
        Elements::F32(vec![1.5])
    );
    assert!(
        words("1")
            .refusal()
            .contains("not one weight for each of 2 trees")
    );
}

#[test]
fn classes_are_answered_by_classifiers_and_scores_by_boosters() {
    let binary = Words {
        objective: "binary:logistic",
        booster: gbtree(&[stump(0, -1.0)], "0"),
        ..Words::default()
    };
    let rows = [[1.0, 0.0], [3.0, 0.0]];
    assert_eq!(
        binary.answer(CLASSIFIER, &rows).unwrap(),
        Elements::I64(vec![0, 0])
    );
    assert_eq!(
        binary.answer(BOOSTER, &rows).unwrap(),
        Elements::F32(vec![0.268_941_43, 0.119_202_92])
    );
    let softmax = Words {
        objective: "multi:softmax",
        classes: 3,
        base_score: "[1E0,0,5E0]",
        booster: gbtree(&[stump(0, 0.5), stump(1, 3.0), stump(2, 0.0)], "0,1,2"),
        ..Words::default()
    };
    assert_eq!(
        softmax.answer(BOOSTER, &rows).unwrap(),
        Elements::F32(vec![2.0, 1.0])
    );
    assert_eq!(
        softmax.answer(CLASSIFIER, &rows).unwrap(),
        Elements::I64(vec![2, 1])
    );
}

#[test]
fn linear_models_leave_missing_values_out() {
    let words = Words {
        booster: r#"{"name":"gblinear","model":{"weights":[2E0,3E0,1E0]}}"#.into(),
        ..Words::default()
    };
    let rows = [[1.0, 1.0], [f64::NAN, 1.0]];
    assert_eq!(
        words.answer(REGRESSOR, &rows).unwrap(),
        Elements::F32(vec![6.5, 4.5])
    );
    let infinite = words.answer(REGRESSOR, &[[f64::INFINITY, 0.0]]).unwrap_err();
    assert!(infinite.contains("Input data contains `inf`"), "{infinite}");
}

#[test]
fn columns_are_checked_as_xgboost_checks_them() {
    let named = Words {
        names: r#"["a","b"]"#,
        ..Words::default()
    };
    let rows = [[1.0, 0.0]];
    assert!(named.answer(BOOSTER, &rows).is_ok());
    let plan = named.plan(BOOSTER).unwrap();
    let mismatch = run(&plan, &rows, &["b", "a"]).unwrap_err();
    assert!(mismatch.starts_with("feature_names mismatch"), "{mismatch}");
    let huge = [[1e300, 0.0]];
    assert!(
        named
            .answer(BOOSTER, &huge)
            .unwrap_err()
            .contains("Input data contains `inf`")
    );
    assert_eq!(named.answer(REGRESSOR, &huge).unwrap(), Elements::F32(vec![22.5]));
    assert_eq!(named.answer(BOOSTER, &[]).unwrap(), Elements::F32(vec![]));
}

#[test]
fn what_is_not_covered_is_refused_by_name() {
    let words = |objective| Words {
        objective,
        ..Words::default()
    };
    assert!(
        words("my:own")
            .refusal()
            .contains("objective `my:own` is not known")
    );
    let encoder = Words {
        attributes: r#"{"scikit_learn":"{\"_le\":{\"classes_\":[3,5]}}"}"#,
        ..Words::default()
    };
    assert!(encoder.refusal().contains("label encoder"));
    let classifier = Words {
        attributes: r#"{"scikit_learn":"{\"_estimator_type\":\"classifier\"}"}"#,
        ..Words::default()
    };
    let refused = classifier.answer(REGRESSOR, &[[0.0, 0.0]]).unwrap_err();
    assert!(refused.contains("the model of a classifier"), "{refused}");
    assert!(Estimator::named("xgboost.dask.DaskXGBRegressor").is_err());
    for base_score in ["[abc]", "", "nan", "[1,2]", "1e99"] {
        let words = Words {
            base_score,
            ..Words::default()
        };
        assert!(words.refusal().contains("base"), "{base_score}");
    }
}

#[test]
fn categories_go_right_if_they_are_in_the_set() {
    let tree = stump(0, 1.0)
        .replace(r#""split_type":[0,0,0]"#, r#""split_type":[1,0,0]"#)
        .replace(
            r#""categories":[],"categories_nodes":[]"#,
            r#""categories":[1,40],"categories_nodes":[0]"#,
        )
        .replace(
            r#""categories_segments":[],"categories_sizes":[]"#,
            r#""categories_segments":[0],"categories_sizes":[2]"#,
        );
    let words = |tree: String| Words {
        base_score: "0",
        booster: gbtree(&[tree], "0"),
        ..Words::default()
    };
    let rows = [1.0, 40.7, 0.0, 41.0, -0.5, 1e20, f64::NAN].map(|value| [value, 0.0]);
    assert_eq!(
        words(tree.clone()).answer(BOOSTER, &rows).unwrap(),
        Elements::F32(vec![2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    );
    let refused = words(tree.replace(r#""categories_sizes":[2]"#, r#""categories_sizes":[3]"#)).refusal();
    assert!(refused.contains("3 categories from 0 on"), "{refused}");
    let refused = words(tree.replace(r#""categories_nodes":[0]"#, r#""categories_nodes":[1]"#)).refusal();
    assert!(refused.contains("node 1 has categories"), "{refused}");
}

#[test]
fn leaves_of_several_values_are_added_to_as_many_outputs() {
    let tree = stump(0, 0.0)
        .replace(r#""size_leaf_vector":"1""#, r#""size_leaf_vector":"2""#)
        .replace(r#""right_children":[2,-1,-1]"#, r#""right_children":[2,1,0]"#)
        .replace(
            r#""default_left""#,
            r#""leaf_weights":[1E0,2E0,3E0,4E0],"default_left""#,
        );
    let words = Words {
        classes: 2,
        booster: gbtree(&[tree], "0"),
        ..Words::default()
    };
    let answer = words.answer(BOOSTER, &[[1.0, 0.0], [2.0, 0.0]]).unwrap();
    assert_eq!(answer, Elements::F32(vec![3.5, 4.5, 1.5, 2.5]));
}

proptest::proptest! {
    /// No change of a byte or two makes a model that panics, when it is loaded or asked.
    #[test]
    fn no_damage_panics(changes in proptest::collection::vec((0usize..4000, 32u8..127), 1..3)) {
        let mut bytes = Words::default().json().into_bytes();
        for (at, byte) in changes {
            let length = bytes.len();
            bytes[at % length] = byte;
        }
        if let Ok(model) = document::read(&bytes) {
            let mut builder = Builder::default();
            let lowering = Lowering {
                builder: &mut builder,
                input: Register::INPUT,
                estimator: Estimator::Booster,
                method: Method::Predict,
                sparse: false,
                missing: None,
                labels: None,
                classes: None,
            };
            if let Ok((answer, axes)) = lowering.lower(model)
                && let Ok(plan) = builder.finish(answer, axes, Empty::Answered)
            {
                let _ = run(&plan, &[[1.0, 2.0]], &["a", "b"]);
            }
        }
    }
}
