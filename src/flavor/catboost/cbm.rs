//! CatBoost's binary format: `CBM1`, a FlatBuffers table, and the tables of counters.

use std::collections::HashMap;

use serde_json::Value as Json;

use crate::flavor::formats::flatbuffer::{self, Fixed, Table as Fields};
use crate::flavor::refusal::{Refusal, refuse};

use super::model::{
    About, CategoryFeature, Counter, CounterKind, FloatFeature, Indices, Missing, Model, Node, OneHot, Place,
    Projection, Rows, Table, Trees,
};

/// The first bytes of such a file.
pub(super) const MAGIC: &[u8] = b"CBM1";

/// The one version there is, spelt so.
const VERSION: &str = "FlabuffersModel_v1";

/// Marks a free place among the keys of a table of counters.
const FREE: u64 = u64::MAX;

/// Reads a model.
///
/// # Errors
/// When it is broken, or uses features that are not read: text, embeddings, estimated ones.
pub(super) fn read(bytes: &[u8]) -> Result<Model, Refusal> {
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
        refuse!("the file is no CatBoost model: it does not begin with `CBM1`");
    };
    let core = flatbuffer::root(sized(&mut rest)?)?;
    match core.text(0)? {
        Some(VERSION) => {}
        other => refuse!("version `{}` of the format is not known", other.unwrap_or("")),
    }
    let mut tables = HashMap::new();
    for part in core.texts(3)? {
        if part != "static_provider_v1" {
            refuse!(
                "the part `{part}` of the model (text or embedding features) is not read; export it to ONNX"
            );
        }
        tables = counter_tables(&mut rest)?;
    }
    let Some(trees) = core.table(1)? else {
        refuse!("the model has no trees");
    };
    let about = about(&core)?;
    model(&trees, tables, about)
}

/// A size and so many bytes.
fn sized<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Refusal> {
    let size = size(rest)?;
    match rest.split_at_checked(size) {
        Some((taken, left)) => {
            *rest = left;
            Ok(taken)
        }
        None => refuse!("a part of {size} bytes is cut off: {} are there", rest.len()),
    }
}

/// Four bytes, or eight after four that are all ones.
fn size(rest: &mut &[u8]) -> Result<usize, Refusal> {
    let short = u32::read(rest, 0)?;
    *rest = rest.get(4..).unwrap_or_default();
    if short != u32::MAX {
        return Ok(short as usize);
    }
    let (low, high) = <(u32, u32)>::read(rest, 0)?;
    *rest = rest.get(8..).unwrap_or_default();
    usize::try_from(u64::from(high) << 32 | u64::from(low)).map_err(|_| Refusal::new("a part beyond memory"))
}

fn about(core: &Fields<'_>) -> Result<About, Refusal> {
    let mut about = About::default();
    for entry in core.tables(2)? {
        let (key, value) = (entry.text(0)?.unwrap_or(""), entry.text(1)?.unwrap_or(""));
        let json = || -> Result<Json, Refusal> {
            if value.is_empty() {
                return Ok(Json::Null);
            }
            serde_json::from_str(value).map_err(|error| Refusal::new(error.to_string()).within(key))
        };
        match key {
            "params" => about.params = json()?,
            "class_params" => about.classes = json()?,
            // What older versions wrote for more than two classes.
            "multiclass_params" if about.classes.is_null() => about.classes = json()?,
            "binclass_probability_threshold" => about.threshold = Some(value.to_owned()),
            _ => {}
        }
    }
    Ok(about)
}

