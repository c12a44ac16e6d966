//! Where the elements of batches of one form lie.

use std::sync::Arc;

use half::f16;

use crate::model::batch::{Batch, Body, Columns, Frame, Names};
use crate::model::tensor::{DType, Elements, Shape, Tensor};

/// How batches of one form and any number of rows are laid down: one tensor after the other.
#[derive(Debug)]
pub(super) struct Layout {
    form: Form,
    tensors: Vec<Laid>,
    columns: Vec<Place>,
    /// Bytes a row of all tensors.
    pub(super) bytes: usize,
}

/// What holds the tensors.
#[derive(Debug)]
enum Form {
    Array,
    Named(Vec<Arc<str>>),
    Matrix(Names),
    Separate(Names),
}

/// A tensor.
#[derive(Debug)]
struct Laid {
    dtype: DType,
    /// Extents of a row.
    inner: Shape,
    /// Bytes of a row of those before it, and of its own.
    before: usize,
    bytes: usize,
}

/// Where a column lies: its row `i` of `n` begins at `n * before + i * pitch + within`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) dtype: DType,
    pub(super) before: usize,
    pub(super) within: usize,
    pub(super) pitch: usize,
    /// Bytes of a row.
    pub(super) bytes: usize,
}

impl Place {
    /// Elements of a row.
    #[cfg(any(feature = "parquet", test))]
    pub(super) fn count(&self) -> Option<usize> {
        self.bytes.checked_div(size_of(self.dtype)?)
    }
}

impl Layout {
    /// That of batches like this one. `None` for what has no fixed length.
    pub(super) fn of(batch: &Batch) -> Option<Layout> {
        if !batch.params.is_empty() {
            return None;
        }
        let (form, tensors) = tensors(&batch.body)?;
        let matrix = matches!(form, Form::Matrix(_));
        let mut layout = Layout {
            form,
            tensors: Vec::new(),
            columns: Vec::new(),
            bytes: 0,
        };
        for tensor in tensors {
            let (dtype, count) = (tensor.dtype(), tensor.row_len());
            let size = size_of(dtype)?;
            let bytes = size.checked_mul(count)?;
            let before = layout.bytes;
            if tensor.shape().is_empty() || bytes == 0 {
                return None;
            }
            layout.tensors.push(Laid {
                dtype,
                inner: Shape::from_slice(tensor.shape().get(1..)?),
                before,
                bytes,
            });
            layout.bytes = before.checked_add(bytes)?;
            let place = |column: usize, count: usize| Place {
                dtype,
                before,
                within: column * size,
                pitch: bytes,
                bytes: count * size,
            };
            match matrix {
                true => layout.columns.extend((0..count).map(|column| place(column, 1))),
                false => layout.columns.push(place(0, count)),
            }
        }
        (layout.bytes > 0).then_some(layout)
    }

    /// Appends a batch of this form and so many rows, and says whether it is one; else, what was appended has to go.
    pub(super) fn lay(&self, out: &mut Vec<u8>, batch: &Batch, rows: usize) -> bool {
        let mut laid = self.tensors.iter();
        let mut tensor = |tensor: &Tensor| laid.next().is_some_and(|laid| laid.lay(out, tensor, rows));
        let fits = match (&self.form, &batch.body) {
            (Form::Array, Body::Array(array)) => tensor(array),
            (Form::Named(names), Body::Named(members)) => {
                let mut pairs = names.iter().zip(members);
                names.len() == members.len()
                    && pairs.all(|(name, (member, array))| {
                        (Arc::ptr_eq(name, member) || name == member) && tensor(array)
                    })
            }
            (Form::Matrix(names), Body::Frame(frame)) => match frame.columns() {
                Columns::Matrix(matrix) => are_one(names, frame.names()) && tensor(matrix),
                Columns::Separate(_) => false,
            },
            (Form::Separate(names), Body::Frame(frame)) => match frame.columns() {
                Columns::Separate(columns) => are_one(names, frame.names()) && columns.iter().all(tensor),
                Columns::Matrix(_) => false,
            },
            _ => false,
        };
        fits && batch.params.is_empty()
    }

