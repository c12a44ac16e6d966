//! What calls and constructions in a pickle stand for.

use std::sync::Arc;

use crate::flavor::refusal::{Refusal, refuse};

use super::super::object::{Global, Id, Instance, Object};
use super::machine::Machine;

impl Machine<'_, '_> {
    /// An instance of `class`; what is no class stays opaque.
    pub(super) fn instance(&mut self, class: Id, args: Id) -> Result<Id, Refusal> {
        let Object::Global(class) = self.shared.arena.get(class) else {
            return self
                .shared
                .arena
                .opaque("an instance of a class that is part of the file");
        };
        let class = class.clone();
        match (&*class.module, &*class.name) {
            ("collections", "OrderedDict" | "defaultdict") => self.shared.arena.add(Object::Dict(Vec::new())),
            _ => self.instance_of(class, args),
        }
    }

    fn instance_of(&mut self, class: Global, args: Id) -> Result<Id, Refusal> {
        let args = self.members(args).unwrap_or_default();
        self.shared.arena.budget.spend(args.len() * size_of::<Id>())?;
        self.shared.arena.add(Object::Instance(Instance {
            class,
            args,
            attributes: Vec::new(),
            state: None,
        }))
    }

    /// What the call of `function` would give, as far as it is data.
    pub(super) fn reduce(&mut self, function: Id, args: Id) -> Result<Id, Refusal> {
        let Object::Global(function) = self.shared.arena.get(function) else {
            return self
                .shared
                .arena
                .opaque("the call of a function that is part of the file");
        };
        let function = function.clone();
        let Some(members) = self.members(args) else {
            refuse!("`{}` is called without arguments", function.name);
        };
        let numpy = function.module.split('.').next() == Some("numpy");
        let made = match (&*function.module, &*function.name) {
            (_, "_reconstruct") if numpy => self.array_shell(&members)?,
            (_, "scalar") if numpy => self.numpy_scalar(&members)?,
            (_, "_frombuffer") if numpy => self.buffer_array(&members)?,
            (_, "_ufunc_reconstruct") if numpy => self.named(&members),
            ("numpy", "dtype") => return self.instance_of(function, args),
            ("sklearn.tree._tree", "Tree") | ("functools", "partial") => {
                return self.instance_of(function, args);
            }
            ("builtins", "slice") => self.slice(&members),
            ("builtins", "bytearray" | "bytes") => match members.as_slice() {
                [] => Some(Object::Bytes(Arc::from([]))),
                [content, ..] => {
                    if let Object::Bytes(_) = self.shared.arena.get(*content) {
                        return Ok(*content);
                    }
                    None
                }
            },
            ("builtins", "set" | "frozenset" | "list") => match members.as_slice() {
                [] => Some(Object::List(Vec::new())),
                [content, ..] => {
                    if let Object::List(_) = self.shared.arena.get(*content) {
                        return Ok(*content);
                    }
                    None
                }
            },
            ("collections", "defaultdict") => Some(Object::Dict(Vec::new())),
            ("collections", "OrderedDict") => Some(Object::Dict(self.dict_of(&members)?)),
            ("_codecs", "encode") => self.latin(&members)?,
            ("copyreg", "_reconstructor") => match members.first() {
                Some(class) => {
                    let none = self.shared.arena.add(Object::Tuple(Vec::new()))?;
                    return self.instance(*class, none);
                }
                None => None,
            },
            ("copyreg", "__newobj__") => match members.split_first() {
                Some((class, rest)) => {
                    self.shared.arena.budget.spend(std::mem::size_of_val(rest))?;
                    let rest = self.shared.arena.add(Object::Tuple(rest.to_vec()))?;
                    return self.instance(*class, rest);
                }
                None => None,
            },
            _ => None,
        };
        match made {
            Some(object) => self.shared.arena.add(object),
            None => self
                .shared
                .arena
                .opaque(format!("{}.{}", function.module, function.name)),
        }
    }

