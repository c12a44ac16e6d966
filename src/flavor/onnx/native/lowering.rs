//! What lowering an operator has at hand: the tensors that are known so far, its attributes, and the plan.
//!
//! Axis 0 of every computed tensor is the rows of the request; its other extents are known. Constants have all theirs.

use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;

use super::super::element::Element;
use super::proto::{Attribute, Node, Tensor};
use crate::flavor::PredictError;
use crate::flavor::plan::builder::Builder;
use crate::flavor::plan::steps::labels::Labels;
use crate::flavor::plan::value::{Form, Kind, Value};
use crate::flavor::plan::{Inputs, Register, Step};
use crate::flavor::refusal::{Refusal, refuse};

/// Extents of a tensor but the first.
pub(super) type Tail = SmallVec<[usize; 3]>;

/// A tensor of the graph.
#[derive(Debug, Clone)]
pub(super) enum Held {
    Rows(Rows),
    Constant(Arc<Constant>),
    /// What ZipMap makes: a map of each row, from these keys to its numbers.
    Maps(Rows, Arc<Labels>),
}

/// A tensor with a row for each row of the request. Booleans and narrower integers are `int64` in the plan.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    pub(super) register: Register,
    pub(super) element: Element,
    pub(super) tail: Tail,
}

impl Rows {
    /// Elements a row.
    pub(super) fn width(&self) -> usize {
        self.tail.iter().product()
    }

    /// Width of what is, or can be seen as, a matrix: one axis beside the rows, or none.
    pub(super) fn columns(&self) -> Result<usize, Refusal> {
        match self.tail.as_slice() {
            [] => Ok(1),
            [width] => Ok(*width),
            other => refuse!("a tensor of {} axes where a matrix is expected", other.len() + 1),
        }
    }
}

/// A constant of the graph.
#[derive(Debug, Clone)]
pub(super) struct Constant {
    pub(super) shape: Vec<usize>,
    pub(super) element: Element,
    pub(super) data: Data,
}

/// Its elements.
#[derive(Debug, Clone)]
pub(super) enum Data {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I64(Vec<i64>),
    Text(Vec<Arc<str>>),
}

impl Constant {
    /// Reads a tensor of the file.
    pub(super) fn of(tensor: &Tensor<'_>) -> Result<Constant, Refusal> {
        let name = tensor.name;
        if tensor.external {
            refuse!("the constant `{name}` is in another file");
        }
        let extent = |&extent: &i64| usize::try_from(extent).ok();
        let Some(shape) = tensor.shape.iter().map(extent).collect::<Option<Vec<usize>>>() else {
            refuse!("the constant `{name}` has shape {:?}", tensor.shape);
        };
        let count = crate::model::tensor::element_count(&shape);
        let element = element(tensor.element)?;
        let raw = tensor.raw;
        let data = match element {
            Element::F32 => Data::F32(match raw {
                Some(raw) => chunks(raw, f32::from_le_bytes),
                None => tensor.floats.clone(),
            }),
            Element::F64 => Data::F64(match raw {
                Some(raw) => chunks(raw, f64::from_le_bytes),
                None => tensor.doubles.clone(),
            }),
            Element::I64 => Data::I64(match raw {
                Some(raw) => chunks(raw, i64::from_le_bytes),
                None => tensor.ints.clone(),
            }),
            Element::I32 => Data::I64(match raw {
                Some(raw) => chunks(raw, |bytes| i64::from(i32::from_le_bytes(bytes))),
                None => tensor.ints.iter().map(|&int| i64::from(int as i32)).collect(),
            }),
            Element::Bool => Data::I64(match raw {
                Some(raw) => raw.iter().map(|&byte| i64::from(byte != 0)).collect(),
                None => tensor.ints.iter().map(|&int| i64::from(int != 0)).collect(),
            }),
            Element::Str => Data::Text(texts(&tensor.texts)?),
            other => refuse!("the constant `{name}` is a {}", other.onnx_name()),
        };
        let constant = Constant { shape, element, data };
        if constant.len() != count {
            refuse!(
                "the constant `{name}` has {} elements for shape {:?}",
                constant.len(),
                constant.shape
            );
        }
        Ok(constant)
    }

