//! The stack machine.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use crate::flavor::refusal::{Refusal, refuse};

use super::super::arena::Arena;
use super::super::object::{Global, Id, Instance, Object, Objects};
use super::read::unescaped;

/// What the machines of one file share: joblib puts pickles inside of pickles.
pub(super) struct Shared<'b> {
    pub(super) arena: Arena,
    pub(super) bytes: &'b [u8],
    /// Where in the file the content of a `bytes` value is.
    pub(super) places: HashMap<Id, Range<usize>>,
    /// Bytes that an array was read from, and that nobody else needs.
    pub(super) spent: HashSet<Id>,
}

impl<'b> Shared<'b> {
    pub(super) fn new(arena: Arena, bytes: &'b [u8]) -> Shared<'b> {
        Shared {
            arena,
            bytes,
            places: HashMap::new(),
            spent: HashSet::new(),
        }
    }

    /// The values, `bytes` with their content.
    pub(super) fn finish(mut self, root: Id) -> Result<Objects, Refusal> {
        for (id, place) in std::mem::take(&mut self.places) {
            let content = if self.spent.contains(&id) {
                Object::Opaque("the bytes of an array".into())
            } else {
                self.arena.budget.spend(place.len())?;
                Object::Bytes(self.bytes.get(place).unwrap_or_default().into())
            };
            if let Some(slot) = self.arena.get_mut(id) {
                *slot = content;
            }
        }
        Ok(self.arena.finish(root))
    }
}

/// A machine that reads one pickle.
pub(super) struct Machine<'s, 'b> {
    pub(super) shared: &'s mut Shared<'b>,
    /// Where it is in the file.
    pub(super) at: usize,
    protocol: u8,
    pub(super) stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// Whether it reads an object array inside of a joblib file; such arrays hold no others.
    pub(super) nested: bool,
}

impl<'s, 'b> Machine<'s, 'b> {
    /// A machine for the pickle that begins here.
    pub(super) fn new(shared: &'s mut Shared<'b>, at: usize) -> Machine<'s, 'b> {
        Machine {
            shared,
            at,
            protocol: 0,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            nested: at > 0,
        }
    }

    /// Reads until the pickle ends; gives its value and where it ended.
    pub(super) fn run(mut self) -> Result<(Id, usize), Refusal> {
        loop {
            let opcode = self.byte()?;
            if opcode == b'.' {
                return Ok((self.pop()?, self.at));
            }
            let begin = self.at - 1;
            self.step(opcode)
                .map_err(|refusal| refusal.within(format_args!("at byte {begin}")))?;
        }
    }

