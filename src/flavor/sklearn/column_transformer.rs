//! `ColumnTransformer`: estimators on some columns each, side by side.

use std::sync::Arc;

use crate::flavor::PredictError;
use crate::flavor::formats::object::{Array, ArrayElements, Object, View};
use crate::flavor::plan::steps::join::{Join, Select};
use crate::flavor::plan::value::{Form, Kind, Value};
use crate::flavor::plan::{Inputs, Register, Step};
use crate::flavor::refusal::{Refusal, refuse};

use super::estimator::{Ask, Context, lower as lower_estimator, no_method};
use super::numbers;
use super::pipeline::{passes, weighted};
use super::request::{Picked, Place};
use super::rows;

/// Classes of this family.
pub(super) const CLASSES: &[&str] = &["ColumnTransformer"];

/// Columns as a transformer names them.
#[derive(Debug, Clone, PartialEq)]
enum Columns {
    Names(Vec<Arc<str>>),
    /// From the end if negative.
    Indices(Vec<i64>),
}

/// Names which columns of the request the next steps read; the request itself passes on.
struct Pick(String);

impl Step for Pick {
    fn describe(&self) -> String {
        format!("columns {}", self.0)
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if form.kind == Kind::Input => Ok(*form),
            _ => Err(format!("the request expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        Ok(Value::Input(*inputs.get(0)?.input()?))
    }
}

/// The columns in a specification, of `width` columns with these names.
fn columns(spec: View<'_>, features: Option<&[Arc<str>]>, width: usize) -> Result<Columns, Refusal> {
    let position = |name: &str| {
        let position = features.and_then(|names| names.iter().position(|feature| &**feature == name));
        match position {
            Some(position) => Ok(position),
            None => refuse!("column `{name}` is none of those that were fitted"),
        }
    };
    match spec.object() {
        Object::Text(_) | Object::Int(_) => refuse!(
            "columns given by a single name or number are passed on as a vector, which is not covered; give a list"
        ),
        Object::Slice(bounds) => {
            let [start, stop, step] = bounds.map(|id| spec.at(id));
            if !step.is_none() && step.whole() != Some(1) {
                refuse!("slices of columns with a step are not covered");
            }
            // Names include the last one, numbers do not.
            let bound = |bound: View<'_>, last: bool| -> Result<Option<i64>, Refusal> {
                match (bound.text(), bound.whole()) {
                    (Some(name), _) => Ok(Some(position(name)? as i64 + i64::from(last))),
                    (None, Some(index)) => Ok(Some(index)),
                    (None, None) if bound.is_none() => Ok(None),
                    _ => refuse!("a slice of columns by `{}`", bound.kind()),
                }
            };
            let end = width as i64;
            let wrap = |index: i64| {
                if index < 0 {
                    (index + end).max(0)
                } else {
                    index.min(end)
                }
            };
            let start = wrap(bound(start, false)?.unwrap_or(0));
            let stop = wrap(bound(stop, true)?.unwrap_or(end));
            Ok(Columns::Indices((start..stop).collect()))
        }
        Object::Array(Array { elements, .. }) => match elements {
            ArrayElements::Int(indices) => Ok(Columns::Indices(indices.clone())),
            ArrayElements::Bool(mask) => Ok(Columns::Indices(masked(mask.iter().copied()))),
            ArrayElements::Text(names) => Ok(Columns::Names(names.clone())),
            ArrayElements::Object(_) => listed(spec),
            ArrayElements::Float(none) if none.is_empty() => Ok(Columns::Indices(Vec::new())),
            _ => refuse!("columns given by other than names, numbers and masks"),
        },
        Object::List(_) | Object::Tuple(_) => listed(spec),
        // The list that remembers how the remainder was given, of versions 1.5 and 1.6.
        Object::Instance(instance) if &*instance.class.name == "_RemainderColsList" => {
            listed(spec.attribute("data")?)
        }
        _ => refuse!("columns given by a `{}` are not covered", spec.kind()),
    }
}

fn masked(mask: impl Iterator<Item = bool>) -> Vec<i64> {
    mask.enumerate()
        .filter(|(_, chosen)| *chosen)
        .map(|(index, _)| index as i64)
        .collect()
}

/// Columns in a list of names, numbers or truths.
fn listed(spec: View<'_>) -> Result<Columns, Refusal> {
    let members = spec.members().unwrap_or_default();
    let names: Option<Vec<Arc<str>>> = members.iter().map(|member| Some(member.text()?.into())).collect();
    if let Some(names) = names.filter(|names| !names.is_empty()) {
        return Ok(Columns::Names(names));
    }
    let truth = |member: &View<'_>| match member.object() {
        Object::Bool(truth) => Some(*truth),
        _ => None,
    };
    let truths: Option<Vec<bool>> = members.iter().map(truth).collect();
    if let Some(truths) = truths.filter(|truths| !truths.is_empty()) {
        return Ok(Columns::Indices(masked(truths.into_iter())));
    }
    match members.iter().map(|member| member.whole()).collect() {
        Some(indices) => Ok(Columns::Indices(indices)),
        None => refuse!("columns given by other than names, numbers and masks"),
    }
}