    pub(super) fn len(&self) -> usize {
        match &self.data {
            Data::F32(data) => data.len(),
            Data::F64(data) => data.len(),
            Data::I64(data) => data.len(),
            Data::Text(data) => data.len(),
        }
    }

    pub(super) fn ints(&self) -> Result<&[i64], Refusal> {
        match &self.data {
            Data::I64(ints) => Ok(ints),
            _ => refuse!("a constant of integers is expected"),
        }
    }
}

fn chunks<const N: usize, T>(raw: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    raw.chunks_exact(N)
        .filter_map(|chunk| chunk.first_chunk::<N>())
        .map(|chunk| read(*chunk))
        .collect()
}

pub(super) fn texts(texts: &[&[u8]]) -> Result<Vec<Arc<str>>, Refusal> {
    let read = |text: &&[u8]| std::str::from_utf8(text).ok().map(Arc::from);
    match texts.iter().map(read).collect() {
        Some(texts) => Ok(texts),
        None => refuse!("a text in the file is no UTF-8"),
    }
}

/// The element type of a number, as far as it is computed with.
pub(super) fn element(number: i32) -> Result<Element, Refusal> {
    Ok(match number {
        1 => Element::F32,
        6 => Element::I32,
        7 => Element::I64,
        8 => Element::Str,
        9 => Element::Bool,
        11 => Element::F64,
        other => refuse!("tensors of element type {other} are not computed natively"),
    })
}

/// The form in which a plan has rows of that element type.
pub(super) fn form(element: Element, width: usize) -> Result<Form, Refusal> {
    Ok(match element {
        Element::F32 => Form::f32(width),
        Element::F64 => Form::f64(width),
        Element::I64 | Element::I32 | Element::Bool => Form::i64(width),
        Element::Str => Form::cells(width),
        other => refuse!("{} is not computed natively", other.onnx_name()),
    })
}

/// The graph so far.
pub(super) struct Lowering<'m> {
    pub(super) builder: Builder,
    pub(super) held: HashMap<&'m str, Held>,
    /// Version of the operators of ONNX itself.
    pub(super) version: i64,
    /// That of the operators of `ai.onnx.ml`.
    pub(super) ml_version: i64,
}

impl<'m> Lowering<'m> {
    /// The tensor at `position` of a node's inputs; nothing when it is left out.
    pub(super) fn optional(&self, node: &Node<'m>, position: usize) -> Result<Option<&Held>, Refusal> {
        match node.inputs.get(position) {
            None | Some(&"") => Ok(None),
            Some(name) => match self.held.get(name) {
                Some(held) => Ok(Some(held)),
                None => refuse!("the tensor `{name}` is not known"),
            },
        }
    }

    /// The rows at `position` of a node's inputs.
    pub(super) fn rows(&self, node: &Node<'m>, position: usize) -> Result<Rows, Refusal> {
        match self.optional(node, position)? {
            Some(Held::Rows(rows)) => Ok(rows.clone()),
            _ => refuse!("input {position} is not computed out of the request"),
        }
    }

    /// The constant at `position` of a node's inputs.
    pub(super) fn constant(&self, node: &Node<'m>, position: usize) -> Result<Arc<Constant>, Refusal> {
        match self.optional(node, position)? {
            Some(Held::Constant(constant)) => Ok(Arc::clone(constant)),
            _ => refuse!("input {position} is no constant"),
        }
    }

    /// Integers that newer operators have as input `position`, and older ones as an attribute.
    pub(super) fn axes(
        &self,
        node: &Node<'m>,
        attributes: &Attributes<'_, 'm>,
        position: usize,
        name: &'static str,
    ) -> Result<Option<Vec<i64>>, Refusal> {
        match self.optional(node, position)? {
            Some(Held::Constant(constant)) => Ok(Some(constant.ints()?.to_vec())),
            Some(_) => refuse!("input {position} is no constant"),
            None => Ok(attributes.get(name).map(|attribute| attribute.ints.clone())),
        }
    }

    /// Makes the rows float32, as operators for machine learning take any number.
    pub(super) fn as_f32(&mut self, rows: Rows) -> Result<Rows, Refusal> {
        if rows.element == Element::F32 {
            return Ok(rows);
        }
        super::shape::cast(self, rows, Element::F32)
    }

