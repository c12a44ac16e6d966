//! Operators of `ai.onnx.ml` that make features.

use std::collections::HashMap;
use std::sync::Arc;

use smallvec::smallvec;

use super::super::element::Element;
use super::lowering::{Attributes, Held, Lowering, Rows, texts};
use super::proto::Node;
use super::trees::label;
use crate::flavor::PredictError;
use crate::flavor::plan::Inputs;
use crate::flavor::plan::steps::labels::Labels;
use crate::flavor::plan::value::{Cell, Matrix, Value};
use crate::flavor::refusal::{Refusal, refuse};

type Lowered = Result<Vec<Held>, Refusal>;

/// Pushes a function of each row of float32, in place.
fn each_row<'m>(
    lowering: &mut Lowering<'m>,
    what: &str,
    rows: &Rows,
    function: impl Fn(&mut [f32]) + Send + Sync + 'static,
) -> Lowered {
    let form = (Element::F32, rows.tail.clone());
    let out = lowering.push(what, &[rows], form, move |inputs| {
        let mut matrix = inputs.take(0)?.into_f32()?;
        matrix.each_row_mut().for_each(&function);
        Ok(Value::F32(matrix))
    })?;
    Ok(vec![Held::Rows(out)])
}

/// The rows of input 0 as float32.
fn floats<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Result<Rows, Refusal> {
    let rows = lowering.rows(node, 0)?;
    lowering.as_f32(rows)
}

/// A number for each column, given for each or once for all.
fn for_columns(numbers: &[f32], width: usize, default: f32) -> Result<Vec<f32>, Refusal> {
    match numbers {
        [] => Ok(vec![default; width]),
        [all] => Ok(vec![*all; width]),
        numbers if numbers.len() == width => Ok(numbers.to_vec()),
        numbers => refuse!("{} numbers for {width} columns", numbers.len()),
    }
}

/// `Scaler`: `(x - offset) * scale`
pub(super) fn scaler<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Lowered {
    let attributes = Attributes::of(node, &["offset", "scale"])?;
    let rows = floats(lowering, node)?;
    let width = rows.columns()?;
    let offset = for_columns(attributes.floats("offset"), width, 0.0)?;
    let scale = for_columns(attributes.floats("scale"), width, 1.0)?;
    each_row(
        lowering,
        "subtract offset, multiply with scale",
        &rows,
        move |row| {
            for ((x, offset), scale) in row.iter_mut().zip(&offset).zip(&scale) {
                *x = (*x - offset) * scale;
            }
        },
    )
}

/// `Normalizer`
pub(super) fn normalizer<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Lowered {
    let attributes = Attributes::of(node, &["norm"])?;
    let rows = floats(lowering, node)?;
    rows.columns()?;
    match attributes.text("norm", "MAX") {
        "MAX" => each_row(lowering, "divide by the largest", &rows, |row| {
            let largest = row
                .iter()
                .copied()
                .fold(f32::MIN, |most, x| if x > most { x } else { most });
            if largest != 0.0 {
                row.iter_mut().for_each(|x| *x /= largest);
            }
        }),
        "L1" => each_row(lowering, "divide by the sum of sizes", &rows, |row| {
            let sum: f32 = row.iter().map(|x| x.abs()).sum();
            if sum != 0.0 {
                row.iter_mut().for_each(|x| *x /= sum);
            }
        }),
        "L2" => each_row(lowering, "divide by the length", &rows, |row| {
            // The square of each share is taken, and its root with the sign of the number.
            let sum: f32 = row.iter().map(|x| x * x).sum();
            if sum != 0.0 {
                for x in row {
                    let root = (*x * *x / sum).sqrt();
                    *x = if *x < 0.0 { -root } else { root };
                }
            }
        }),
        other => refuse!("`norm` is `{other}`"),
    }
}

/// `Binarizer`: 1 above a threshold, else 0
pub(super) fn binarizer<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Lowered {
    let threshold = Attributes::of(node, &["threshold"])?.float("threshold", 0.0);
    let rows = lowering.rows(node, 0)?;
    if rows.element != Element::F32 {
        refuse!("a binarizer of {}", rows.element.onnx_name());
    }
    each_row(
        lowering,
        &format!("1 above {threshold}, else 0"),
        &rows,
        move |row| {
            row.iter_mut()
                .for_each(|x| *x = f32::from(u8::from(*x > threshold)));
        },
    )
}

