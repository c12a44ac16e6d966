//! Whether the predictions of a version move away from what they were at first.

use std::collections::VecDeque;

use super::first_column::{Integer, TOO_LARGE, Visit, visit};
use super::moments::Moments;
use crate::model::batch::Batch;

/// Numbers that a version predicts at first, with which the later ones are compared.
const BASELINE: u64 = 1_000;
/// Numbers in the window, at least, once there were as many.
const WINDOW: u64 = 1_000;
/// Numbers by which the window moves, at least: those of one answer go together.
const PART: u64 = 100;

/// The first thousand predictions of a version, and about the last thousand: the numbers of the first column of its answers.
#[derive(Debug, Clone, Default)]
pub struct Drift {
    baseline: Moments,
    /// The last one is filled.
    parts: VecDeque<Moments>,
    /// Numbers in all parts.
    rows: u64,
}

/// How far predictions are from what they were at first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Numbers in the window.
    pub rows: u64,
    /// Their mean.
    pub mean: f64,
    /// Mean and standard deviation of the first numbers, once there are enough.
    pub baseline: Option<(f64, f64)>,
}

impl Drift {
    /// Adds the predictions of an answer; those that are no numbers are left out.
    pub fn add(&mut self, answer: &Batch) {
        let mut numbers = Numbers::default();
        visit(answer, &mut numbers);
        self.merge(&numbers.0);
    }

    /// The same for an answer of one number, which may be none.
    pub fn add_number(&mut self, value: f64) {
        if value.abs() < TOO_LARGE {
            let mut moments = Moments::default();
            moments.add(value);
            self.merge(&moments);
        }
    }

    /// Adds the numbers of an answer.
    fn merge(&mut self, moments: &Moments) {
        self.rows += moments.count();
        if self.baseline.count() < BASELINE {
            self.baseline.merge(moments);
        }
        match self.parts.back_mut().filter(|part| part.count() < PART) {
            Some(part) => part.merge(moments),
            None => self.parts.push_back(*moments),
        }
        while let Some(first) = self.parts.front().map(Moments::count) {
            if self.rows - first < WINDOW {
                return;
            }
            self.rows -= first;
            self.parts.pop_front();
        }
    }

    /// The figures; `None` before the first number.
    pub fn figures(&self) -> Option<Figures> {
        let mut window = Moments::default();
        self.parts.iter().for_each(|part| window.merge(part));
        let is_full = self.baseline.count() >= BASELINE;
        (window.count() > 0).then(|| Figures {
            rows: window.count(),
            mean: window.mean(),
            // A thousand zeros are no proof that there are no ones.
            baseline: is_full.then(|| (self.baseline.mean(), self.baseline.cautious_variance().sqrt())),
        })
    }
}

/// The moments of the numbers of an answer.
#[derive(Default)]
struct Numbers(Moments);

impl Visit for Numbers {
    fn label(&mut self, _: &str) {}

    fn integer<T: Integer>(&mut self, value: T) {
        self.0.add(value.nearest());
    }

    fn float(&mut self, value: f64) {
        self.0.add(value);
    }

    fn missing(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::batch::Body;
    use crate::model::tensor::{Elements, Tensor};

    fn answer(values: &[f64]) -> Batch {
        Batch::new(Body::Array(Tensor::vector(Elements::F64(values.to_vec()))))
    }

    #[test]
    fn the_window_slides_and_the_baseline_stays() {
        let mut drift = Drift::default();
        assert_eq!(drift.figures(), None);
        for _ in 0..499 {
            drift.add(&answer(&[1.0, 3.0]));
        }
        let figures = drift.figures().unwrap();
        assert_eq!((figures.rows, figures.mean, figures.baseline), (998, 2.0, None));
        drift.add(&answer(&[1.0, 3.0]));
        let (mean, deviation) = drift.figures().unwrap().baseline.unwrap();
        assert!(mean == 2.0 && (deviation - 1.0).abs() < 1e-3, "{deviation}");
        for _ in 0..2000 {
            drift.add(&answer(&[5.0]));
        }
        let figures = drift.figures().unwrap();
        assert!((1000..1100).contains(&figures.rows), "{figures:?}");
        assert_eq!((figures.mean, figures.baseline.unwrap().0), (5.0, 2.0));
        // Long answers take the place of many short ones.
        (0..3).for_each(|_| drift.add(&answer(&[7.0; 600])));
        let figures = drift.figures().unwrap();
        assert_eq!((figures.rows, figures.mean), (1200, 7.0));
        assert!(drift.parts.len() <= 12);
    }

    #[test]
    fn what_is_no_number_is_left_out_and_zeros_alone_are_not_certain() {
        let mut drift = Drift::default();
        drift.add(&answer(&[f64::NAN, f64::INFINITY]));
        drift.add(&Batch::new(Body::Array(Tensor::vector(Elements::Str(vec![
            "a".into(),
        ])))));
        assert_eq!(drift.figures(), None);
        drift.add(&answer(&[0.0; 1000]));
        let figures = drift.figures().unwrap();
        assert_eq!((figures.rows, figures.mean), (1000, 0.0));
        assert!(figures.baseline.unwrap().1 > 0.03, "{figures:?}");
    }
}
