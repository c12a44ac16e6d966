//! From raw scores to what classifiers and regressors of `ai.onnx.ml` give: the post transforms, as ONNX Runtime computes
//! them in float32.

use crate::flavor::refusal::{Refusal, refuse};

/// `post_transform`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transform {
    None,
    Softmax,
    Logistic,
    SoftmaxZero,
}

impl Transform {
    pub(super) fn of(name: &str) -> Result<Transform, Refusal> {
        Ok(match name {
            "NONE" => Transform::None,
            "SOFTMAX" => Transform::Softmax,
            "LOGISTIC" => Transform::Logistic,
            "SOFTMAX_ZERO" => Transform::SoftmaxZero,
            other => refuse!("`post_transform` is `{other}`"),
        })
    }

    /// Changes the scores of one row.
    pub(super) fn apply(self, scores: &mut [f32]) {
        match self {
            Transform::None => {}
            Transform::Softmax => softmax(scores),
            Transform::SoftmaxZero => softmax_zero(scores),
            Transform::Logistic => scores.iter_mut().for_each(|score| *score = logistic(*score)),
        }
    }
}

/// `1 / (1 + exp(-x))`, computed of the positive one and mirrored.
pub(super) fn logistic(x: f32) -> f32 {
    let positive = 1.0 / (1.0 + (-x.abs()).exp());
    if x < 0.0 { 1.0 - positive } else { positive }
}

fn largest(scores: &[f32]) -> f32 {
    scores.iter().copied().fold(
        f32::NEG_INFINITY,
        |largest, score| if score > largest { score } else { largest },
    )
}

fn softmax(scores: &mut [f32]) {
    let largest = largest(scores);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - largest).exp();
        sum += *score;
    }
    scores.iter_mut().for_each(|score| *score /= sum);
}

/// Softmax that leaves zeros small.
fn softmax_zero(scores: &mut [f32]) {
    let largest = largest(scores);
    let small = (-largest).exp();
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        if score.abs() > 1e-7 {
            *score = (*score - largest).exp();
            sum += *score;
        } else {
            *score *= small;
        }
    }
    scores.iter_mut().for_each(|score| *score /= sum);
}