/// `Imputer`
pub(super) fn imputer<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Lowered {
    let known = [
        "imputed_value_floats",
        "imputed_value_int64s",
        "replaced_value_float",
        "replaced_value_int64",
    ];
    let attributes = Attributes::of(node, &known)?;
    let rows = lowering.rows(node, 0)?;
    let width = rows.columns()?;
    let form = (rows.element, rows.tail.clone());
    match rows.element {
        Element::F32 => {
            let values = for_columns(attributes.floats("imputed_value_floats"), width, 0.0)?;
            if attributes.floats("imputed_value_floats").is_empty() {
                refuse!("there are no values to impute");
            }
            let missing = attributes.float("replaced_value_float", 0.0);
            each_row(lowering, "impute", &rows, move |row| {
                for (x, value) in row.iter_mut().zip(&values) {
                    if *x == missing || (x.is_nan() && missing.is_nan()) {
                        *x = *value;
                    }
                }
            })
        }
        Element::I64 => {
            let values = match attributes.ints("imputed_value_int64s") {
                [all] => vec![*all; width],
                values if values.len() == width => values.to_vec(),
                values => refuse!("{} values to impute for {width} columns", values.len()),
            };
            let missing = attributes.int("replaced_value_int64", 0);
            let out = lowering.push("impute", &[&rows], form, move |inputs| {
                let mut matrix = inputs.take(0)?.into_i64()?;
                for row in matrix.each_row_mut() {
                    row.iter_mut()
                        .zip(&values)
                        .filter(|(x, _)| **x == missing)
                        .for_each(|(x, value)| *x = *value);
                }
                Ok(Value::I64(matrix))
            })?;
            Ok(vec![Held::Rows(out)])
        }
        other => refuse!("an imputer of {}", other.onnx_name()),
    }
}

/// `FeatureVectorizer`: the columns of all inputs side by side
pub(super) fn feature_vectorizer<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Lowered {
    let attributes = Attributes::of(node, &["inputdimensions"])?;
    let mut all = Vec::new();
    for position in 0..node.inputs.len() {
        let rows = lowering.rows(node, position)?;
        let rows = lowering.as_f32(rows)?;
        let width = i64::try_from(rows.columns()?).ok();
        if attributes.ints("inputdimensions").get(position).copied() != width {
            refuse!("input {position} has another width than is said");
        }
        all.push(rows);
    }
    Ok(vec![Held::Rows(super::shape::side_by_side(lowering, &all, 1)?)])
}

/// `ArrayFeatureExtractor`: some elements of the last axis
pub(super) fn array_feature_extractor<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Lowered {
    Attributes::of(node, &[])?;
    // Labels by class number: the table is the constant.
    if let Some(Held::Constant(table)) = lowering.optional(node, 0)? {
        let table = Arc::clone(table);
        let indices = lowering.rows(node, 1)?;
        let across = table.shape.len() == 1 || matches!(table.shape.as_slice(), [1, _]);
        if !across || indices.element != Element::I64 {
            refuse!("elements of a constant of shape {:?} are taken", table.shape);
        }
        // The answer is `[1, rows]`, which every exporter reshapes at once.
        let out = super::shape::looked_up(lowering, &indices, &table)?;
        return Ok(vec![Held::Rows(Rows {
            tail: smallvec![],
            ..out
        })]);
    }
    let rows = lowering.rows(node, 0)?;
    let width = rows.columns()?;
    if rows.tail.is_empty() {
        refuse!("elements of a vector are taken");
    }
    let wanted = indices(lowering.constant(node, 1)?.ints()?, width)?;
    Ok(vec![Held::Rows(super::shape::columns(lowering, &rows, wanted)?)])
}

fn indices(indices: &[i64], width: usize) -> Result<Vec<usize>, Refusal> {
    indices
        .iter()
        .map(|&index| crate::flavor::forest::index(index, width, "column"))
        .collect()
}

