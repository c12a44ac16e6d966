//! How large a model becomes when everything in it that is shared is written out again.
//!
//! Steps own their numbers, so an array that many estimators refer to is copied for each. Models of real life share
//! little; a small file that shares much would fill the memory.

use crate::flavor::formats::object::{ArrayElements, Id, Object, Objects};
use crate::flavor::refusal::{Refusal, refuse};

/// Elements that any model may have, however small its file.
const FREE: u64 = 16 << 20;

/// How many times its own elements a model may have.
const SHARING: u64 = 16;

/// Refuses objects that would become much larger than they are.
///
/// Where they contain themselves nothing is counted twice: lowering ends such a circle by its depth.
pub(super) fn check(objects: &Objects) -> Result<(), Refusal> {
    let own: u64 = objects.values.iter().map(elements).sum();
    let most = own.saturating_mul(SHARING).saturating_add(FREE);
    let whole = expanded(objects);
    if whole > most {
        refuse!("the model shares so much that it would have {whole} elements, {own} of them its own");
    }
    Ok(())
}

/// Elements of one object, without those it refers to.
fn elements(object: &Object) -> u64 {
    let count = match object {
        Object::Array(array) => match &array.elements {
            ArrayElements::Float(floats) => floats.len(),
            ArrayElements::Int(whole) => whole.len(),
            ArrayElements::Bool(truths) => truths.len(),
            ArrayElements::Text(texts) => texts.len(),
            ArrayElements::Object(ids) => ids.len(),
            ArrayElements::Records(records) => records.count.saturating_mul(records.fields.len()),
        },
        Object::Text(text) => text.len() / 8,
        Object::Bytes(bytes) => bytes.len() / 8,
        Object::List(ids) | Object::Tuple(ids) => ids.len(),
        Object::Dict(entries) => entries.len(),
        _ => 0,
    };
    count as u64 + 1
}

/// Calls `visit` with every object that an object refers to.
fn members(object: &Object, mut visit: impl FnMut(Id)) {
    match object {
        Object::List(ids) | Object::Tuple(ids) => ids.iter().copied().for_each(visit),
        Object::Slice(ids) => ids.iter().copied().for_each(visit),
        Object::Dict(entries) => {
            for (key, value) in entries {
                visit(*key);
                visit(*value);
            }
        }
        Object::Array(array) => {
            if let ArrayElements::Object(ids) = &array.elements {
                ids.iter().copied().for_each(visit);
            }
        }
        Object::Instance(instance) => {
            instance.args.iter().copied().for_each(&mut visit);
            instance.attributes.iter().for_each(|(_, id)| visit(*id));
            instance.state.into_iter().for_each(visit);
        }
        _ => {}
    }
}

/// Elements of the whole, shared ones as often as they are referred to. Every object is looked at twice, on a stack of
/// its own.
fn expanded(objects: &Objects) -> u64 {
    /// How far an object is.
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done(u64),
    }
    let mut states = vec![State::New; objects.values.len()];
    let mut stack = vec![(objects.root, false)];
    while let Some((id, left)) = stack.pop() {
        let index = id.0 as usize;
        let (Some(object), Some(state)) = (objects.values.get(index), states.get(index).copied()) else {
            continue;
        };
        if left {
            let mut sum = elements(object);
            members(object, |member| {
                if let Some(State::Done(size)) = states.get(member.0 as usize) {
                    sum = sum.saturating_add(*size);
                }
            });
            if let Some(state) = states.get_mut(index) {
                *state = State::Done(sum);
            }
        } else if state == State::New {
            if let Some(state) = states.get_mut(index) {
                *state = State::Open;
            }
            stack.push((id, true));
            members(object, |member| stack.push((member, false)));
        }
    }
    match states.get(objects.root.0 as usize) {
        Some(State::Done(size)) => *size,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Maker;
    use super::*;

    #[test]
    fn a_list_of_lists_of_lists_of_the_same_array_is_refused() {
        let mut maker = Maker::default();
        let mut shared = maker.floats(&[1000], &[0.5; 1000]);
        for _ in 0..4 {
            shared = maker.list(&[shared; 30]);
        }
        let refusal = check(&maker.finish(shared)).unwrap_err();
        assert!(refusal.to_string().contains("shares so much"), "{refusal}");
    }

    #[test]
    fn what_is_shared_a_few_times_is_let_through() {
        let mut maker = Maker::default();
        let array = maker.floats(&[1000], &[0.5; 1000]);
        let root = maker.list(&[array; 12]);
        let objects = maker.finish(root);
        assert_eq!(expanded(&objects), 12 * 1001 + 13);
        assert!(check(&objects).is_ok());
    }

    #[test]
    fn what_contains_itself_ends() {
        let mut maker = Maker::default();
        let root = maker.list(&[Id(0), Id(0)]);
        assert!(check(&maker.finish(root)).is_ok());
    }
}