    /// Gives a value its state.
    pub(super) fn build(&mut self, target: Id, state: Id) -> Result<(), Refusal> {
        let Object::Instance(instance) = self.shared.arena.get(target) else {
            return Ok(());
        };
        if &*instance.class.module == "numpy" && &*instance.class.name == "ndarray" {
            return self.fill_array(target, state);
        }
        let mut attributes = Vec::new();
        let mut whole = None;
        match self.shared.arena.get(state) {
            // With slots there are two dicts, the first of which may be missing.
            Object::Tuple(parts) => match parts.as_slice() {
                [first, second]
                    if self.is_dict(*second) && (self.is_dict(*first) || self.is_none(*first)) =>
                {
                    self.attributes(*first, &mut attributes);
                    self.attributes(*second, &mut attributes);
                }
                _ => whole = Some(state),
            },
            Object::Dict(_) => self.attributes(state, &mut attributes),
            _ => whole = Some(state),
        }
        self.shared
            .arena
            .budget
            .spend(std::mem::size_of_val(attributes.as_slice()))?;
        if let Some(Object::Instance(instance)) = self.shared.arena.get_mut(target) {
            instance.attributes.append(&mut attributes);
            instance.state = whole.or(instance.state);
        }
        Ok(())
    }

    /// The members of a list or tuple.
    pub(super) fn members(&self, id: Id) -> Option<Vec<Id>> {
        match self.shared.arena.get(id) {
            Object::Tuple(members) | Object::List(members) => Some(members.clone()),
            _ => None,
        }
    }

    fn is_none(&self, id: Id) -> bool {
        *self.shared.arena.get(id) == Object::None
    }

    fn is_dict(&self, id: Id) -> bool {
        matches!(self.shared.arena.get(id), Object::Dict(_))
    }

    fn attributes(&self, dict: Id, attributes: &mut Vec<(Arc<str>, Id)>) {
        let Object::Dict(entries) = self.shared.arena.get(dict) else {
            return;
        };
        attributes.extend(
            entries
                .iter()
                .filter_map(|(key, value)| match self.shared.arena.get(*key) {
                    Object::Text(name) => Some((Arc::clone(name), *value)),
                    _ => None,
                }),
        );
    }

    /// The global that a module and a name are.
    fn named(&self, members: &[Id]) -> Option<Object> {
        match members {
            [module, name] => match (self.shared.arena.get(*module), self.shared.arena.get(*name)) {
                (Object::Text(module), Object::Text(name)) => Some(Object::Global(Global {
                    module: Arc::clone(module),
                    name: Arc::clone(name),
                })),
                _ => None,
            },
            _ => None,
        }
    }

    fn slice(&self, members: &[Id]) -> Option<Object> {
        match members {
            [start, stop, step] => Some(Object::Slice([*start, *stop, *step])),
            _ => None,
        }
    }

    /// The entries of `OrderedDict([(key, value), …])`, as old versions of Python write it.
    fn dict_of(&mut self, members: &[Id]) -> Result<Vec<(Id, Id)>, Refusal> {
        let Some(list) = members.first() else {
            return Ok(Vec::new());
        };
        let list = self.members(*list).unwrap_or_default();
        self.shared
            .arena
            .budget
            .spend(list.len() * size_of::<(Id, Id)>())?;
        let mut entries = Vec::with_capacity(list.len());
        for pair in list {
            match self.shared.arena.get(pair) {
                Object::Tuple(pair) | Object::List(pair) if pair.len() == 2 => {
                    entries.extend(pair.first().copied().zip(pair.get(1).copied()));
                }
                _ => refuse!("an OrderedDict of what are no pairs"),
            }
        }
        Ok(entries)
    }

    /// Bytes of protocol 2, written as text of Latin-1.
    fn latin(&mut self, members: &[Id]) -> Result<Option<Object>, Refusal> {
        let Some(Object::Text(text)) = members.first().map(|text| self.shared.arena.get(*text)) else {
            return Ok(None);
        };
        let length = text.len();
        let bytes: Option<Vec<u8>> = text.chars().map(|letter| u8::try_from(letter).ok()).collect();
        self.shared.arena.budget.spend(length)?;
        Ok(bytes.map(|bytes| Object::Bytes(bytes.into())))
    }
}