    pub(super) fn column(&self, at: usize) -> Option<Place> {
        self.columns.get(at).copied()
    }

    /// The batch of so many rows that was laid down as these bytes, of this form.
    pub(super) fn batch(&self, like: &Batch, rows: usize, bytes: &[u8]) -> Option<Batch> {
        let mut laid = self.tensors.iter();
        let mut tensor = |like: &Tensor| {
            let of = laid.next()?;
            let start = rows.checked_mul(of.before)?;
            let bytes = bytes.get(start..start.checked_add(rows.checked_mul(of.bytes)?)?)?;
            let mut shape = Shape::from_slice(like.shape());
            *shape.first_mut()? = rows;
            Tensor::new(shape, taken(of.dtype, bytes)?).ok()
        };
        let body = match &like.body {
            Body::Array(like) => Body::Array(tensor(like)?),
            Body::Named(like) => {
                let members = like
                    .iter()
                    .map(|(name, like)| Some((name.clone(), tensor(like)?)));
                Body::Named(members.collect::<Option<_>>()?)
            }
            Body::Frame(frame) => {
                let columns = match frame.columns() {
                    Columns::Matrix(like) => Columns::Matrix(tensor(like)?),
                    Columns::Separate(like) => {
                        Columns::Separate(like.iter().map(tensor).collect::<Option<_>>()?)
                    }
                };
                Body::Frame(Frame::new(rows, frame.names().clone(), columns).ok()?)
            }
            Body::Value(_) => return None,
        };
        Some(Batch::new(body))
    }
}

impl Laid {
    /// Appends a tensor like this one, and says whether it is one.
    fn lay(&self, out: &mut Vec<u8>, tensor: &Tensor, rows: usize) -> bool {
        let Some((&first, inner)) = tensor.shape().split_first() else {
            return false;
        };
        // Most have one axis.
        first == rows
            && inner.len() == self.inner.len()
            && (inner.is_empty() || *inner == *self.inner)
            && tensor.dtype() == self.dtype
            && lay_elements(out, tensor.elements())
    }
}

fn are_one(one: &Names, other: &Names) -> bool {
    Arc::ptr_eq(one, other) || **one == **other
}

/// What holds the tensors of a batch, and all of them.
fn tensors(body: &Body) -> Option<(Form, Vec<&Tensor>)> {
    Some(match body {
        Body::Array(tensor) => (Form::Array, vec![tensor]),
        Body::Named(members) => {
            let names = members.iter().map(|(name, _)| name.clone()).collect();
            (
                Form::Named(names),
                members.iter().map(|(_, tensor)| tensor).collect(),
            )
        }
        Body::Frame(frame) => match frame.columns() {
            Columns::Matrix(matrix) => (Form::Matrix(frame.names().clone()), vec![matrix]),
            Columns::Separate(columns) => (Form::Separate(frame.names().clone()), columns.iter().collect()),
        },
        Body::Value(_) => return None,
    })
}

/// Bytes of a batch's elements, where they have a fixed length.
pub(super) fn length(batch: &Batch) -> Option<usize> {
    fn of<'t>(tensors: impl Iterator<Item = &'t Tensor>) -> Option<usize> {
        let lengths = tensors.map(|tensor| size_of(tensor.dtype())?.checked_mul(tensor.elements().len()));
        lengths.sum()
    }
    match &batch.body {
        Body::Array(tensor) => of(std::iter::once(tensor)),
        Body::Named(members) => of(members.iter().map(|(_, tensor)| tensor)),
        Body::Frame(frame) => match frame.columns() {
            Columns::Matrix(matrix) => of(std::iter::once(matrix)),
            Columns::Separate(columns) => of(columns.iter()),
        },
        Body::Value(_) => None,
    }
}

