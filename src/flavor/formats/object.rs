//! Python objects as data: what a pickle or a skops file holds, without the classes.
//!
//! Values live in an arena and refer to each other by number: shared ones stay shared, nesting of any depth is dropped
//! without recursion, and a value may contain itself without harm to whoever does not go looking.

use std::sync::Arc;

use crate::flavor::refusal::{Refusal, refuse};

/// The number of a value in its arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id(pub u32);

/// A class or function, by name; never resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Global {
    /// `sklearn.linear_model._base`
    pub module: Arc<str>,
    /// `LinearRegression`
    pub name: Arc<str>,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Object {
    /// `None`
    None,
    /// `bool`
    Bool(bool),
    /// `int` of 64 bits; NumPy integers too
    Int(i64),
    /// `int` beyond 64 bits
    BigInt,
    /// `float`; NumPy floats too
    Float(f64),
    /// `str`; `numpy.str_` too
    Text(Arc<str>),
    /// `bytes`, `bytearray`
    Bytes(Arc<[u8]>),
    /// `list`, `set`, `frozenset`
    List(Vec<Id>),
    /// `tuple`
    Tuple(Vec<Id>),
    /// `dict` in order
    Dict(Vec<(Id, Id)>),
    /// `slice`
    Slice([Id; 3]),
    /// `numpy.ndarray`
    Array(Array),
    /// A class or function
    Global(Global),
    /// An instance: class, arguments of its construction, attributes
    Instance(Instance),
    /// Something that is never needed for prediction, by name: a random generator, the call of an unknown function
    Opaque(Arc<str>),
}

/// An instance of a class.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// Its class.
    pub class: Global,
    /// What it was constructed with.
    pub args: Vec<Id>,
    /// Its attributes, or the items of a state that is a dict.
    pub attributes: Vec<(Arc<str>, Id)>,
    /// A state that is no dict.
    pub state: Option<Id>,
}

/// A NumPy array, always in C order.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Extent of each axis; empty for a scalar.
    pub shape: Vec<usize>,
    /// Its elements.
    pub elements: ArrayElements,
}

/// The elements of an [`Array`], by dtype; narrower numbers are widened.
#[derive(Debug, Clone, PartialEq)]
pub enum ArrayElements {
    /// Every float
    Float(Vec<f64>),
    /// Every integer that fits 64 bits
    Int(Vec<i64>),
    /// `bool`
    Bool(Vec<bool>),
    /// `<U…`
    Text(Vec<Arc<str>>),
    /// `object`
    Object(Vec<Id>),
    /// A structured dtype
    Records(Records),
}

/// Records of a structured dtype, one vector per named field, by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Records {
    /// Number of records.
    pub count: usize,
    /// Fields in order; numbers only.
    pub fields: Vec<(Arc<str>, ArrayElements)>,
}

/// All values of one file.
#[derive(Debug, Clone, PartialEq)]
pub struct Objects {
    /// The arena.
    pub values: Vec<Object>,
    /// The value that was dumped.
    pub root: Id,
}

impl Objects {
    /// The value that was dumped.
    pub fn root(&self) -> View<'_> {
        View {
            objects: self,
            id: self.root,
        }
    }
}

/// A value in its arena.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    objects: &'a Objects,
    id: Id,
}

impl<'a> View<'a> {
    /// Its number, by which the same value is known again.
    pub fn id(self) -> Id {
        self.id
    }

