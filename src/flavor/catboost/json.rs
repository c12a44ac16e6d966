//! CatBoost's JSON export.

use std::collections::HashMap;

use serde_json::{Map, Value as Json};

use crate::flavor::refusal::{Refusal, refuse};

use super::model::{
    About, CategoryFeature, Counter, CounterKind, FloatFeature, Indices, Missing, Model, Node, OneHot, Place,
    Projection, Rows, Table, Trees,
};

/// Reads a model.
///
/// # Errors
/// When it is broken, or uses features that are not read: text, embeddings, estimated ones.
pub(super) fn read(bytes: &[u8]) -> Result<Model, Refusal> {
    let document: Json = serde_json::from_slice(bytes)
        .map_err(|error| Refusal::new(format!("the file is no JSON: {error}")))?;
    let features = document.get("features_info").unwrap_or(&Json::Null);
    for what in ["text_features", "estimated_features", "embedding_features"] {
        if !list(features, what)?.is_empty() {
            refuse!("the model has {what}, which are not read; train it without them");
        }
    }
    let mut known_by = Indices::default();
    let mut floats = Vec::new();
    for feature in list(features, "float_features")? {
        known_by
            .floats
            .insert(whole(feature, "feature_index")?, floats.len());
        floats.push(float_feature(feature)?);
    }
    let mut categories = Vec::new();
    let mut one_hots = Vec::new();
    for feature in list(features, "categorical_features")? {
        known_by
            .categories
            .insert(whole(feature, "feature_index")?, categories.len());
        let values: Vec<i32> = list(feature, "values")?
            .iter()
            .map(hash)
            .collect::<Result<_, _>>()?;
        if !values.is_empty() {
            one_hots.push(OneHot {
                category: categories.len(),
                values,
            });
        }
        categories.push(CategoryFeature {
            place: place(feature)?,
            used: true,
        });
    }
    let (counters, tables) = counters(features, &document, &known_by)?;
    let (scale, bias) = scale_and_bias(&document)?;
    let outputs = bias.len();
    let (trees, leaves) = match document.get("trees") {
        Some(_) => free_trees(list(&document, "trees")?, outputs)?,
        None => oblivious_trees(list(&document, "oblivious_trees")?)?,
    };
    let about = document.get("model_info").unwrap_or(&Json::Null);
    let field = |name: &str| about.get(name).cloned().unwrap_or_default();
    let text = |name: &str| match about.get(name) {
        Some(Json::String(text)) => Some(text.clone()),
        Some(other) => Some(other.to_string()),
        None => None,
    };
    Ok(Model {
        outputs,
        floats,
        categories,
        one_hots,
        counters,
        tables,
        trees,
        leaves,
        scale,
        bias,
        about: About {
            params: field("params"),
            classes: field("class_params"),
            threshold: text("binclass_probability_threshold"),
        },
    })
}

/// The list under `key`; empty when there is none.
fn list<'a>(object: &'a Json, key: &str) -> Result<&'a [Json], Refusal> {
    match object.get(key) {
        None | Some(Json::Null) => Ok(&[]),
        Some(Json::Array(items)) => Ok(items),
        Some(_) => refuse!("`{key}` is no list"),
    }
}

fn whole(object: &Json, key: &str) -> Result<usize, Refusal> {
    let number = object.get(key).and_then(Json::as_u64);
    match number.and_then(|number| usize::try_from(number).ok()) {
        Some(number) if number < 1 << 24 => Ok(number),
        _ => refuse!("`{key}` is no index"),
    }
}

fn float(value: &Json) -> Result<f64, Refusal> {
    match value.as_f64() {
        Some(number) => Ok(as_catboost_reads(number)),
        None => refuse!("`{value}` is no number"),
    }
}

/// The double that CatBoost makes of the text of this one.
///
/// The file has every number with 17 digits, which tell doubles apart, but the library reads them by multiplying or
/// dividing their digits by a power of ten once: every tenth number ends up beside the one that was written.
fn as_catboost_reads(number: f64) -> f64 {
    let text = format!("{number:.16e}");
    let Some((digits, exponent)) = text.split_once('e') else {
        return number;
    };
    if number.fract() == 0.0 || !number.is_finite() {
        return number;
    }
    let digits: Vec<u64> = digits
        .bytes()
        .filter(u8::is_ascii_digit)
        .map(|digit| u64::from(digit - b'0'))
        .collect();
    let count = digits
        .iter()
        .rposition(|&digit| digit != 0)
        .map_or(0, |last| last + 1);
    let (mut whole, mut taken) = (0u64, 0);
    while let Some(digit) = digits.get(..count).and_then(|digits| digits.get(taken))
        && whole < 1 << 53
    {
        whole = whole * 10 + digit;
        taken += 1;
    }
    let rest = digits.get(taken..count).unwrap_or_default();
    let read = rest
        .iter()
        .fold(whole as f64, |read, &digit| read * 10.0 + digit as f64);
    let power = exponent.parse::<i32>().unwrap_or(0) - count as i32 + 1;
    let scaled = |number: f64, power: i32| match power {
        0.. => number * power_of_ten(power),
        -308..0 => number / power_of_ten(-power),
        _ => 0.0,
    };
    let read = if power < -308 {
        scaled(scaled(read, -308), power + 308)
    } else {
        scaled(read, power)
    };
    read.copysign(number)
}

