//! Models made by hand, in the words of LightGBM's own files, and what is refused of them.

use crate::model::batch::{Batch, Body, Columns, Frame, Name};
use crate::model::tensor::{Elements, Tensor};

use super::*;

/// A tree over feature 0, then a tree of one leaf.
fn text(objective: &str, tree: &str, more: &str) -> String {
    format!(
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=1\n{objective}\
         feature_names=a b\nfeature_infos=[0:9] -1:0:1\ntree_sizes=100 50\n\nTree=0\nnum_leaves=2\nnum_cat=0\n{tree}\
         left_child=-1\nright_child=-2\nleaf_value=1 2\nis_linear=0\nshrinkage=1\n\n\nTree=1\nnum_leaves=1\nnum_cat=0\n\
         leaf_value=0.5\nis_linear=0\nshrinkage=1\n\n\nend of trees\n\nparameters:\nend of parameters\n\n{more}"
    )
}

/// A split of feature 0 at 2 with these missing values.
fn split(decision: u8) -> String {
    format!("split_feature=0\nthreshold=2\ndecision_type={decision}\n")
}

fn answer(text: &str, columns: Vec<Elements>) -> Result<Elements, String> {
    answer_of(LightgbmLoader::default(), text, columns)
}

fn answer_of(loader: LightgbmLoader, text: &str, columns: Vec<Elements>) -> Result<Elements, String> {
    let plan = loader
        .booster(text.as_bytes())
        .map_err(|refusal| refusal.to_string())?;
    let rows = columns.first().map_or(0, Elements::len);
    let names: Vec<Name> = (0..columns.len() as i64).map(Name::Index).collect();
    let columns = Columns::Separate(columns.into_iter().map(Tensor::vector).collect());
    let frame = Frame::new(rows, names.into(), columns).unwrap();
    let answer = plan.run(&Batch::new(Body::Frame(frame)));
    match answer.map_err(|error| error.to_string())?.body {
        Body::Array(tensor) => Ok(tensor.elements().clone()),
        _ => Err("no array".into()),
    }
}

fn first_column(values: &[f64]) -> Vec<Elements> {
    vec![
        Elements::F64(values.to_vec()),
        Elements::I64(vec![0; values.len()]),
    ]
}

#[test]
fn missing_values_go_where_their_kind_says() {
    let values = [1.0, 2.0, 2.5, f64::NAN, 0.0, 1e-36];
    let walked = |decision| {
        let text = text("objective=regression\n", &split(decision), "");
        match answer(&text, first_column(&values)).unwrap() {
            Elements::F64(answers) => answers.into_iter().map(|answer| answer - 0.5).collect(),
            other => panic!("{other:?}"),
        }
    };
    let none: Vec<f64> = walked(0);
    assert_eq!(none, [1.0, 1.0, 2.0, 1.0, 1.0, 1.0]);
    assert_eq!(walked(2), none);
    // Zero is missing, and what is next to it.
    assert_eq!(walked(4), [1.0, 1.0, 2.0, 2.0, 2.0, 2.0]);
    assert_eq!(walked(6), [1.0, 1.0, 2.0, 1.0, 1.0, 1.0]);
    assert_eq!(walked(8), [1.0, 1.0, 2.0, 2.0, 1.0, 1.0]);
    assert_eq!(walked(10), [1.0, 1.0, 2.0, 1.0, 1.0, 1.0]);
    assert!(
        answer(
            &text("objective=regression\n", &split(12), ""),
            first_column(&values)
        )
        .is_err()
    );
}

#[test]
fn categories_go_left_if_they_are_in_the_set() {
    let tree = "split_feature=0\nthreshold=0\ndecision_type=1\ncat_boundaries=0 2\ncat_threshold=2 256\n";
    let text = text("", tree, "").replacen("num_cat=0", "num_cat=1", 1);
    let values = [1.0, 40.9, 0.0, -1.0, f64::NAN, 1e20, 64.0];
    let answer = answer(&text, first_column(&values)).unwrap();
    assert_eq!(answer, Elements::F64(vec![1.5, 1.5, 2.5, 2.5, 2.5, 2.5, 2.5]));
}

