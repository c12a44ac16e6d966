//! Where values are put while a file is read, and how much they may take.

use std::sync::Arc;

use crate::flavor::refusal::{Refusal, refuse};

use super::object::{Array, Id, Object, Objects};

/// Memory that values may take, per byte of the file.
const SHARE: usize = 24;

/// Memory that values of any file may take.
const FREE: usize = 64 << 20;

/// Small integers are kept once: lists of them are common and cost nothing then.
const SMALL: std::ops::RangeInclusive<i64> = -1..=255;

/// How much may still be allocated; files that say little and mean much are refused.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Budget {
    /// For values that are read from so many bytes.
    pub(super) fn of(bytes: usize) -> Budget {
        Budget(FREE.saturating_add(bytes.saturating_mul(SHARE)))
    }

    /// More bytes came up to be read: an inflated part of an archive.
    pub(super) fn grow(&mut self, bytes: usize) {
        self.0 = self.0.saturating_add(bytes.saturating_mul(SHARE));
    }

    /// Takes so many bytes.
    ///
    /// # Errors
    /// When they are not left.
    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), Refusal> {
        match self.0.checked_sub(bytes) {
            Some(left) => self.0 = left,
            None => refuse!("its values take far more memory than the file is long"),
        }
        Ok(())
    }
}

/// The values read so far.
#[derive(Debug)]
pub(super) struct Arena {
    values: Vec<Object>,
    /// What they may take.
    pub(super) budget: Budget,
    small: Vec<Option<Id>>,
    constants: [Id; 3],
}

impl Arena {
    /// An empty arena for values of a file of so many bytes.
    pub(super) fn new(bytes: usize) -> Arena {
        Arena {
            values: vec![Object::None, Object::Bool(false), Object::Bool(true)],
            budget: Budget::of(bytes),
            small: vec![None; SMALL.count()],
            constants: [Id(0), Id(1), Id(2)],
        }
    }

    /// Adds a value.
    ///
    /// # Errors
    /// When there are too many.
    pub(super) fn add(&mut self, object: Object) -> Result<Id, Refusal> {
        let place = match &object {
            Object::None => return Ok(self.constants[0]),
            Object::Bool(truth) => return Ok(self.constants[1 + usize::from(*truth)]),
            Object::Int(whole) => usize::try_from(whole - SMALL.start()).ok(),
            _ => None,
        };
        if let Some(Some(id)) = place.and_then(|place| self.small.get(place)) {
            return Ok(*id);
        }
        self.budget.spend(size_of::<Object>())?;
        let Ok(number) = u32::try_from(self.values.len()) else {
            refuse!("it holds more than {} values", u32::MAX);
        };
        self.values.push(object);
        if let Some(slot) = place.and_then(|place| self.small.get_mut(place)) {
            *slot = Some(Id(number));
        }
        Ok(Id(number))
    }

    /// Adds text.
    ///
    /// # Errors
    /// When there is too much.
    pub(super) fn text(&mut self, text: &str) -> Result<Id, Refusal> {
        self.budget.spend(text.len())?;
        self.add(Object::Text(text.into()))
    }

    /// Adds what is only known by name.
    ///
    /// # Errors
    /// When there is too much.
    pub(super) fn opaque(&mut self, name: impl Into<Arc<str>>) -> Result<Id, Refusal> {
        let name = name.into();
        self.budget.spend(name.len())?;
        self.add(Object::Opaque(name))
    }

    /// Adds an array, or its name if its elements are of no type that is read.
    ///
    /// # Errors
    /// When there is too much.
    pub(super) fn array(&mut self, array: Option<Array>) -> Result<Id, Refusal> {
        match array {
            Some(array) => self.add(Object::Array(array)),
            None => self.opaque(UNREAD),
        }
    }

    /// The value of this number.
    pub(super) fn get(&self, id: Id) -> &Object {
        self.values.get(id.0 as usize).unwrap_or(&Object::None)
    }

    /// The value of this number, to change.
    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut Object> {
        // Constants are shared by everybody.
        let constant = self.constants.contains(&id) || self.small.contains(&Some(id));
        if constant {
            None
        } else {
            self.values.get_mut(id.0 as usize)
        }
    }

    /// All values, of which `root` was dumped.
    pub(super) fn finish(self, root: Id) -> Objects {
        Objects {
            values: self.values,
            root,
        }
    }
}

/// What an array is called whose elements are of no type that is read.
pub(super) const UNREAD: &str = "an array of a dtype that is not read";