/// Up to 308, exactly rounded, which products of tens would not be.
fn power_of_ten(power: i32) -> f64 {
    format!("1e{power}").parse().unwrap_or(f64::INFINITY)
}

fn single(object: &Json, key: &str) -> Result<f32, Refusal> {
    match object.get(key).and_then(Json::as_f64) {
        Some(number) => Ok(as_catboost_reads(number) as f32),
        None => refuse!("`{key}` is no number"),
    }
}

fn integer(value: &Json) -> Result<i32, Refusal> {
    match value.as_i64().and_then(|number| i32::try_from(number).ok()) {
        Some(number) => Ok(number),
        None => refuse!("`{value}` is no integer of 32 bits"),
    }
}

/// A hash of 32 bits, written signed or not.
fn hash(value: &Json) -> Result<i32, Refusal> {
    match value.as_i64() {
        Some(number) if i32::try_from(number).is_ok() || u32::try_from(number).is_ok() => Ok(number as i32),
        _ => refuse!("`{value}` is no hash of a category"),
    }
}

fn borders(object: &Json) -> Result<Vec<f32>, Refusal> {
    list(object, "borders")?
        .iter()
        .map(|border| Ok(float(border)? as f32))
        .collect()
}

fn place(feature: &Json) -> Result<Place, Refusal> {
    let name = feature
        .get("feature_id")
        .and_then(Json::as_str)
        .filter(|name| !name.is_empty());
    Ok(Place {
        position: whole(feature, "flat_feature_index")?,
        name: name.map(Into::into),
    })
}

fn float_feature(feature: &Json) -> Result<FloatFeature, Refusal> {
    let nans = feature.get("has_nans").and_then(Json::as_bool).unwrap_or(false);
    let missing = match feature.get("nan_value_treatment").and_then(Json::as_str) {
        _ if !nans => Missing::AsIs,
        None | Some("AsIs") => Missing::AsIs,
        Some("AsFalse") => Missing::Lowest,
        Some("AsTrue") => Missing::Highest,
        Some(other) => refuse!("treatment `{other}` of missing values is not known"),
    };
    Ok(FloatFeature {
        place: place(feature)?,
        missing,
        borders: borders(feature)?,
    })
}

fn scale_and_bias(document: &Json) -> Result<(f64, Vec<f64>), Refusal> {
    match list(document, "scale_and_bias")? {
        [scale, Json::Array(bias)] => Ok((float(scale)?, bias.iter().map(float).collect::<Result<_, _>>()?)),
        [scale, bias] => Ok((float(scale)?, vec![float(bias)?])),
        _ => refuse!("`scale_and_bias` is missing"),
    }
}

fn split(node: &Json) -> Result<usize, Refusal> {
    whole(node, "split_index")
}

fn oblivious_trees(trees: &[Json]) -> Result<(Trees, Vec<f64>), Refusal> {
    let (mut levels, mut leaves) = (Vec::new(), Vec::new());
    for (number, tree) in trees.iter().enumerate() {
        let within = |refusal: Refusal| refusal.within(format_args!("tree {number}"));
        let splits = list(tree, "splits").map_err(within)?;
        levels.push(
            splits
                .iter()
                .map(split)
                .collect::<Result<_, _>>()
                .map_err(within)?,
        );
        for value in list(tree, "leaf_values").map_err(within)? {
            leaves.push(float(value).map_err(within)?);
        }
    }
    Ok((Trees::Oblivious(levels), leaves))
}

fn free_trees(trees: &[Json], outputs: usize) -> Result<(Trees, Vec<f64>), Refusal> {
    let (mut read, mut leaves) = (Vec::new(), Vec::new());
    for (number, tree) in trees.iter().enumerate() {
        let nodes = free_tree(tree, outputs, &mut leaves);
        read.push(nodes.map_err(|refusal| refusal.within(format_args!("tree {number}")))?);
    }
    Ok((Trees::Free(read), leaves))
}

fn free_tree(tree: &Json, outputs: usize, leaves: &mut Vec<f64>) -> Result<Vec<Node>, Refusal> {
    let mut nodes = vec![Node::Leaf(0)];
    let mut waiting = vec![(0, tree)];
    while let Some((at, node)) = waiting.pop() {
        let read = match (node.get("split"), node.get("value")) {
            (Some(test), _) => {
                let (no, yes) = (nodes.len(), nodes.len() + 1);
                nodes.extend([Node::Leaf(0); 2]);
                waiting.push((no, node.get("left").unwrap_or(&Json::Null)));
                waiting.push((yes, node.get("right").unwrap_or(&Json::Null)));
                Node::Split {
                    split: split(test)?,
                    no,
                    yes,
                }
            }
            (None, Some(value)) => {
                let first = leaves.len();
                match value {
                    Json::Array(values) => {
                        for value in values {
                            leaves.push(float(value)?);
                        }
                    }
                    value => leaves.push(float(value)?),
                }
                if leaves.len() - first != outputs {
                    refuse!("a leaf has {} values for {outputs} outputs", leaves.len() - first);
                }
                Node::Leaf(first)
            }
            (None, None) => refuse!("a node is neither split nor leaf"),
        };
        if let Some(place) = nodes.get_mut(at) {
            *place = read;
        }
    }
    Ok(nodes)
}