/// `ZipMap`: a map of each row
pub(super) fn zip_map<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Lowered {
    let attributes = Attributes::of(node, &["classlabels_int64s", "classlabels_strings"])?;
    let labels = attributes.labels("classlabels_int64s", "classlabels_strings")?;
    let rows = lowering.rows(node, 0)?;
    if rows.element != Element::F32 || rows.columns()? != labels.len() || rows.tail.is_empty() {
        refuse!("{} labels for {} numbers", labels.len(), rows.width());
    }
    // The maps of ONNX Runtime are in the order of their keys.
    fn in_order<T: Ord + Clone>(labels: &[T]) -> Result<(Vec<usize>, Vec<T>), Refusal> {
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.sort_by_key(|&at| labels.get(at));
        let sorted: Vec<T> = order.iter().filter_map(|&at| labels.get(at).cloned()).collect();
        if sorted.windows(2).any(|pair| pair.first() == pair.last()) {
            refuse!("a label is there twice");
        }
        Ok((order, sorted))
    }
    let (order, labels) = match labels {
        Labels::Int(labels) => in_order(&labels).map(|(order, labels)| (order, Labels::Int(labels)))?,
        Labels::Text(labels) => in_order(&labels).map(|(order, labels)| (order, Labels::Text(labels)))?,
        Labels::Float(_) | Labels::Bool(_) => refuse!("labels that are no keys"),
    };
    let rows = if order.is_sorted() {
        rows
    } else {
        super::shape::columns(lowering, &rows, order)?
    };
    Ok(vec![Held::Maps(rows, Arc::new(labels))])
}

/// Places of categories, by text or by number.
enum Known {
    Text(HashMap<Arc<str>, usize>),
    Int(HashMap<i64, usize>),
}

impl Known {
    /// Later ones of the same category hold if `last`, else the first.
    fn of(ints: &[i64], texts: Vec<Arc<str>>, last: bool) -> Known {
        fn places<K: std::hash::Hash + Eq>(keys: impl Iterator<Item = K>, last: bool) -> HashMap<K, usize> {
            let mut places = HashMap::new();
            for (place, key) in keys.enumerate() {
                let kept = places.entry(key).or_insert(place);
                if last {
                    *kept = place;
                }
            }
            places
        }
        if texts.is_empty() {
            Known::Int(places(ints.iter().copied(), last))
        } else {
            Known::Text(places(texts.into_iter(), last))
        }
    }

    /// The place of each element of input 0.
    fn places(&self, inputs: &mut Inputs<'_, '_>) -> Result<Vec<Option<usize>>, PredictError> {
        let value = inputs.get(0)?;
        Ok(match (self, value) {
            (Known::Text(known), Value::Cells(cells)) => cells
                .data
                .iter()
                .map(|cell| match cell {
                    Cell::Text(text) => known.get(*text).copied(),
                    _ => None,
                })
                .collect(),
            (Known::Int(known), Value::F32(floats)) => {
                // As C++ casts: towards zero.
                floats
                    .data
                    .iter()
                    .map(|&x| known.get(&(x as i64)).copied())
                    .collect()
            }
            (Known::Int(known), other) => other.i64()?.data.iter().map(|x| known.get(x).copied()).collect(),
            (Known::Text(_), other) => {
                return Err(other
                    .cells()
                    .err()
                    .unwrap_or_else(|| PredictError::Engine("no text".into())));
            }
        })
    }
}

/// `OneHotEncoder`
pub(super) fn one_hot_encoder<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Lowered {
    let attributes = Attributes::of(node, &["cats_int64s", "cats_strings", "zeros"])?;
    let rows = lowering.rows(node, 0)?;
    let texts = texts(attributes.texts("cats_strings"))?;
    let ints = attributes.ints("cats_int64s");
    let count = texts.len().max(ints.len());
    if texts.is_empty() == ints.is_empty() || texts.is_empty() == (rows.element == Element::Str) {
        refuse!("{count} categories for {}", rows.element.onnx_name());
    }
    if rows.element == Element::F64 {
        refuse!("categories of float64");
    }
    let zeros = attributes.int("zeros", 1) != 0;
    let known = Known::of(ints, texts, true);
    let mut tail = rows.tail.clone();
    tail.push(count);
    let what = format!("one of {count} categories");
    let out = lowering.push(what, &[&rows], (Element::F32, tail), move |inputs| {
        let places = known.places(inputs)?;
        let rows = inputs.get(0)?.rows();
        let mut data = vec![0.0; places.len() * count];
        for (place, row) in places.iter().zip(data.chunks_exact_mut(count)) {
            match place.and_then(|place| row.get_mut(place)) {
                Some(one) => *one = 1.0,
                None if !zeros => return Err(PredictError::Input("Unknown Category and zeros = 0.".into())),
                None => {}
            }
        }
        let width = data.len() / rows.max(1);
        Ok(Value::F32(Matrix { rows, width, data }))
    })?;
    Ok(vec![Held::Rows(out)])
}