fn model(fields: &Fields<'_>, mut tables: HashMap<TableKey, Table>, about: About) -> Result<Model, Refusal> {
    for (field, what) in [(12, "text"), (13, "estimated"), (18, "embedding")] {
        if !fields.tables(field)?.is_empty() {
            refuse!("the model has {what} features, which are not read; train it without them");
        }
    }
    let outputs = usize::try_from(fields.number(0, 0i32)?).unwrap_or(0);
    let (floats, categories) = (fields.tables(5)?, fields.tables(4)?);
    let known_by = Indices {
        floats: indices(&floats, 1)?,
        categories: indices(&categories, 0)?,
    };
    let floats: Vec<FloatFeature> = floats.into_iter().map(float_feature).collect::<Result<_, _>>()?;
    let categories: Vec<CategoryFeature> = categories
        .into_iter()
        .map(category_feature)
        .collect::<Result<_, _>>()?;
    let mut one_hots = Vec::new();
    for feature in fields.tables(6)? {
        let category = usize::try_from(feature.number(0, -1i32)?).unwrap_or(usize::MAX);
        let category = known_by.category(category)?;
        one_hots.push(OneHot {
            category,
            values: feature.numbers(1)?,
        });
    }
    let mut known: Vec<(TableKey, usize)> = Vec::new();
    let (mut counters, mut used) = (Vec::new(), Vec::new());
    for feature in fields.tables(7)? {
        let (Some(counter), borders) = (feature.table(0)?, feature.numbers(1)?) else {
            refuse!("a counter without description");
        };
        let key = table_key(counter.table(0)?)?;
        let table = match known.iter().find(|(other, _)| *other == key) {
            Some((_, table)) => *table,
            None => {
                let Some(mut table) = tables.remove(&key) else {
                    refuse!("the table of a counter is missing");
                };
                known_by.settle(&mut table.projection)?;
                used.push(table);
                known.push((key, used.len() - 1));
                used.len() - 1
            }
        };
        counters.push(Counter {
            table,
            border: usize::try_from(counter.number(1, 0i32)?).unwrap_or(usize::MAX),
            prior: (counter.number(2, 0.0)?, counter.number(3, 1.0)?),
            shift: counter.number(4, 0.0)?,
            scale: counter.number(5, 1.0)?,
            borders,
        });
    }
    let bias = match fields.numbers::<f64>(16)? {
        several if !several.is_empty() => several,
        _ => vec![fields.number(15, 0.0)?; outputs.min(1 << 16)],
    };
    Ok(Model {
        outputs,
        floats,
        categories,
        one_hots,
        counters,
        tables: used,
        trees: trees(fields)?,
        leaves: fields.numbers(8)?,
        scale: fields.number(14, 1.0)?,
        bias,
        about,
    })
}