#[test]
fn linear_leaves_fall_back_to_their_value() {
    let linear = "is_linear=1\nleaf_const=10 20\nnum_features=1 0\nleaf_features=1  \nleaf_coeff=3  \n";
    let text = text("", &split(10), "").replacen("is_linear=0\n", linear, 1);
    let columns = vec![
        Elements::F64(vec![1.0, 1.0, 3.0]),
        Elements::F64(vec![2.0, f64::NAN, f64::NAN]),
    ];
    assert_eq!(
        answer(&text, columns.clone()).unwrap(),
        Elements::F64(vec![16.5, 1.5, 20.5])
    );
    let short = text.replace("leaf_features=1", "leaf_features=");
    assert!(
        answer(&short, columns)
            .unwrap_err()
            .contains("a leaf has 1 features")
    );
}

#[test]
fn scores_are_averaged_and_linked() {
    let value = |objective: &str| answer(&text(objective, &split(2), ""), first_column(&[1.0])).unwrap();
    assert_eq!(value("average_output\n"), Elements::F64(vec![0.75]));
    assert_eq!(value("objective=poisson\n"), Elements::F64(vec![1.5f64.exp()]));
    assert_eq!(value("objective=regression sqrt\n"), Elements::F64(vec![2.25]));
    assert_eq!(
        value("objective=binary sigmoid:2\n"),
        Elements::F64(vec![1.0 / (1.0 + (-3.0f64).exp())])
    );
}

#[test]
fn columns_are_counted_and_must_be_numbers() {
    let text = text("", &split(2), "");
    let three = vec![Elements::F64(vec![1.0]); 3];
    assert!(answer(&text, three).unwrap_err().contains("features in data (3)"));
    let words = vec![Elements::F64(vec![1.0]), Elements::Str(vec!["x".into()])];
    assert!(answer(&text, words).unwrap_err().contains("bad pandas dtypes"));
    assert!(
        answer(&text, first_column(&[]))
            .unwrap_err()
            .contains("0 sample(s)")
    );
}

#[test]
fn pandas_categories_are_refused_or_looked_up() {
    let tree = "split_feature=1\nthreshold=0\ndecision_type=9\ncat_boundaries=0 1\ncat_threshold=2\n";
    let text =
        text("", tree, "pandas_categorical:[[\"red\", \"blue\"]]\n").replacen("num_cat=0", "num_cat=1", 1);
    let columns = || {
        let words = ["blue", "red", "green"].map(Into::into);
        vec![Elements::F64(vec![0.0; 3]), Elements::Str(words.to_vec())]
    };
    let refused = answer(&text, columns()).unwrap_err();
    assert!(
        refused.starts_with("train and valid dataset categorical_feature do not match."),
        "{refused}"
    );
    let loader = LightgbmLoader {
        pandas_categories: true,
    };
    let answer = answer_of(loader, &text, columns()).unwrap();
    assert_eq!(answer, Elements::F64(vec![1.5, 2.5, 2.5]));
}

#[test]
fn what_is_no_model_is_refused() {
    let whole = text("", &split(2), "");
    let refused = |from: &str, to: &str| {
        let broken = whole.replacen(from, to, 1);
        assert_ne!(broken, whole, "{from}");
        answer(&broken, first_column(&[1.0])).unwrap_err()
    };
    assert!(refused("version=v4", "version=v1").contains("version `v1`"));
    assert!(refused("num_tree_per_iteration=1", "num_tree_per_iteration=0").contains("0 trees"));
    assert!(refused("left_child=-1", "left_child=0").contains("reached twice"));
    assert!(refused("left_child=-1", "left_child=-9").contains("node 9 of 3"));
    assert!(refused("split_feature=0", "split_feature=2").contains("feature 2 of 2"));
    assert!(refused("num_leaves=2", "num_leaves=2000000000").contains("2 values of 2000000000"));
    assert!(refused("tree_sizes=100 50", "tree_sizes=100").contains("2 trees, 1 are announced"));
    assert!(refused("threshold=2", "threshold=x").contains("`threshold` has `x`"));
    assert!(
        refused("feature_names", "objective=multiclass num_class:3\nfeature_names").contains("num_class:3")
    );
}

proptest::proptest! {
    /// No change of a byte or two makes a model that panics, when it is loaded or asked.
    #[test]
    fn no_damage_panics(changes in proptest::collection::vec((0usize..1000, 9u8..127), 1..3)) {
        let mut bytes = text("objective=regression\n", &split(2), "pandas_categorical:[]\n").into_bytes();
        for (at, byte) in changes {
            let length = bytes.len();
            bytes[at % length] = byte;
        }
        if let Ok(damaged) = std::str::from_utf8(&bytes) {
            let _ = answer(damaged, first_column(&[1.0, f64::NAN]));
        }
    }
}