    fn step(&mut self, opcode: u8) -> Result<(), Refusal> {
        match opcode {
            // Protocol and frames
            0x80 => {
                self.protocol = self.byte()?;
                if self.protocol > 5 {
                    refuse!("protocol {} is not known, 0 to 5 are", self.protocol);
                }
            }
            0x95 => drop(self.take(8)?),
            // Stack and memo
            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                } else {
                    self.pop()?;
                }
            }
            b'1' => drop(self.since_mark()?),
            b'2' => self.stack.push(self.top()?),
            0x94 => {
                let Ok(number) = u32::try_from(self.memo.len()) else {
                    refuse!("the memo is too long");
                };
                self.remember(number)?;
            }
            b'q' => {
                let number = self.byte()?;
                self.remember(u32::from(number))?;
            }
            b'r' => {
                let number = self.length(4)?;
                self.remember(number as u32)?;
            }
            b'p' => {
                let number = self.number_line()?;
                self.remember(number)?;
            }
            b'h' => {
                let number = self.byte()?;
                self.recall(u32::from(number))?;
            }
            b'j' => {
                let number = self.length(4)?;
                self.recall(number as u32)?;
            }
            b'g' => {
                let number = self.number_line()?;
                self.recall(number)?;
            }
            // Constants and numbers
            b'N' => self.push(Object::None)?,
            0x88 => self.push(Object::Bool(true))?,
            0x89 => self.push(Object::Bool(false))?,
            b'K' => {
                let whole = self.byte()?;
                self.push(Object::Int(i64::from(whole)))?;
            }
            b'M' => {
                let whole = self.length(2)?;
                self.push(Object::Int(whole as i64))?;
            }
            b'J' => {
                let bytes = self.array::<4>()?;
                self.push(Object::Int(i64::from(i32::from_le_bytes(bytes))))?;
            }
            0x8a => {
                let length = usize::from(self.byte()?);
                self.long(length)?;
            }
            0x8b => {
                let length = self.length(4)?;
                self.long(length)?;
            }
            b'I' => match self.line()? {
                "00" => self.push(Object::Bool(false))?,
                "01" => self.push(Object::Bool(true))?,
                digits => self.whole(digits)?,
            },
            b'L' => {
                let line = self.line()?;
                self.whole(line.strip_suffix('L').unwrap_or(line))?;
            }
            b'F' => match self.line()?.parse() {
                Ok(float) => self.push(Object::Float(float))?,
                Err(_) => refuse!("a float that is none"),
            },
            b'G' => {
                let bytes = self.array::<8>()?;
                self.push(Object::Float(f64::from_be_bytes(bytes)))?;
            }
            // Text and bytes
            b'V' => {
                let text = unescaped(self.raw_line()?)?;
                let id = self.shared.arena.text(&text)?;
                self.stack.push(id);
            }
            0x8c => self.text(1)?,
            b'X' => self.text(4)?,
            0x8d => self.text(8)?,
            b'C' => self.bytes(1)?,
            b'B' => self.bytes(4)?,
            0x8e | 0x96 => self.bytes(8)?,
            // Containers
            b')' => self.push(Object::Tuple(Vec::new()))?,
            b']' | 0x8f => self.push(Object::List(Vec::new()))?,
            b'}' => self.push(Object::Dict(Vec::new()))?,
            b't' => {
                let members = self.since_mark()?;
                self.push(Object::Tuple(members))?;
            }
            0x85..=0x87 => {
                let mut members = Vec::with_capacity(3);
                for _ in 0x84..opcode {
                    members.push(self.pop()?);
                }
                members.reverse();
                self.push(Object::Tuple(members))?;
            }
            b'l' | 0x91 => {
                let members = self.since_mark()?;
                self.push(Object::List(members))?;
            }
            b'd' => {
                let members = self.since_mark()?;
                self.push(Object::Dict(pairs(&members)))?;
            }
            b'a' => {
                let member = self.pop()?;
                self.append(&[member])?;
            }
            b'e' | 0x90 => {
                let members = self.since_mark()?;
                self.append(&members)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.insert(vec![(key, value)])?;
            }
            b'u' => {
                let members = self.since_mark()?;
                self.insert(pairs(&members))?;
            }
            // Names, instances and calls
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Object::Text(name), Object::Text(module)) =
                    (self.shared.arena.get(name), self.shared.arena.get(module))
                else {
                    refuse!("a name that is no text");
                };
                let (name, module) = (Arc::clone(name), Arc::clone(module));
                self.push(Object::Global(Global { module, name }))?;
            }
            0x81 | 0x92 => {
                if opcode == 0x92 {
                    // Keyword arguments of a constructor; no estimator has any.
                    self.pop()?;
                }
                let args = self.pop()?;
                let class = self.pop()?;
                let made = self.instance(class, args)?;
                self.stack.push(made);
            }
            b'R' => {
                let args = self.pop()?;
                let function = self.pop()?;
                let made = self.reduce(function, args)?;
                self.stack.push(made);
            }
            b'b' => {
                let state = self.pop()?;
                let target = self.top()?;
                self.build(target, state)?;
                if let Some(array) = self.joblib_array(target)? {
                    self.pop()?;
                    self.stack.push(array);
                }
            }
            b'P' | b'Q' => refuse!("a reference to an object outside of the file"),
            0x97 | 0x98 => refuse!("a buffer outside of the file"),
            _ => refuse!("opcode {opcode:#04x} is not known or not allowed"),
        }
        Ok(())
    }

    // Stack and memo

    pub(super) fn push(&mut self, object: Object) -> Result<(), Refusal> {
        let id = self.shared.arena.add(object)?;
        self.stack.push(id);
        Ok(())
    }

    fn pop(&mut self) -> Result<Id, Refusal> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.pop() {
            Some(id) if self.stack.len() >= floor => Ok(id),
            _ => refuse!("the stack is empty"),
        }
    }

    fn top(&self) -> Result<Id, Refusal> {
        match self.stack.last() {
            Some(id) => Ok(*id),
            None => refuse!("the stack is empty"),
        }
    }

    fn since_mark(&mut self) -> Result<Vec<Id>, Refusal> {
        match self.marks.pop() {
            Some(mark) if mark <= self.stack.len() => Ok(self.stack.split_off(mark)),
            _ => refuse!("no mark is set"),
        }
    }

    fn remember(&mut self, number: u32) -> Result<(), Refusal> {
        let id = self.top()?;
        self.memo.insert(number, id);
        Ok(())
    }

    fn recall(&mut self, number: u32) -> Result<(), Refusal> {
        match self.memo.get(&number) {
            Some(id) => self.stack.push(*id),
            None => refuse!("memo {number} is not set"),
        }
        Ok(())
    }

    // Containers and names

    fn append(&mut self, members: &[Id]) -> Result<(), Refusal> {
        let target = self.top()?;
        match self.shared.arena.get_mut(target) {
            Some(Object::List(list)) => list.extend_from_slice(members),
            // A class made from `list`.
            Some(Object::Instance(Instance {
                state: Some(state), ..
            })) => {
                let state = *state;
                if let Some(Object::List(list)) = self.shared.arena.get_mut(state) {
                    list.extend_from_slice(members);
                }
            }
            Some(Object::Instance(_)) => {
                let list = self.shared.arena.add(Object::List(members.to_vec()))?;
                if let Some(Object::Instance(instance)) = self.shared.arena.get_mut(target) {
                    instance.state = Some(list);
                }
            }
            Some(Object::Opaque(_)) => {}
            _ => refuse!("members are added to what is no list"),
        }
        Ok(())
    }

    fn insert(&mut self, entries: Vec<(Id, Id)>) -> Result<(), Refusal> {
        let target = self.top()?;
        let named: Vec<(Arc<str>, Id)> = entries
            .iter()
            .filter_map(|(key, value)| match self.shared.arena.get(*key) {
                Object::Text(name) => Some((Arc::clone(name), *value)),
                _ => None,
            })
            .collect();
        match self.shared.arena.get_mut(target) {
            Some(Object::Dict(dict)) => dict.extend(entries),
            // A class made from `dict`, `Bunch` for one.
            Some(Object::Instance(instance)) => instance.attributes.extend(named),
            Some(Object::Opaque(_)) => {}
            _ => refuse!("entries are added to what is no dict"),
        }
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), Refusal> {
        // Up to protocol 2, modules have the names of Python 2.
        let module = match module {
            "__builtin__" => "builtins",
            "copy_reg" => "copyreg",
            module => module,
        };
        self.shared.arena.budget.spend(module.len() + name.len())?;
        self.push(Object::Global(Global {
            module: module.into(),
            name: name.into(),
        }))
    }
}

/// Keys and values that follow each other.
fn pairs(members: &[Id]) -> Vec<(Id, Id)> {
    members
        .chunks_exact(2)
        .filter_map(|pair| match pair {
            [key, value] => Some((*key, *value)),
            _ => None,
        })
        .collect()
}