    /// The value itself; what is not there is `None`.
    pub fn object(self) -> &'a Object {
        self.objects
            .values
            .get(self.id.0 as usize)
            .unwrap_or(&Object::None)
    }

    /// Another value of the same arena.
    pub fn at(self, id: Id) -> View<'a> {
        View {
            objects: self.objects,
            id,
        }
    }

    /// What it is, for messages: `LogisticRegression`, `list`.
    pub fn kind(self) -> &'a str {
        match self.object() {
            Object::None => "None",
            Object::Bool(_) => "bool",
            Object::Int(_) | Object::BigInt => "int",
            Object::Float(_) => "float",
            Object::Text(_) => "str",
            Object::Bytes(_) => "bytes",
            Object::List(_) => "list",
            Object::Tuple(_) => "tuple",
            Object::Dict(_) => "dict",
            Object::Slice(_) => "slice",
            Object::Array(_) => "ndarray",
            Object::Global(global) => &global.name,
            Object::Instance(instance) => &instance.class.name,
            Object::Opaque(name) => name,
        }
    }

    /// Whether it is `None`.
    pub fn is_none(self) -> bool {
        matches!(self.object(), Object::None)
    }

    /// The instance it is.
    pub fn instance(self) -> Option<&'a Instance> {
        match self.object() {
            Object::Instance(instance) => Some(instance),
            _ => None,
        }
    }

    /// Name of its class, without the module, if it is an instance.
    pub fn class(self) -> Option<&'a str> {
        self.instance().map(|instance| &*instance.class.name)
    }

    /// Its attribute of that name.
    pub fn get(self, name: &str) -> Option<View<'a>> {
        let attributes = &self.instance()?.attributes;
        // Of an attribute that is set twice the last counts.
        let (_, id) = attributes
            .iter()
            .rev()
            .find(|(attribute, _)| &**attribute == name)?;
        Some(self.at(*id))
    }

    /// Its attribute of that name.
    ///
    /// # Errors
    /// When it has none.
    pub fn attribute(self, name: &str) -> Result<View<'a>, Refusal> {
        match self.get(name) {
            Some(value) => Ok(value),
            None => refuse!(
                "`{}` has no `{name}`: it is not fitted, or of an unknown version",
                self.kind()
            ),
        }
    }

    /// The number it is, if it is a number or an array of one.
    pub fn number(self) -> Option<f64> {
        match self.object() {
            Object::Float(float) => Some(*float),
            Object::Int(whole) => Some(*whole as f64),
            Object::Bool(truth) => Some(f64::from(u8::from(*truth))),
            Object::Array(array) => match &array.elements {
                ArrayElements::Float(floats) => (floats.len() == 1).then(|| floats.first().copied())?,
                ArrayElements::Int(whole) => (whole.len() == 1).then(|| whole.first().map(|&x| x as f64))?,
                _ => None,
            },
            _ => None,
        }
    }

    /// The integer it is, if it is one or an array of one.
    pub fn whole(self) -> Option<i64> {
        match self.object() {
            Object::Int(whole) => Some(*whole),
            Object::Bool(truth) => Some(i64::from(*truth)),
            Object::Array(Array {
                elements: ArrayElements::Int(whole),
                ..
            }) => (whole.len() == 1).then(|| whole.first().copied())?,
            _ => None,
        }
    }

    /// Whether it is true; `None` for what is no boolean.
    pub fn truth(self) -> Option<bool> {
        match self.object() {
            Object::Bool(truth) => Some(*truth),
            Object::Int(whole @ (0 | 1)) => Some(*whole == 1),
            Object::Array(Array {
                elements: ArrayElements::Bool(truths),
                ..
            }) => (truths.len() == 1).then(|| truths.first().copied())?,
            _ => None,
        }
    }

    /// The text it is.
    pub fn text(self) -> Option<&'a str> {
        match self.object() {
            Object::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The array it is.
    pub fn array(self) -> Option<&'a Array> {
        match self.object() {
            Object::Array(array) => Some(array),
            _ => None,
        }
    }

    /// Its numbers and their shape, if it is an array or a flat list of numbers.
    pub fn numbers(self) -> Option<(Vec<usize>, Vec<f64>)> {
        match self.object() {
            Object::Array(array) => {
                let numbers = match &array.elements {
                    ArrayElements::Float(floats) => floats.clone(),
                    ArrayElements::Int(whole) => whole.iter().map(|&x| x as f64).collect(),
                    ArrayElements::Bool(truths) => truths.iter().map(|&x| f64::from(u8::from(x))).collect(),
                    ArrayElements::Object(ids) => ids
                        .iter()
                        .map(|&id| self.at(id).number())
                        .collect::<Option<_>>()?,
                    _ => return None,
                };
                Some((array.shape.clone(), numbers))
            }
            Object::List(ids) | Object::Tuple(ids) => {
                let numbers: Option<Vec<f64>> = ids.iter().map(|&id| self.at(id).number()).collect();
                numbers.map(|numbers| (vec![numbers.len()], numbers))
            }
            _ => self.number().map(|number| (Vec::new(), vec![number])),
        }
    }

    /// Its members, if it is a list, tuple or object array; those of an array of several axes in C order.
    pub fn members(self) -> Option<Vec<View<'a>>> {
        let ids = match self.object() {
            Object::List(ids) | Object::Tuple(ids) => ids,
            Object::Array(Array {
                elements: ArrayElements::Object(ids),
                ..
            }) => ids,
            _ => return None,
        };
        Some(ids.iter().map(|&id| self.at(id)).collect())
    }

    /// Its entries, if it is a dict.
    pub fn entries(self) -> Option<Vec<(View<'a>, View<'a>)>> {
        match self.object() {
            Object::Dict(entries) => Some(
                entries
                    .iter()
                    .map(|&(key, value)| (self.at(key), self.at(value)))
                    .collect(),
            ),
            _ => None,
        }
    }

    /// Its value under a text key, if it is a dict.
    pub fn entry(self, key: &str) -> Option<View<'a>> {
        let entries = self.entries()?;
        let found = entries
            .into_iter()
            .rev()
            .find(|(name, _)| name.text() == Some(key))?;
        Some(found.1)
    }
}
