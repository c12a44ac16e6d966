//! Calls of one row, whose values ONNX Runtime is given and gives in memory that is kept between calls.

use std::path::PathBuf;

use modelsd::flavor::{EngineChoice, Loaded};
use modelsd::model::batch::{Batch, Body};
use modelsd::model::tensor::{Elements, Shape, Tensor};

use super::{load_path, root};
use crate::support::onnx::{Extent, FLOAT, INT64, graph, model, node, value};

fn floats(shape: &[usize], values: &[f32]) -> Batch {
    let tensor = Tensor::new(Shape::from_slice(shape), Elements::F32(values.to_vec())).unwrap();
    Batch::new(Body::Array(tensor))
}

fn answer(loaded: &mut Loaded, batch: &Batch) -> Vec<Tensor> {
    match loaded.predictors[0].predict(batch).unwrap().body {
        Body::Named(members) => members.into_iter().map(|(_, tensor)| tensor).collect(),
        other => panic!("{other:?}"),
    }
}

/// `y = operator(x)` for floats `x` of two axes, as a file.
fn file(name: &str, operator: &str, output: u8) -> PathBuf {
    let port = |name, kind| value(name, kind, &[Extent::Named("?"), Extent::Named("?")]);
    let node = node(operator, &["x"], "y", &[]);
    let graph = graph(name, &[node], &[port("x", FLOAT)], &[port("y", output)]);
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.onnx"));
    std::fs::write(&path, model(17, &graph)).unwrap();
    path
}

#[test]
fn one_row_after_another_is_answered_as_the_first_call_of_a_session_is() {
    let rows = [
        [5.1, 3.5, 1.4, 0.2],
        [6.7, 3.1, 4.7, 1.5],
        [7.7, 2.6, 6.9, 2.3],
        [5.1, 3.5, 1.4, f32::NAN],
    ];
    for model in ["iris/1", "iris/2"] {
        let path = root().join("models").join(model).join("model.onnx");
        // The sum over several rows is rounded otherwise, so that each row is asked alone; text, since NaN equals nothing.
        let first = rows.map(|row| {
            let mut loaded = load_path(&path, EngineChoice::Ort, 1).unwrap();
            format!("{:?}", answer(&mut loaded, &floats(&[1, 4], &row)))
        });
        assert_ne!(first[0], first[1]);
        let mut loaded = load_path(&path, EngineChoice::Ort, 1).unwrap();
        for at in [0, 1, 2, 0, 3, 2, 3, 1] {
            let again = answer(&mut loaded, &floats(&[1, 4], &rows[at]));
            assert_eq!(format!("{again:?}"), first[at], "{model}, row {at}");
        }
    }
}

/// The control: kept outputs do not fit what this graph gives, and it is answered all the same.
#[test]
fn outputs_whose_shape_depends_on_values_are_as_long_as_they_are() {
    let mut loaded = load_path(&file("non_zero", "NonZero", INT64), EngineChoice::Ort, 1).unwrap();
    for row in [
        [1.0, 0.0, 1.0, 0.0],
        [1.0, 1.0, 1.0, 0.0],
        [0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 1.0],
    ] {
        let columns: Vec<i64> = (0..4).filter(|&at| row[at as usize] != 0.0).collect();
        let expected = [vec![0; columns.len()], columns].concat();
        let given = answer(&mut loaded, &floats(&[1, 4], &row));
        assert_eq!(given[0].elements(), &Elements::I64(expected), "{row:?}");
    }
}

/// No two answers of this graph are equal, so kept values cannot be told from wrong ones.
#[test]
fn a_graph_of_chance_is_answered_anew() {
    let path = file("random", "RandomNormalLike", FLOAT);
    let mut loaded = load_path(&path, EngineChoice::Ort, 1).unwrap();
    let mut answers = Vec::new();
    for _ in 0..4 {
        let given = answer(&mut loaded, &floats(&[1, 4], &[0.0; 4]));
        assert!(!answers.contains(&given), "{given:?} after {answers:?}");
        answers.push(given);
    }
}

#[test]
fn rows_of_another_width_follow_each_other() {
    let mut loaded = load_path(&file("negative", "Neg", FLOAT), EngineChoice::Ort, 1).unwrap();
    for width in [3, 3, 5, 3, 0, 5000] {
        let values: Vec<f32> = (0..width).map(|at| at as f32).collect();
        let expected = values.iter().map(|value| -value).collect();
        let given = answer(&mut loaded, &floats(&[1, width], &values));
        assert_eq!(given[0].elements(), &Elements::F32(expected));
    }
}