/// Bytes of an element, where all have as many.
fn size_of(dtype: DType) -> Option<usize> {
    Some(match dtype {
        DType::Bool | DType::I8 | DType::U8 => 1,
        DType::I16 | DType::U16 | DType::F16 => 2,
        DType::I32 | DType::U32 | DType::F32 => 4,
        DType::I64 | DType::U64 | DType::F64 | DType::Datetime => 8,
        DType::Str | DType::Object => return None,
    })
}

/// Elements that are few.
const FEW: usize = 8;

/// Appends elements, if they have a fixed length.
fn lay_elements(out: &mut Vec<u8>, elements: &Elements) -> bool {
    #[inline]
    fn each<T: Copy, const SIZE: usize>(
        out: &mut Vec<u8>,
        all: &[T],
        bytes: impl Fn(T) -> [u8; SIZE],
    ) -> bool {
        // Most requests have one row, of a few numbers: they are appended in one go, and no memory is cleared for them.
        if all.len() <= FEW {
            let mut few = [[0; SIZE]; FEW];
            for (place, element) in few.iter_mut().zip(all) {
                *place = bytes(*element);
            }
            out.extend_from_slice(few.get(..all.len()).unwrap_or_default().as_flattened());
            return true;
        }
        let start = out.len();
        out.resize(start + all.len() * SIZE, 0);
        let room = out.get_mut(start..).unwrap_or_default();
        for (place, element) in room.as_chunks_mut().0.iter_mut().zip(all) {
            *place = bytes(*element);
        }
        true
    }
    match elements {
        Elements::Bool(all) => each(out, all, |flag| [u8::from(flag)]),
        Elements::I8(all) => each(out, all, i8::to_ne_bytes),
        Elements::I16(all) => each(out, all, i16::to_ne_bytes),
        Elements::I32(all) => each(out, all, i32::to_ne_bytes),
        Elements::I64(all) | Elements::Datetime(all) => each(out, all, i64::to_ne_bytes),
        Elements::U8(all) => each(out, all, u8::to_ne_bytes),
        Elements::U16(all) => each(out, all, u16::to_ne_bytes),
        Elements::U32(all) => each(out, all, u32::to_ne_bytes),
        Elements::U64(all) => each(out, all, u64::to_ne_bytes),
        Elements::F16(all) => each(out, all, f16::to_ne_bytes),
        Elements::F32(all) => each(out, all, f32::to_ne_bytes),
        Elements::F64(all) => each(out, all, f64::to_ne_bytes),
        Elements::Str(_) | Elements::Object(_) => false,
    }
}

/// Elements that were laid down.
fn taken(dtype: DType, bytes: &[u8]) -> Option<Elements> {
    fn each<T, const SIZE: usize>(bytes: &[u8], of: impl Fn([u8; SIZE]) -> T) -> Vec<T> {
        bytes.as_chunks().0.iter().map(|bytes| of(*bytes)).collect()
    }
    Some(match dtype {
        DType::Bool => Elements::Bool(each(bytes, |[byte]| byte != 0)),
        DType::I8 => Elements::I8(each(bytes, i8::from_ne_bytes)),
        DType::I16 => Elements::I16(each(bytes, i16::from_ne_bytes)),
        DType::I32 => Elements::I32(each(bytes, i32::from_ne_bytes)),
        DType::I64 => Elements::I64(each(bytes, i64::from_ne_bytes)),
        DType::U8 => Elements::U8(bytes.to_vec()),
        DType::U16 => Elements::U16(each(bytes, u16::from_ne_bytes)),
        DType::U32 => Elements::U32(each(bytes, u32::from_ne_bytes)),
        DType::U64 => Elements::U64(each(bytes, u64::from_ne_bytes)),
        DType::F16 => Elements::F16(each(bytes, f16::from_ne_bytes)),
        DType::F32 => Elements::F32(each(bytes, f32::from_ne_bytes)),
        DType::F64 => Elements::F64(each(bytes, f64::from_ne_bytes)),
        DType::Datetime => Elements::Datetime(each(bytes, i64::from_ne_bytes)),
        DType::Str | DType::Object => return None,
    })
}
