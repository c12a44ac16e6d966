//! NumPy's arrays, scalars and dtypes in pickles, and joblib's way to write arrays.

use std::ops::Range;
use std::sync::Arc;

use crate::flavor::refusal::{Refusal, refuse};

use super::super::arena::UNREAD;
use super::super::dtype::{self, Dtype};
use super::super::object::{Array, ArrayElements, Global, Id, Instance, Object};
use super::machine::Machine;

/// Fields of a record that are read.
const MAX_FIELDS: usize = 1024;

/// Bytes that may be shared.
enum Content<'b> {
    File(&'b [u8]),
    Value(Arc<[u8]>),
}

impl std::ops::Deref for Content<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Content::File(bytes) => bytes,
            Content::Value(bytes) => bytes,
        }
    }
}

impl<'b> Machine<'_, 'b> {
    /// An array that its state will fill.
    pub(super) fn array_shell(&mut self, members: &[Id]) -> Result<Option<Object>, Refusal> {
        let Some(Object::Global(class)) = members.first().map(|class| self.shared.arena.get(*class)) else {
            return Ok(None);
        };
        let array = matches!(&*class.name, "ndarray" | "memmap" | "matrix" | "recarray");
        Ok(array.then(|| {
            Object::Instance(Instance {
                class: Global {
                    module: "numpy".into(),
                    name: "ndarray".into(),
                },
                args: Vec::new(),
                attributes: Vec::new(),
                state: None,
            })
        }))
    }

    /// Fills an array from its state: version, shape, dtype, order, and bytes or a list of objects.
    pub(super) fn fill_array(&mut self, target: Id, state: Id) -> Result<(), Refusal> {
        let Some(&[_, shape, dtype, fortran, content]) = self.members(state).as_deref() else {
            refuse!("the state of an array cannot be read");
        };
        let shape = self.shape(shape)?;
        let fortran = *self.shared.arena.get(fortran) == Object::Bool(true);
        let made = match self.dtype(dtype, 0)? {
            None => None,
            Some(Dtype::Object) => {
                let Some(ids) = self.members(content) else {
                    refuse!("an object array without a list");
                };
                self.object_array(shape, fortran, ids)?
            }
            Some(dtype) => self.plain_array(&dtype, shape, fortran, content)?,
        };
        if let Some(slot) = self.shared.arena.get_mut(target) {
            *slot = match made {
                Some(array) => Object::Array(array),
                None => Object::Opaque(UNREAD.into()),
            };
        }
        Ok(())
    }

    /// `scalar(dtype, bytes)`
    pub(super) fn numpy_scalar(&mut self, members: &[Id]) -> Result<Option<Object>, Refusal> {
        let [dtype, content] = members else {
            return Ok(None);
        };
        match self.dtype(*dtype, 0)? {
            None => Ok(None),
            Some(Dtype::Object) => Ok(Some(self.shared.arena.get(*content).clone())),
            Some(dtype) => Ok(dtype::scalar(self.plain_array(
                &dtype,
                Vec::new(),
                false,
                *content,
            )?)),
        }
    }

    /// `_frombuffer(bytes, dtype, shape, order)` of protocol 5.
    pub(super) fn buffer_array(&mut self, members: &[Id]) -> Result<Option<Object>, Refusal> {
        let [content, dtype, shape, order, ..] = members else {
            return Ok(None);
        };
        let shape = self.shape(*shape)?;
        let fortran = matches!(self.shared.arena.get(*order), Object::Text(order) if &**order == "F");
        match self.dtype(*dtype, 0)? {
            None | Some(Dtype::Object) => Ok(None),
            Some(dtype) => Ok(self
                .plain_array(&dtype, shape, fortran, *content)?
                .map(Object::Array)),
        }
    }

    /// The array that joblib wrote after its description, if `wrapper` is such.
    pub(super) fn joblib_array(&mut self, wrapper: Id) -> Result<Option<Id>, Refusal> {
        let Object::Instance(instance) = self.shared.arena.get(wrapper) else {
            return Ok(None);
        };
        match (&*instance.class.module, &*instance.class.name) {
            ("joblib.numpy_pickle", "NumpyArrayWrapper") if !self.nested => {}
            ("joblib.numpy_pickle_compat", _) => refuse!("a file of a joblib before 0.10: dump it anew"),
            _ => return Ok(None),
        }
        let attribute = |name: &str| {
            let found = instance
                .attributes
                .iter()
                .rev()
                .find(|(attribute, _)| &**attribute == name);
            found.map(|(_, id)| *id)
        };
        let (Some(shape), Some(dtype), Some(order)) =
            (attribute("shape"), attribute("dtype"), attribute("order"))
        else {
            refuse!("joblib's description of an array cannot be read");
        };
        let alignment = attribute("numpy_array_alignment_bytes").map(|id| self.shared.arena.get(id));
        let padded = matches!(alignment, Some(Object::Int(_)));
        let fortran = matches!(self.shared.arena.get(order), Object::Text(order) if &**order == "F");
        let shape = self.shape(shape)?;
        let Some(dtype) = self.dtype(dtype, 0)? else {
            refuse!("joblib wrote an array of a dtype that is not read");
        };
        if dtype == Dtype::Object {
            let (array, end) = Machine::new(self.shared, self.at).run()?;
            self.at = end;
            return Ok(Some(array));
        }
        if padded {
            let length = self.byte()?;
            self.place(usize::from(length))?;
        }
        let length = dtype::count(&shape)?.saturating_mul(dtype.size());
        let place = self.place(length)?;
        let array = self.array_in_file(&dtype, shape, fortran, place)?;
        self.shared.arena.array(array).map(Some)
    }

    fn array_in_file(
        &mut self,
        dtype: &Dtype,
        shape: Vec<usize>,
        fortran: bool,
        place: Range<usize>,
    ) -> Result<Option<Array>, Refusal> {
        let bytes = self.shared.bytes.get(place).unwrap_or_default();
        dtype::array(dtype, shape, fortran, bytes, &mut self.shared.arena.budget)
    }

    fn plain_array(
        &mut self,
        dtype: &Dtype,
        shape: Vec<usize>,
        fortran: bool,
        content: Id,
    ) -> Result<Option<Array>, Refusal> {
        let Some(bytes) = self.content(content) else {
            refuse!("an array without bytes");
        };
        let array = dtype::array(dtype, shape, fortran, &bytes, &mut self.shared.arena.budget)?;
        if array.is_some() {
            self.shared.spent.insert(content);
        }
        Ok(array)
    }

    fn object_array(
        &mut self,
        shape: Vec<usize>,
        fortran: bool,
        ids: Vec<Id>,
    ) -> Result<Option<Array>, Refusal> {
        if dtype::count(&shape)? != ids.len() {
            refuse!("{} objects for an array of shape {shape:?}", ids.len());
        }
        self.shared.arena.budget.spend(ids.len() * size_of::<Id>())?;
        let elements = ArrayElements::Object(ids);
        let elements = if fortran {
            dtype::in_c_order(&shape, elements)?
        } else {
            elements
        };
        Ok(Some(Array { shape, elements }))
    }

    fn content(&self, id: Id) -> Option<Content<'b>> {
        match (self.shared.places.get(&id), self.shared.arena.get(id)) {
            (Some(place), _) => self.shared.bytes.get(place.clone()).map(Content::File),
            (None, Object::Bytes(bytes)) => Some(Content::Value(Arc::clone(bytes))),
            _ => None,
        }
    }

    fn shape(&self, id: Id) -> Result<Vec<usize>, Refusal> {
        let extents: Option<Vec<usize>> = match self.shared.arena.get(id) {
            Object::Tuple(extents) => extents.iter().map(|extent| self.extent(*extent)).collect(),
            Object::Int(_) => self.extent(id).map(|extent| vec![extent]),
            _ => None,
        };
        match extents {
            Some(extents) if extents.len() <= 64 => Ok(extents),
            _ => refuse!("the shape of an array cannot be read"),
        }
    }

    fn extent(&self, id: Id) -> Option<usize> {
        match self.shared.arena.get(id) {
            Object::Int(extent) => usize::try_from(*extent).ok(),
            _ => None,
        }
    }

    /// The dtype that a value is; `None` for one that is not read.
    fn dtype(&self, id: Id, depth: usize) -> Result<Option<Dtype>, Refusal> {
        let Object::Instance(Instance {
            class, args, state, ..
        }) = self.shared.arena.get(id)
        else {
            return Ok(None);
        };
        if &*class.name != "dtype" || depth > 1 {
            return Ok(None);
        }
        let Some(Object::Text(name)) = args.first().map(|name| self.shared.arena.get(*name)) else {
            return Ok(None);
        };
        let dtype = Dtype::parse(name)?;
        let state = state.and_then(|state| self.members(state)).unwrap_or_default();
        // (version, byte order, subdtype, names, fields, size, alignment, flags)
        let &[_, order, subdtype, names, fields, size, ..] = state.as_slice() else {
            return Ok(Some(dtype));
        };
        if *self.shared.arena.get(subdtype) != Object::None {
            return Ok(None);
        }
        let size = self.extent(size);
        if let (Some(names), Object::Dict(fields)) = (self.members(names), self.shared.arena.get(fields)) {
            return self.record(&names, fields, size.unwrap_or(0), depth);
        }
        Ok(match self.shared.arena.get(order) {
            Object::Text(order) => Some(dtype.with_order(order, size)),
            _ => Some(dtype),
        })
    }

    /// The dtype of records with these names, whose types and places are in a dict.
    fn record(
        &self,
        names: &[Id],
        entries: &[(Id, Id)],
        size: usize,
        depth: usize,
    ) -> Result<Option<Dtype>, Refusal> {
        if names.len() > MAX_FIELDS || entries.len() > MAX_FIELDS {
            refuse!("records of {} fields", names.len());
        }
        let mut fields = Vec::with_capacity(names.len());
        for name in names {
            let Object::Text(text) = self.shared.arena.get(*name) else {
                return Ok(None);
            };
            let entry = entries
                .iter()
                .find(|(key, _)| self.shared.arena.get(*key) == self.shared.arena.get(*name));
            let Some(&[dtype, offset, ..]) = entry.and_then(|(_, entry)| self.members(*entry)).as_deref()
            else {
                return Ok(None);
            };
            // Fields of other types are passed over: nobody asks for them.
            if let (Some(Dtype::Plain(plain)), Some(offset)) =
                (self.dtype(dtype, depth + 1)?, self.extent(offset))
            {
                if offset.saturating_add(plain.size) > size {
                    refuse!("field `{text}` lies outside of its record");
                }
                fields.push((Arc::clone(text), plain, offset));
            }
        }
        Ok(Some(Dtype::Record { size, fields }))
    }
}