/// The place of each feature in its list by the index, in `field`, that other parts of the file know it by.
fn indices(features: &[Fields<'_>], field: usize) -> Result<HashMap<usize, usize>, Refusal> {
    let mut places = HashMap::new();
    for (place, feature) in features.iter().enumerate() {
        places.insert(index(feature.number(field, -1i32)?, 1 << 24, "feature")?, place);
    }
    Ok(places)
}

fn place(feature: &Fields<'_>, position: usize, name: usize) -> Result<Place, Refusal> {
    let name = feature.text(name)?.filter(|name| !name.is_empty());
    Ok(Place {
        position: index(feature.number(position, -1i32)?, 1 << 24, "column")?,
        name: name.map(Into::into),
    })
}

fn float_feature(feature: Fields<'_>) -> Result<FloatFeature, Refusal> {
    let missing = match (feature.number(0, false)?, feature.number(5, 0i8)?) {
        (false, _) | (true, 0) => Missing::AsIs,
        (true, 1) => Missing::Lowest,
        (true, 2) => Missing::Highest,
        (true, other) => refuse!("treatment {other} of missing values is not known"),
    };
    Ok(FloatFeature {
        place: place(&feature, 2, 4)?,
        missing,
        borders: feature.numbers(3)?,
    })
}

fn category_feature(feature: Fields<'_>) -> Result<CategoryFeature, Refusal> {
    Ok(CategoryFeature {
        place: place(&feature, 1, 2)?,
        used: feature.number(3, true)?,
    })
}

fn trees(fields: &Fields<'_>) -> Result<Trees, Refusal> {
    let (splits, sizes, starts): (Vec<i32>, Vec<i32>, Vec<i32>) =
        (fields.numbers(1)?, fields.numbers(2)?, fields.numbers(3)?);
    let steps: Vec<(u16, u16)> = fields.numbers(10)?;
    let leaves: Vec<u32> = fields.numbers(11)?;
    if sizes.len() != starts.len() {
        refuse!("{} trees start at {} places", sizes.len(), starts.len());
    }
    let mut oblivious = Vec::new();
    let mut free = Vec::new();
    for (number, (&size, &start)) in sizes.iter().zip(&starts).enumerate() {
        let start = index(start, splits.len().saturating_add(1), "place of a tree")?;
        let size = index(size, splits.len().saturating_add(1), "size of a tree")?;
        let range = start..start.saturating_add(size);
        let Some(own) = splits.get(range.clone()) else {
            refuse!("tree {number} has its splits at {range:?} of {}", splits.len());
        };
        if steps.is_empty() {
            let levels = own.iter().map(|&split| index(split, usize::MAX, "split"));
            oblivious.push(levels.collect::<Result<_, _>>()?);
            continue;
        }
        let (Some(steps), Some(leaves)) = (steps.get(range.clone()), leaves.get(range)) else {
            refuse!("tree {number} has more splits than steps or leaves");
        };
        free.push(
            free_tree(own, steps, leaves).map_err(|refusal| refusal.within(format_args!("tree {number}")))?,
        );
    }
    Ok(if steps.is_empty() {
        Trees::Oblivious(oblivious)
    } else {
        Trees::Free(free)
    })
}

/// A step of zero means that the node is a leaf to the rows that would take it.
fn free_tree(splits: &[i32], steps: &[(u16, u16)], leaves: &[u32]) -> Result<Vec<Node>, Refusal> {
    let mut nodes = Vec::with_capacity(splits.len());
    let mut extra = Vec::new();
    for (at, ((&split, &(no, yes)), &leaf)) in splits.iter().zip(steps).zip(leaves).enumerate() {
        let end = Node::Leaf(leaf as usize);
        if (no, yes) == (0, 0) {
            nodes.push(end);
            continue;
        }
        let mut target = |step: u16| match step {
            0 => {
                extra.push(end);
                splits.len() + extra.len() - 1
            }
            step => at + usize::from(step),
        };
        let (no, yes) = (target(no), target(yes));
        nodes.push(Node::Split {
            split: index(split, usize::MAX, "split")?,
            no,
            yes,
        });
    }
    nodes.extend(extra);
    Ok(nodes)
}

fn index(value: i32, limit: usize, what: &str) -> Result<usize, Refusal> {
    crate::flavor::forest::index(i64::from(value), limit, what)
}

/// What a table of counters is found by: the projection, floats by their bits, the kind, and the number of the way in
/// which targets are made classes.
type TableKey = (Vec<usize>, Vec<(usize, u32)>, Vec<(usize, i32)>, i8, i32);

fn table_key(base: Option<Fields<'_>>) -> Result<TableKey, Refusal> {
    let Some(base) = base else {
        refuse!("a counter without base");
    };
    let projection = match base.table(0)? {
        Some(fields) => projection(&fields)?,
        None => Projection::default(),
    };
    Ok((
        projection.categories,
        projection
            .floats
            .iter()
            .map(|&(feature, border)| (feature, border.to_bits()))
            .collect(),
        projection.one_hots,
        base.number(1, 0i8)?,
        base.number(2, 0i32)?,
    ))
}

fn projection(fields: &Fields<'_>) -> Result<Projection, Refusal> {
    let feature = |index: i32| self::index(index, 1 << 24, "feature of a counter");
    let categories = fields
        .numbers::<i32>(0)?
        .into_iter()
        .map(feature)
        .collect::<Result<_, _>>()?;
    let floats = fields.numbers::<(i32, f32)>(1)?;
    let floats = floats
        .into_iter()
        .map(|(index, border)| Ok((feature(index)?, border)));
    let one_hots = fields.numbers::<(i32, i32)>(2)?;
    let one_hots = one_hots
        .into_iter()
        .map(|(index, value)| Ok((feature(index)?, value)));
    Ok(Projection {
        categories,
        floats: floats.collect::<Result<_, Refusal>>()?,
        one_hots: one_hots.collect::<Result<_, Refusal>>()?,
    })
}

fn counter_tables(rest: &mut &[u8]) -> Result<HashMap<TableKey, Table>, Refusal> {
    let count = size(rest)?;
    let mut tables = HashMap::new();
    for number in 0..count {
        let (key, table) = sized(rest)
            .and_then(counter_table)
            .map_err(|refusal| refusal.within(format_args!("table {number} of counters")))?;
        tables.insert(key, table);
    }
    Ok(tables)
}

fn counter_table(bytes: &[u8]) -> Result<(TableKey, Table), Refusal> {
    let fields = flatbuffer::root(bytes)?;
    let key = table_key(fields.table(0)?)?;
    let (categories, floats, one_hots, kind, _) = key.clone();
    let floats = floats
        .into_iter()
        .map(|(feature, bits)| (feature, f32::from_bits(bits)))
        .collect();
    let kind = CounterKind::of_number(kind)?;
    // Twelve bytes each: eight of hash, four of number.
    let raw = fields.bytes(1)?;
    if raw.len() % 12 != 0 {
        refuse!("{} bytes of keys", raw.len());
    }
    let mut keys = Vec::new();
    for entry in raw.chunks_exact(12) {
        let ((low, high), row) = (<(u32, u32)>::read(entry, 0)?, u32::read(entry, 8)?);
        let hash = u64::from(high) << 32 | u64::from(low);
        if hash != FREE {
            keys.push((hash, row));
        }
    }
    let blob = fields.bytes(2)?;
    let width = match kind {
        CounterKind::Borders | CounterKind::Buckets => index(fields.number(4, 0i32)?, 1 << 16, "classes")?,
        _ => 1,
    };
    let rows = match kind {
        CounterKind::BinarizedTargetMeanValue | CounterKind::FloatTargetMeanValue => Rows::Means(
            blob.chunks_exact(8)
                .map(|row| <(f32, i32)>::read(row, 0))
                .collect::<Result<_, _>>()?,
        ),
        _ => Rows::Counts(
            width,
            blob.chunks_exact(4)
                .map(|count| i32::read(count, 0))
                .collect::<Result<_, _>>()?,
        ),
    };
    let projection = Projection {
        categories,
        floats,
        one_hots,
    };
    let denominator = fields.number(3, 0i32)?;
    Ok((
        key,
        Table {
            projection,
            kind,
            keys,
            rows,
            denominator,
        },
    ))
}
