//! Nested lists to arrays, as `np.array` makes them.

use super::{infer, number};
use crate::model::signature::text::Tuple;
use crate::model::tensor::{DType, Elements, Shape, Tensor};
use crate::model::value::Value;
use crate::protocol::mlflow::python::{Raised, text_of};

/// `np.array(value)`: shape and type as found.
pub(crate) fn infer(value: &Value) -> Result<Tensor, Raised> {
    let shape = discover(value, false)?;
    tensor(&shape, infer::numpy(leaves(value, shape.len()).iter().copied()))
}

/// `np.array(value, dtype)`.
pub(crate) fn cast(value: &Value, dtype: DType) -> Result<Tensor, Raised> {
    let shape = discover(value, dtype == DType::Object)?;
    tensor(
        &shape,
        number::cast(leaves(value, shape.len()).iter().copied(), dtype)?,
    )
}

/// `np.array(value, 'bytes')`: the text of every element, which must be ASCII, as a Python object each.
pub(crate) fn bytes(value: &Value) -> Result<Tensor, Raised> {
    let shape = discover(value, false)?;
    let encode = |value: &&Value| match value {
        Value::Bytes(bytes) => Ok(Value::Bytes(bytes.clone())),
        other => ascii(&text_of(other)).map(Value::Bytes),
    };
    let elements = leaves(value, shape.len())
        .iter()
        .map(encode)
        .collect::<Result<_, Raised>>()?;
    tensor(&shape, Elements::Object(elements))
}

fn ascii(text: &str) -> Result<Vec<u8>, Raised> {
    let Some(start) = text.chars().position(|c| !c.is_ascii()) else {
        return Ok(text.as_bytes().to_vec());
    };
    let foreign = text.chars().skip(start).take_while(|c| !c.is_ascii()).count();
    let what = match text.chars().nth(start).map(u32::from) {
        Some(code) if foreign == 1 => match code {
            ..=0xff => format!("character '\\x{code:02x}' in position {start}"),
            0x100..=0xffff => format!("character '\\u{code:04x}' in position {start}"),
            _ => format!("character '\\U{code:08x}' in position {start}"),
        },
        _ => format!("characters in position {start}-{}", start + foreign - 1),
    };
    let message = format!("'ascii' codec can't encode {what}: ordinal not in range(128)");
    Err(Raised::new("UnicodeEncodeError", message))
}

/// An array of this shape.
pub(crate) fn tensor(shape: &[usize], elements: Elements) -> Result<Tensor, Raised> {
    // The shape was counted on the same values; a difference would be a defect here.
    Tensor::new(Shape::from_slice(shape), elements)
        .map_err(|error| Raised::new("ValueError", error.to_string()))
}

/// The elements of arrays of one type, one after the other.
pub(crate) fn concat(tensors: &[&Tensor]) -> Option<Elements> {
    macro_rules! join {
        ($($variant:ident),*) => {
            match tensors.first()?.elements() {
                $(Elements::$variant(_) => {
                    let mut joined = Vec::new();
                    for tensor in tensors {
                        match tensor.elements() {
                            Elements::$variant(values) => joined.extend_from_slice(values),
                            _ => return None,
                        }
                    }
                    Some(Elements::$variant(joined))
                })*
            }
        };
    }
    join!(
        Bool, I8, I16, I32, I64, U8, U16, U32, U64, F16, F32, F64, Str, Datetime, Object
    )
}

/// The values `depth` lists down, in order.
fn leaves(value: &Value, depth: usize) -> Vec<&Value> {
    let mut level = vec![value];
    for _ in 0..depth {
        let members = |value: &&'_ Value| match value {
            Value::List(items) => items.len(),
            _ => 0,
        };
        let mut next = Vec::with_capacity(level.iter().map(members).sum());
        for value in level {
            if let Value::List(items) = value {
                next.extend(items);
            }
        }
        level = next;
    }
    level
}

/// The shape of nested lists. Where they are ragged the shape ends (`object` arrays), or it is an error.
fn discover(value: &Value, ragged_allowed: bool) -> Result<Vec<usize>, Raised> {
    let mut search = Search {
        shape: Vec::new(),
        limit: usize::MAX,
        ragged: false,
    };
    search.visit(value, 0);
    if search.ragged && !ragged_allowed {
        let depth = search.shape.len();
        return Err(Raised::new(
            "ValueError",
            format!(
                "setting an array element with a sequence. The requested array has an inhomogeneous shape after {depth} \
                 dimensions. The detected shape was {} + inhomogeneous part.",
                Tuple(&search.shape)
            ),
        ));
    }
    Ok(search.shape)
}

struct Search {
    shape: Vec<usize>,
    /// Axes from here on are not axes: an element was found at this depth, or lists of unequal length.
    limit: usize,
    ragged: bool,
}

impl Search {
    fn visit(&mut self, value: &Value, depth: usize) {
        let Value::List(items) = value else {
            if self.shape.len() > depth {
                self.cut(depth);
            } else {
                self.limit = self.limit.min(depth);
            }
            return;
        };
        if depth >= self.limit {
            self.ragged = true;
            return;
        }
        match self.shape.get(depth) {
            None => self.shape.push(items.len()),
            Some(&extent) if extent != items.len() => return self.cut(depth),
            Some(_) => {}
        }
        for item in items {
            if depth + 1 > self.limit {
                return;
            }
            self.visit(item, depth + 1);
        }
    }

    fn cut(&mut self, depth: usize) {
        self.shape.truncate(depth);
        self.limit = depth;
        self.ragged = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::mlflow::json::read::read;

    fn value(text: &str) -> Value {
        read(text, 64).unwrap()
    }

    #[test]
    fn shapes_are_found() {
        for (text, shape) in [
            ("5", &[][..]),
            ("[]", &[0]),
            ("[[], []]", &[2, 0]),
            ("[[1, 2, 3], [4, 5, 6]]", &[2, 3]),
            ("[[[1], [2]]]", &[1, 2, 1]),
        ] {
            assert_eq!(infer(&value(text)).unwrap().shape(), shape, "{text}");
        }
    }

    #[test]
    fn ragged_lists_are_refused_with_the_shape_so_far() {
        for (text, after) in [
            ("[[1, 2], [3]]", "1 dimensions. The detected shape was (2,)"),
            ("[[1, 2], 3]", "1 dimensions. The detected shape was (2,)"),
            ("[3, [1, 2]]", "1 dimensions. The detected shape was (2,)"),
            ("[[], [1]]", "1 dimensions. The detected shape was (2,)"),
            (
                "[[[1], [2]], [[3], [4, 5]]]",
                "2 dimensions. The detected shape was (2, 2)",
            ),
            ("[[[1, 2]], [[3]]]", "2 dimensions. The detected shape was (2, 1)"),
        ] {
            let message = infer(&value(text)).unwrap_err().message;
            assert!(message.contains(after), "{text}: {message}");
        }
    }

    #[test]
    fn object_arrays_may_be_ragged() {
        let tensor = cast(&value("[[1, 2], [3]]"), DType::Object).unwrap();
        assert_eq!(tensor.shape(), [2]);
    }

    #[test]
    fn nested_values_are_cast() {
        let tensor = cast(&value("[[1.9, \"2\"], [true, -1]]"), DType::I64).unwrap();
        assert_eq!(tensor.elements(), &Elements::I64(vec![1, 2, 1, -1]));
        assert_eq!(
            infer(&value("[1, 2.5]")).unwrap().elements(),
            &Elements::F64(vec![1.0, 2.5])
        );
    }
}
