//! Regular requests, from bytes straight into typed buffers: one pass, no value in between, exactly rounded numbers.
//!
//! This decoder never makes an error. It declines whatever is not regular (unknown keys, missing or odd cells, empty
//! lists, another encoding), and the other decoder reads the request again.

mod array;
mod buffer;
mod cursor;
mod table;

use std::sync::Arc;

use crate::model::batch::{Batch, Body};
use crate::model::signature::{Schema, Signature, TensorSpec};
use crate::model::tensor::Tensor;
use crate::protocol::{Decoded, Limits, Reply};

use buffer::Rules;
use cursor::Cursor;

/// Levels that a regular request nests at most; a lower limit is left to the other decoder.
const LEVELS: usize = 8;

/// Decodes a regular request; `None` leaves it to the other decoder.
pub(crate) fn decode(body: &[u8], signature: &Signature, limits: Limits) -> Option<Decoded> {
    if limits.depth < LEVELS {
        return None;
    }
    let mut cursor = Cursor::new(std::str::from_utf8(body).ok()?);
    cursor.expect(b'{')?;
    let key = cursor.key()?;
    let schema = signature.inputs.as_ref();
    let body = match &*key {
        "dataframe_split" => split(&mut cursor, schema),
        "dataframe_records" => records(&mut cursor, schema),
        "inputs" | "instances" => inputs(&mut cursor, schema, &*key == "instances"),
        _ => None,
    }?;
    cursor.expect(b'}')?;
    if !cursor.ended() {
        return None;
    }
    let params = crate::protocol::mlflow::params::resolve(None, signature).ok()?;
    Some(Decoded {
        batch: Batch { body, params },
        reply: Reply::Wrapped,
    })
}

fn split(cursor: &mut Cursor<'_>, schema: Option<&Schema>) -> Option<Body> {
    match schema {
        None => table::split_inferred(cursor).map(Body::Frame),
        Some(Schema::Columns(columns)) => table::split_columns(cursor, columns).map(Body::Frame),
        Some(Schema::Tensors(tensors)) => match tensors.as_slice() {
            [only] if only.name.is_none() => table::split_tensor(cursor, only).map(Body::Array),
            _ => None,
        },
    }
}

fn records(cursor: &mut Cursor<'_>, schema: Option<&Schema>) -> Option<Body> {
    match schema {
        None => table::records_inferred(cursor).map(Body::Frame),
        Some(Schema::Columns(columns)) => {
            table::records_columns(cursor, columns, Rules::Pandas).map(Body::Frame)
        }
        Some(Schema::Tensors(_)) => None,
    }
}

fn inputs(cursor: &mut Cursor<'_>, schema: Option<&Schema>, instances: bool) -> Option<Body> {
    let opening = cursor.peek()?;
    match (schema, opening) {
        (None, b'[') => array::inferred(cursor).map(Body::Array),
        (Some(Schema::Columns(columns)), b'{') => table::columns(cursor, columns).map(Body::Frame),
        (Some(Schema::Columns(columns)), b'[') => {
            let mark = cursor.at;
            cursor.at += 1;
            let of_objects = cursor.peek()? == b'{';
            cursor.at = mark;
            if of_objects {
                return table::records_columns(cursor, columns, Rules::NumPy).map(Body::Frame);
            }
            table::list_columns(cursor, columns).map(Body::Frame)
        }
        (Some(Schema::Tensors(tensors)), b'[') => match tensors.as_slice() {
            [only] => {
                let tensor = array::tensor(cursor, only)?;
                Some(match &only.name {
                    None => Body::Array(tensor),
                    Some(name) => Body::Named(vec![(name.clone(), tensor)]),
                })
            }
            _ => None,
        },
        (Some(Schema::Tensors(tensors)), b'{') => named(cursor, tensors, instances).map(Body::Named),
        _ => None,
    }
}

/// Reads an object of exactly the tensors that the signature names.
fn named(cursor: &mut Cursor<'_>, specs: &[TensorSpec], instances: bool) -> Option<Vec<(Arc<str>, Tensor)>> {
    /// More inputs than any real model has would make looking them up slow.
    const MANY: usize = 256;
    if specs.len() > MANY {
        return None;
    }
    let mut tensors: Vec<Option<Tensor>> = vec![None; specs.len()];
    cursor.expect(b'{')?;
    loop {
        let key = cursor.key()?;
        let position = specs
            .iter()
            .position(|spec| spec.name.as_deref() == Some(&*key))?;
        let tensor = array::tensor(cursor, specs.get(position)?)?;
        if tensors.get_mut(position)?.replace(tensor).is_some() {
            return None;
        }
        if !cursor.more(b'}')? {
            break;
        }
    }
    let names = specs.iter().map(|spec| spec.name.clone());
    let members: Vec<(Arc<str>, Tensor)> = names
        .zip(tensors)
        .map(|(name, tensor)| Some((name?, tensor?)))
        .collect::<Option<_>>()?;
    // Rows given as `instances` must be as many for every input.
    let rows = members.first().map(|(_, tensor)| tensor.rows());
    (!instances || members.iter().all(|(_, tensor)| Some(tensor.rows()) == rows)).then_some(members)
}