/// `LabelEncoder` from version 2 on, with keys of text or integers.
pub(super) fn label_encoder<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Lowered {
    let known = [
        "default_float",
        "default_int64",
        "default_string",
        "keys_floats",
        "keys_int64s",
        "keys_strings",
        "values_floats",
        "values_int64s",
        "values_strings",
    ];
    let attributes = Attributes::of(node, &known)?;
    let rows = lowering.rows(node, 0)?;
    let texts_of = |name: &str| texts(attributes.texts(name));
    let keys = texts_of("keys_strings")?;
    let (ints, floats) = (attributes.ints("keys_int64s"), attributes.floats("keys_floats"));
    let count = keys.len() + ints.len() + floats.len();
    let right = match rows.element {
        Element::Str => keys.len() == count,
        Element::I64 => ints.len() == count,
        Element::F32 => floats.len() == count,
        _ => false,
    };
    if !right || count == 0 {
        refuse!("{count} keys for {}", rows.element.onnx_name());
    }
    // Floats are known by their bits, all NaN alike, which older versions never find.
    let finds_nan = lowering.ml_version >= 4;
    let bits = |x: f32| {
        if x.is_nan() {
            i64::from(f32::NAN.to_bits())
        } else {
            i64::from((x + 0.0).to_bits())
        }
    };
    let float_keys: Vec<i64> = floats.iter().map(|&x| bits(x)).collect();
    let by_bits = !floats.is_empty();
    let known = Known::of(if by_bits { &float_keys } else { ints }, keys, false);
    let tail = rows.tail.clone();
    // The index of the value, the default being after the last.
    let index = lowering.push(
        format!("one of {count} labels"),
        &[&rows],
        (Element::I64, tail.clone()),
        move |inputs| {
            let places = match (by_bits, &known) {
                (true, Known::Int(known)) => {
                    let floats = inputs.get(0)?.f32()?;
                    floats
                        .data
                        .iter()
                        .map(|&x| {
                            if finds_nan || !x.is_nan() {
                                known.get(&bits(x)).copied()
                            } else {
                                None
                            }
                        })
                        .collect()
                }
                _ => known.places(inputs)?,
            };
            let rows = inputs.get(0)?.rows();
            let data: Vec<i64> = places.iter().map(|place| place.unwrap_or(count) as i64).collect();
            let width = data.len() / rows.max(1);
            Ok(Value::I64(Matrix { rows, width, data }))
        },
    )?;
    let (ints, floats, values) = (
        attributes.ints("values_int64s"),
        attributes.floats("values_floats"),
        texts_of("values_strings")?,
    );
    let out = match (ints.len() == count, floats.len() == count, values.len() == count) {
        (true, false, false) => {
            let mut labels = ints.to_vec();
            labels.push(attributes.int("default_int64", -1));
            label(lowering, &index, Labels::Int(labels))?
        }
        (false, true, false) => {
            let mut table = floats.to_vec();
            table.push(attributes.float("default_float", -0.0));
            lowering.push(
                "label as float32",
                &[&index],
                (Element::F32, tail),
                move |inputs| {
                    let indices = inputs.get(0)?.i64()?;
                    let data = indices
                        .data
                        .iter()
                        .filter_map(|&at| table.get(at as usize).copied())
                        .collect();
                    Ok(Value::F32(Matrix {
                        rows: indices.rows,
                        width: indices.width,
                        data,
                    }))
                },
            )?
        }
        (false, false, true) => {
            let mut labels = values;
            labels.push(attributes.text("default_string", "_Unused").into());
            label(lowering, &index, Labels::Text(labels))?
        }
        _ => refuse!("the values are not as many as the {count} keys"),
    };
    Ok(vec![Held::Rows(out)])
}