    /// Pushes a step that is a function of its inputs.
    pub(super) fn push<F>(
        &mut self,
        what: impl Into<String>,
        inputs: &[&Rows],
        (element, tail): (Element, Tail),
        function: F,
    ) -> Result<Rows, Refusal>
    where
        F: for<'a> Fn(&mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> + Send + Sync + 'static,
    {
        let registers: SmallVec<[Register; 4]> = inputs.iter().map(|rows| rows.register).collect();
        let width = crate::model::tensor::element_count(&tail);
        let step = Computed {
            what: what.into(),
            gives: form(element, width)?,
            function,
        };
        Ok(Rows {
            register: self.builder.push(step, &registers)?,
            element,
            tail,
        })
    }

    /// Pushes a step that has a type of its own.
    pub(super) fn step(
        &mut self,
        step: impl Step + 'static,
        input: &Rows,
        (element, tail): (Element, Tail),
    ) -> Result<Rows, Refusal> {
        let register = self.builder.push(step, &[input.register])?;
        let gives = self.builder.form(register);
        if gives != form(element, tail.iter().product())? {
            refuse!("a step gives {gives:?}");
        }
        Ok(Rows {
            register,
            element,
            tail,
        })
    }
}

/// A step that is a function. Its inputs come from the lowering, which knows their forms.
struct Computed<F> {
    what: String,
    gives: Form,
    function: F,
}

impl<F> Step for Computed<F>
where
    F: for<'a> Fn(&mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> + Send + Sync,
{
    fn describe(&self) -> String {
        self.what.clone()
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs.iter().any(|form| form.kind == Kind::Input) {
            true => Err("it computes with the request itself".into()),
            false => Ok(self.gives),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        (self.function)(inputs)
    }
}

/// The attributes of a node, none of which may go unread.
pub(super) struct Attributes<'n, 'm>(&'n [Attribute<'m>]);

impl<'n, 'm> Attributes<'n, 'm> {
    /// Those of a node whose operator has these and no others.
    pub(super) fn of(node: &'n Node<'m>, known: &[&str]) -> Result<Attributes<'n, 'm>, Refusal> {
        for attribute in &node.attributes {
            if attribute.other || !known.contains(&attribute.name) {
                refuse!("attribute `{}` is not computed natively", attribute.name);
            }
        }
        Ok(Attributes(&node.attributes))
    }

    pub(super) fn get(&self, name: &str) -> Option<&'n Attribute<'m>> {
        self.0.iter().find(|attribute| attribute.name == name)
    }

    pub(super) fn int(&self, name: &str, default: i64) -> i64 {
        self.get(name).map_or(default, |attribute| attribute.int)
    }

    pub(super) fn float(&self, name: &str, default: f32) -> f32 {
        self.get(name).map_or(default, |attribute| attribute.float)
    }

    pub(super) fn ints(&self, name: &str) -> &'n [i64] {
        self.get(name).map_or(&[], |attribute| attribute.ints.as_slice())
    }

    pub(super) fn floats(&self, name: &str) -> &'n [f32] {
        self.get(name)
            .map_or(&[], |attribute| attribute.floats.as_slice())
    }

    pub(super) fn texts(&self, name: &str) -> &'n [&'m [u8]] {
        self.get(name).map_or(&[], |attribute| attribute.texts.as_slice())
    }

    /// Text; `default` when it is not given.
    pub(super) fn text(&self, name: &str, default: &'static str) -> &'n str {
        match self.get(name) {
            Some(attribute) => std::str::from_utf8(attribute.text).unwrap_or("?"),
            None => default,
        }
    }

    /// Labels that are integers under one name or texts under another.
    pub(super) fn labels(&self, ints: &str, texts: &str) -> Result<Labels, Refusal> {
        match (self.ints(ints), self.texts(texts)) {
            (ints, []) => Ok(Labels::Int(ints.to_vec())),
            ([], texts) => Ok(Labels::Text(self::texts(texts)?)),
            _ => refuse!("both `{ints}` and `{texts}` are given"),
        }
    }
}

/// The place of an axis that may be counted from the end.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, Refusal> {
    let from_start = if axis < 0 {
        axis.saturating_add(rank as i64)
    } else {
        axis
    };
    match usize::try_from(from_start) {
        Ok(axis) if axis < rank => Ok(axis),
        _ => refuse!("axis {axis} of {rank}"),
    }
}
