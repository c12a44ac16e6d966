//! From the text of a model to steps.

use std::sync::Arc;

use crate::flavor::PredictError;
use crate::flavor::forest::step::Trees as TreesStep;
use crate::flavor::plan::builder::Builder;
use crate::flavor::plan::value::{Form, Kind, Value};
use crate::flavor::plan::{Inputs, Register, Step};
use crate::flavor::refusal::{Refusal, refuse};

use super::categories::Categories;
use super::objective;
use super::rows::Rows;
use super::text::{Text, short};
use super::trees::{self, Trees};

/// A model may have this many outputs a row.
const MAX_OUTPUTS: usize = 1 << 20;

/// What besides its text decides about a model.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Options<'a> {
    /// As many iterations are used; all where it is `None`.
    pub(super) iterations: Option<usize>,
    /// JSON of pandas categories in place of that in the text.
    pub(super) pandas_categorical: Option<&'a str>,
    /// Whether values of pandas categories are looked up.
    pub(super) coded: bool,
}

/// Pushes the steps of `Booster.predict`: `[rows, outputs]` in double.
///
/// # Errors
/// When the text is no model, or needs what is not covered.
pub(super) fn booster(
    text: &str,
    options: Options<'_>,
    builder: &mut Builder,
    input: Register,
) -> Result<Register, Refusal> {
    let text = Text::read(text)?;
    let header = &text.header;
    match header.get("version").map(str::trim) {
        Some("v2" | "v3" | "v4") => {}
        other => refuse!(
            "version `{}` of the format is not read, v2 to v4 are",
            short(other.unwrap_or("none"))
        ),
    }
    let Some(features) = header.count("max_feature_idx")?.checked_add(1) else {
        refuse!("`max_feature_idx` is too large");
    };
    let classes = header.count("num_class")?;
    let outputs = match header.get("num_tree_per_iteration") {
        Some(_) => header.count("num_tree_per_iteration")?,
        None => classes,
    };
    if !(1..=MAX_OUTPUTS).contains(&outputs) {
        refuse!("{outputs} trees an iteration");
    }
    let line = header.get("objective").unwrap_or_default();
    let announced = line
        .split_ascii_whitespace()
        .find_map(|word| word.strip_prefix("num_class:"));
    if announced.is_some_and(|announced| announced.parse() != Ok(outputs)) {
        refuse!(
            "objective `{}` and {outputs} trees an iteration do not go together",
            short(line)
        );
    }
    if let Some(sizes) = header.get("tree_sizes") {
        let sizes = sizes.split_ascii_whitespace().count();
        if sizes != text.trees.len() {
            refuse!("{} trees, {sizes} are announced", text.trees.len());
        }
    }
    let link = objective::link(line)?;
    let whole = text.trees.len() / outputs;
    let iterations = options
        .iterations
        .map_or(whole, |iterations| iterations.min(whole));
    let blocks = text.trees.get(..iterations * outputs).unwrap_or_default();
    let trees = trees::compile(blocks, features, outputs)?;
    let categories = Categories::of(
        options.pandas_categorical.or(text.pandas_categorical),
        header.get("feature_infos").unwrap_or_default(),
        options.coded,
    )?;
    let rows = builder.push(Rows { features, categories }, &[input])?;
    let mut scores = match trees {
        Trees::Constant(forest) => builder.push(TreesStep(Arc::new(forest)), &[rows])?,
        Trees::Linear(forest) => builder.push(forest, &[rows])?,
    };
    if header.get("average_output").is_some() {
        if iterations == 0 {
            refuse!("a mean over no iterations");
        }
        scores = builder.push(Mean { iterations }, &[scores])?;
    }
    match link {
        Some(link) => builder.push(link, &[scores]),
        None => Ok(scores),
    }
}

/// Divides scores by the number of iterations they were added up over.
struct Mean {
    iterations: usize,
}

impl Step for Mean {
    fn describe(&self) -> String {
        format!("mean over {} iterations", self.iterations)
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [form] if form.kind == Kind::F64 => Ok(*form),
            _ => Err(format!("scores in double expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let mut scores = inputs.take(0)?.into_f64()?;
        let count = self.iterations as f64;
        for score in &mut scores.data {
            *score /= count;
        }
        Ok(Value::F64(scores))
    }
}