fn counters(
    features: &Json,
    document: &Json,
    known_by: &Indices,
) -> Result<(Vec<Counter>, Vec<Table>), Refusal> {
    let empty = Map::new();
    let described = document
        .get("ctr_data")
        .and_then(Json::as_object)
        .unwrap_or(&empty);
    let (mut counters, mut tables) = (Vec::new(), Vec::new());
    let mut known: HashMap<&str, usize> = HashMap::new();
    for counter in list(features, "ctrs")? {
        let name = counter.get("identifier").and_then(Json::as_str).unwrap_or("");
        let table = match known.get(name) {
            Some(table) => *table,
            None => {
                let Some(described) = described.get(name) else {
                    refuse!("the table `{name}` of a counter is missing");
                };
                tables.push(table(counter, described, known_by)?);
                known.insert(name, tables.len() - 1);
                tables.len() - 1
            }
        };
        counters.push(Counter {
            table,
            border: whole(counter, "target_border_idx")?,
            // Spelt so.
            prior: (
                single(counter, "prior_numerator")?,
                single(counter, "prior_denomerator")?,
            ),
            shift: single(counter, "shift")?,
            scale: single(counter, "scale")?,
            borders: borders(counter)?,
        });
    }
    Ok((counters, tables))
}

fn table(counter: &Json, described: &Json, known_by: &Indices) -> Result<Table, Refusal> {
    let kind = CounterKind::of_name(counter.get("ctr_type").and_then(Json::as_str).unwrap_or(""))?;
    let mut projection = Projection::default();
    for element in list(counter, "elements")? {
        match element.get("combination_element").and_then(Json::as_str) {
            Some("cat_feature_value") => projection.categories.push(whole(element, "cat_feature_index")?),
            Some("float_feature") => projection
                .floats
                .push((whole(element, "float_feature_index")?, single(element, "border")?)),
            Some("cat_feature_exact_value") => projection.one_hots.push((
                whole(element, "cat_feature_index")?,
                hash(element.get("value").unwrap_or(&Json::Null))?,
            )),
            _ => refuse!("a part of a combination of features is not known: {element}"),
        }
    }
    known_by.settle(&mut projection)?;
    let stride = whole(described, "hash_stride")?;
    let flat = list(described, "hash_map")?;
    if stride < 2 || flat.len() % stride != 0 {
        refuse!("a table of counters has {} numbers, {stride} a row", flat.len());
    }
    let means = matches!(
        kind,
        CounterKind::BinarizedTargetMeanValue | CounterKind::FloatTargetMeanValue
    );
    let (mut keys, mut counts, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
    for (number, row) in flat.chunks_exact(stride).enumerate() {
        let (Some(key), values) = (row.first(), row.get(1..).unwrap_or_default()) else {
            continue;
        };
        let hash = match key {
            Json::String(digits) => digits.parse().ok(),
            other => other.as_u64(),
        };
        let (Some(hash), Ok(number)) = (hash, u32::try_from(number)) else {
            refuse!("`{key}` is no hash");
        };
        // The mark of a free place is exported like any other.
        if hash != u64::MAX {
            keys.push((hash, number));
        }
        match values {
            [sum, count] if means => pairs.push((float(sum)? as f32, integer(count)?)),
            _ if means => refuse!("a table of means has {} numbers a row", values.len()),
            values => {
                for value in values {
                    counts.push(integer(value)?);
                }
            }
        }
    }
    let rows = if means {
        Rows::Means(pairs)
    } else {
        Rows::Counts(stride - 1, counts)
    };
    let denominator = described.get("counter_denominator").map_or(Ok(0), integer)?;
    Ok(Table {
        projection,
        kind,
        keys,
        rows,
        denominator,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_like_catboost_reads_them() {
        // Written, and read back by catboost 1.2.10.
        for (written, wanted) in [
            (-0.013987942107332885, -0.013987942107332884),
            (-0.013987942107332885, -0.013987942107332884),
            (0.013987942107332885, 0.013987942107332884),
            (-0.014072248950166137, -0.014072248950166136),
            (-0.07349798972740718, -0.07349798972740716),
            (0.0, 0.0),
            (0.0, 0.0),
            (0.0, 0.0),
        ] {
            assert_eq!(as_catboost_reads(written), wanted);
        }
        for exact in [0.0, -0.5, 1.0, 12.25, -1e16, 3e300] {
            assert_eq!(as_catboost_reads(exact), exact);
        }
    }
}