/// A fitted `(name, transformer, columns)`.
struct Branch<'a> {
    name: &'a str,
    estimator: View<'a>,
    columns: Columns,
}

fn branches<'a>(
    object: View<'a>,
    features: Option<&[Arc<str>]>,
    width: usize,
) -> Result<Vec<Branch<'a>>, Refusal> {
    let mut branches = Vec::new();
    for member in object.attribute("transformers_")?.members().unwrap_or_default() {
        let triple = member.members().unwrap_or_default();
        let [name, estimator, spec] = *triple else {
            refuse!("`transformers_` is no list of triples");
        };
        let name = name.text().unwrap_or_default();
        if estimator.text() == Some("drop") {
            continue;
        }
        let columns =
            columns(spec, features, width).map_err(|refusal| refusal.within(format!("`{name}`")))?;
        let empty = match &columns {
            Columns::Names(names) => names.is_empty(),
            Columns::Indices(indices) => indices.is_empty(),
        };
        if !empty {
            branches.push(Branch {
                name,
                estimator,
                columns,
            });
        }
    }
    Ok(branches)
}

/// A position that may count from the end.
fn absolute(index: i64, width: usize) -> Result<usize, Refusal> {
    let from_start = if index < 0 { index + width as i64 } else { index };
    match usize::try_from(from_start).ok().filter(|&index| index < width) {
        Some(index) => Ok(index),
        None => refuse!("column {index} of {width}"),
    }
}

/// Columns of the request, by name where both sides have names.
fn pick(
    context: &Context<'_>,
    columns: &Columns,
    features: Option<&[Arc<str>]>,
    width: usize,
) -> Result<Picked, Refusal> {
    let declared = context.declared.names.as_deref();
    let place = |name: &Arc<str>, index: Option<usize>| Place {
        name: Some(Arc::clone(name)),
        declared: declared
            .and_then(|names| names.iter().position(|declared| declared.as_text() == Some(name))),
        index,
    };
    let places: Result<Vec<Place>, Refusal> = match columns {
        Columns::Names(names) => Ok(names.iter().map(|name| place(name, None)).collect()),
        Columns::Indices(indices) => indices
            .iter()
            .map(|&index| {
                let index = absolute(index, width)?;
                Ok(match features.and_then(|features| features.get(index)) {
                    Some(feature) => place(feature, Some(index)),
                    None => Place {
                        name: None,
                        declared: None,
                        index: Some(index),
                    },
                })
            })
            .collect(),
    };
    Ok(Picked(places?))
}

