//! Estimators made by hand, and requests to them, for tests.

use std::sync::Arc;

use crate::flavor::PredictError;
use crate::flavor::formats::object::{Array, ArrayElements, Global, Id, Instance, Object, Objects};
use crate::flavor::refusal::Refusal;
use crate::model::batch::{Batch, Body, Columns, Frame, Name};
use crate::model::tensor::{Elements, Shape, Tensor};

use super::estimator::Ask;
use super::request::Declared;

/// Objects that are being made.
#[derive(Debug, Default)]
pub(super) struct Maker(Vec<Object>);

impl Maker {
    /// A plain object.
    pub(super) fn add(&mut self, object: Object) -> Id {
        self.0.push(object);
        Id(self.0.len() as u32 - 1)
    }

    /// An array of doubles.
    pub(super) fn floats(&mut self, shape: &[usize], floats: &[f64]) -> Id {
        self.array(shape, ArrayElements::Float(floats.to_vec()))
    }

    /// An array.
    pub(super) fn array(&mut self, shape: &[usize], elements: ArrayElements) -> Id {
        self.add(Object::Array(Array {
            shape: shape.to_vec(),
            elements,
        }))
    }

    /// A text.
    pub(super) fn text(&mut self, text: &str) -> Id {
        self.add(Object::Text(text.into()))
    }

    /// An array of texts.
    pub(super) fn texts(&mut self, texts: &[&str]) -> Id {
        let elements = texts.iter().map(|text| Arc::from(*text)).collect();
        self.array(&[texts.len()], ArrayElements::Text(elements))
    }

    /// A list.
    pub(super) fn list(&mut self, members: &[Id]) -> Id {
        self.add(Object::List(members.to_vec()))
    }

    /// A tuple.
    pub(super) fn tuple(&mut self, members: &[Id]) -> Id {
        self.add(Object::Tuple(members.to_vec()))
    }

    /// An estimator of scikit-learn 1.9.
    pub(super) fn estimator(&mut self, class: &str, attributes: &[(&str, Id)]) -> Id {
        let version = self.text("1.9.1");
        let attributes = attributes
            .iter()
            .copied()
            .chain([("_sklearn_version", version)])
            .map(|(name, id)| (Arc::from(name), id))
            .collect();
        self.add(Object::Instance(Instance {
            class: Global {
                module: "sklearn.made".into(),
                name: class.into(),
            },
            args: Vec::new(),
            attributes,
            state: None,
        }))
    }

    /// Everything made, with this root.
    pub(super) fn finish(self, root: Id) -> Objects {
        Objects { values: self.0, root }
    }
}

/// A table of one tensor a column.
pub(super) fn table(columns: Vec<(&str, Elements)>) -> Batch {
    let rows = columns.first().map_or(0, |(_, elements)| elements.len());
    let names = columns.iter().map(|(name, _)| Name::from(*name)).collect();
    let separate = columns
        .into_iter()
        .map(|(_, elements)| Tensor::vector(elements))
        .collect();
    Batch::new(Body::Frame(
        Frame::new(rows, names, Columns::Separate(separate)).unwrap(),
    ))
}

/// An array of doubles of two axes.
pub(super) fn array(rows: usize, width: usize, data: &[f64]) -> Batch {
    let shape = Shape::from_slice(&[rows, width]);
    Batch::new(Body::Array(
        Tensor::new(shape, Elements::F64(data.to_vec())).unwrap(),
    ))
}

/// The answer of an estimator without a signature, as shape and elements.
pub(super) fn answer(objects: &Objects, ask: Ask, batch: &Batch) -> Result<(Vec<usize>, Elements), String> {
    let (plan, _) =
        super::plan(ask, objects, Declared::default()).map_err(|refusal: Refusal| refusal.to_string())?;
    let answer = plan.run(batch).map_err(|error: PredictError| error.to_string())?;
    match answer.body {
        Body::Array(tensor) => {
            let shape = tensor.shape().to_vec();
            Ok((shape, tensor.elements().clone()))
        }
        other => panic!("an array expected, got {other:?}"),
    }
}