/// The same columns of what another `ColumnTransformer` has picked.
fn pick_again(outer: &Picked, columns: &Columns) -> Result<Picked, Refusal> {
    let one = |position: Option<usize>| match position.and_then(|position| outer.0.get(position)) {
        Some(place) => Ok(place.clone()),
        None => refuse!("a column is none of those that are passed on"),
    };
    let places: Result<Vec<Place>, Refusal> = match columns {
        Columns::Indices(indices) => indices
            .iter()
            .map(|&index| one(absolute(index, outer.0.len()).ok()))
            .collect(),
        Columns::Names(names) => names
            .iter()
            .map(|name| {
                let named = |place: &Place| place.name.as_ref() == Some(name);
                one(outer.0.iter().position(named))
            })
            .collect(),
    };
    Ok(Picked(places?))
}

/// The register with some columns of `x` for a branch.
fn chosen(
    context: &mut Context<'_>,
    x: Register,
    columns: &Columns,
    features: Option<&[Arc<str>]>,
    width: usize,
) -> Result<Register, Refusal> {
    if context.plan.form(x).kind == Kind::Input {
        let picked = match context.picked.get(&x) {
            Some(outer) => pick_again(outer, columns)?,
            None => pick(context, columns, features, width)?,
        };
        let shown: Vec<String> = picked
            .0
            .iter()
            .take(8)
            .map(|place| match &place.name {
                Some(name) => name.to_string(),
                None => place.index.unwrap_or_default().to_string(),
            })
            .collect();
        let more = if picked.0.len() > shown.len() { ", …" } else { "" };
        let register = context.plan.push(Pick(shown.join(", ") + more), &[x])?;
        context.picked.insert(register, Arc::new(picked));
        return Ok(register);
    }
    // What other steps have computed has the fitted order.
    let width = context.plan.form(x).width;
    let indices: Result<Vec<usize>, Refusal> = match columns {
        Columns::Indices(indices) => indices.iter().map(|&index| absolute(index, width)).collect(),
        Columns::Names(names) => names
            .iter()
            .map(
                |name| match features.and_then(|features| features.iter().position(|f| f == name)) {
                    Some(index) if index < width => Ok(index),
                    _ => refuse!("column `{name}` is none of those that are passed on"),
                },
            )
            .collect(),
    };
    context.plan.push(Select(indices?), &[x])
}

/// Lowers one of them.
pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    if ask != Ask::Transform {
        return no_method(ask, object);
    }
    lower_with(object, context, x, |estimator, context, chosen| {
        lower_estimator(Ask::Transform, estimator, context, chosen)
    })
}

/// Lowers one of them whose transformers are lowered by `transform`.
pub(super) fn lower_with(
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
    transform: impl Fn(View<'_>, &mut Context<'_>, Register) -> Result<Register, Refusal>,
) -> Result<Register, Refusal> {
    let features = numbers::texts(object, "feature_names_in_").unwrap_or(None);
    let features = features.as_deref();
    let width = match object.get("n_features_in_").and_then(View::whole) {
        Some(width) => usize::try_from(width).unwrap_or(0),
        None => match features.map(<[_]>::len).or(context.declared.width) {
            Some(width) => width,
            None => refuse!("nothing says how many columns it takes"),
        },
    };
    let x = match (context.plan.form(x).kind, features) {
        // A request without names is only checked for the number of columns.
        (Kind::Input, features) if !context.picked.contains_key(&x) => {
            rows::counted(context, x, width, features.is_some())?
        }
        _ => x,
    };
    let weights = object
        .get("transformer_weights")
        .filter(|weights| !weights.is_none());
    let mut parts = Vec::new();
    for branch in branches(object, features, width)? {
        let part = chosen(context, x, &branch.columns, features, width).and_then(|chosen| {
            if passes(branch.estimator) {
                Ok(chosen)
            } else {
                transform(branch.estimator, context, chosen)
            }
        });
        let part = part.and_then(|part| rows::plain(context, part));
        let part = part.map_err(|refusal| refusal.within(format!("`{}`", branch.name)))?;
        let weight = weights.and_then(|weights| weights.entry(branch.name));
        parts.push(weighted(context, part, weight)?);
    }
    match *parts {
        [] => refuse!("every column is dropped"),
        [only] => Ok(only),
        _ => context.plan.push(Join, &parts),
    }
}
