//! From the document of a file to a validated model.

use crate::flavor::formats::document::Document;
use crate::flavor::formats::{json, ubjson};
use crate::flavor::refusal::{Refusal, refuse};

use super::legacy;
use super::objective::Objective;

/// Parts of a document that say how a model came about, not what it computes.
const SKIPPED: &[&str] = &["loss_changes", "sum_hessian", "parents"];

/// A file may have this many outputs a row.
const MAX_OUTPUTS: usize = 1 << 20;

/// What XGBoost saves of a model, as far as predictions need it.
#[derive(Debug)]
pub(super) struct Model {
    /// Number of features.
    pub(super) features: usize,
    /// `num_class` as it stands there: 0 where there are no classes.
    pub(super) classes: usize,
    /// Margins of a row.
    pub(super) outputs: usize,
    /// What the margins stand for.
    pub(super) objective: Objective,
    /// Where the sums start, one for each output.
    pub(super) margins: Vec<f32>,
    /// Names of the features, if it has any.
    pub(super) names: Option<Vec<Box<str>>>,
    /// Trees or weights.
    pub(super) booster: Booster,
    /// Attribute `best_iteration`.
    pub(super) best_iteration: Option<usize>,
    /// Whether it is of a classifier, regressor or ranker, where the file says so.
    pub(super) estimator_type: Option<Box<str>>,
}

/// What the margins are made of.
#[derive(Debug)]
pub(super) enum Booster {
    /// `gbtree` and `dart`
    Trees(Trees),
    /// `gblinear`: `[features + 1, outputs]`, the last row the bias
    Linear(Vec<f32>),
}

/// The trees of a model.
#[derive(Debug, Default)]
pub(super) struct Trees {
    /// The trees in order, as they stand there.
    pub(super) trees: Vec<Document>,
    /// The output that each adds to.
    pub(super) groups: Vec<usize>,
    /// Where each round begins in the trees; one more for the end.
    pub(super) rounds: Vec<usize>,
    /// `dart`: what each is multiplied with.
    pub(super) weights: Option<Vec<f32>>,
}

/// Reads a model from the bytes of a file: UBJSON, JSON or the old binary format, whichever it is.
///
/// # Errors
/// When it is none of them, or not whole, or needs what is not covered.
pub(super) fn read(bytes: &[u8]) -> Result<Model, Refusal> {
    model(match bytes {
        [b'{', b'"' | b' ' | b'\t' | b'\r' | b'\n' | b'}', ..] => json::read(bytes, SKIPPED)?,
        [b'{', ..] => ubjson::read(bytes, SKIPPED)?,
        [b' ' | b'\t' | b'\r' | b'\n', ..] => json::read(bytes, SKIPPED)?,
        _ => legacy::read(bytes)?,
    })
}

/// Reads the handle of a pickled Booster: UBJSON of the configuration and the model.
///
/// # Errors
/// See [`read`].
pub(super) fn read_handle(bytes: &[u8]) -> Result<Model, Refusal> {
    let mut document = match bytes {
        [b'{', b'"', ..] => json::read(bytes, SKIPPED)?,
        [b'{', ..] => ubjson::read(bytes, SKIPPED)?,
        // Before 1.6 the two came one after the other, the configuration behind an offset.
        [
            b'C',
            b'O',
            b'N',
            b'F',
            b'I',
            b'G',
            b'-',
            b'o',
            b'f',
            b'f',
            b's',
            b'e',
            b't',
            b':',
            ..,
        ] => {
            refuse!(
                "a Booster that was pickled by XGBoost before 1.6: save the model with a newer version or \
                 export it to ONNX"
            )
        }
        _ => return read(bytes),
    };
    match document.take("Model") {
        Ok(saved) => model(saved),
        Err(_) => model(document),
    }
}

fn model(mut document: Document) -> Result<Model, Refusal> {
    let mut learner = document.take("learner")?;
    let parameters = learner.field("learner_model_param")?;
    let features = whole(parameters, "num_feature")?;
    let classes = whole(parameters, "num_class")?;
    let targets = match parameters.get("num_target") {
        Some(_) => whole(parameters, "num_target")?,
        None => 1,
    };
    let outputs = classes.max(targets).max(1);
    if outputs > MAX_OUTPUTS {
        refuse!("{outputs} outputs, at most {MAX_OUTPUTS} are read");
    }
    let name = learner
        .field("objective")?
        .field("name")?
        .text()
        .unwrap_or_default();
    let objective = Objective::named(name)?;
    let scores = base_scores(parameters.field("base_score")?)?;
    let margins: Vec<f32> = match *scores {
        [score] => vec![objective.margin(score); outputs],
        _ if scores.len() == outputs => scores.iter().map(|&score| objective.margin(score)).collect(),
        _ => refuse!("{} base scores for {outputs} outputs", scores.len()),
    };
    let names = names(&learner)?;
    if let Some(names) = &names
        && names.len() != features
    {
        refuse!("{} feature names for {features} features", names.len());
    }
    let booster = booster(
        learner
            .take("gradient_booster")
            .map_err(|refusal| refusal.within("learner"))?,
        features,
        outputs,
    )?;
    Ok(Model {
        features,
        classes,
        outputs,
        objective,
        margins,
        names,
        booster,
        best_iteration: best_iteration(&learner)?,
        estimator_type: estimator_type(&learner)?,
    })
}

/// A count, which XGBoost writes as text.
fn whole(map: &Document, key: &str) -> Result<usize, Refusal> {
    let value = map.field(key)?;
    let whole = match value {
        Document::Text(text) => text.trim().parse().ok(),
        Document::Int(whole) => usize::try_from(*whole).ok(),
        _ => None,
    };
    match (whole, value) {
        (Some(whole), _) => Ok(whole),
        (None, Document::Text(text)) => refuse!("`{key}` is `{}`", text.escape_debug()),
        (None, other) => refuse!("`{key}` is {}, expected a count", other.kind()),
    }
}

/// `5E-1`, or from 3.1 on `[5E-1]` with a score for each output.
fn base_scores(value: &Document) -> Result<Vec<f32>, Refusal> {
    let Some(text) = value.text() else {
        refuse!("`base_score` is {}, expected text", value.kind());
    };
    let text = text.trim();
    let list = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    let scores: Option<Vec<f32>> = list
        .split(',')
        .map(|score| score.trim().parse().ok().filter(|score: &f32| score.is_finite()))
        .collect();
    match scores {
        Some(scores) => Ok(scores),
        None => refuse!(
            "`base_score` is `{}`",
            text.chars().take(40).collect::<String>().escape_debug()
        ),
    }
}

fn names(learner: &Document) -> Result<Option<Vec<Box<str>>>, Refusal> {
    let Some(names) = learner.get("feature_names") else {
        return Ok(None);
    };
    match names {
        Document::List(names) => {
            let names: Option<Vec<Box<str>>> = names.iter().map(|name| name.text().map(Into::into)).collect();
            match names {
                Some(names) => Ok(Some(names)),
                None => refuse!("`feature_names` holds what is no text"),
            }
        }
        Document::Numbers(none) if none.is_empty() => Ok(None),
        other => refuse!("`feature_names` is {}, expected a list of texts", other.kind()),
    }
}

fn best_iteration(learner: &Document) -> Result<Option<usize>, Refusal> {
    let attributes = learner.get("attributes");
    match attributes.and_then(|attributes| attributes.get("best_iteration")) {
        None => Ok(None),
        Some(value) => match value.text().and_then(|text| text.trim().parse().ok()) {
            Some(round) => Ok(Some(round)),
            None => refuse!("attribute `best_iteration` is no count"),
        },
    }
}

/// `_estimator_type` of the attribute `scikit_learn`. Labels that an encoder of versions before 1.6 stands for are refused
/// where they are not the class numbers themselves.
fn estimator_type(learner: &Document) -> Result<Option<Box<str>>, Refusal> {
    let attribute = learner
        .get("attributes")
        .and_then(|attributes| attributes.get("scikit_learn"));
    let Some(attribute) = attribute.and_then(Document::text) else {
        return Ok(None);
    };
    let Ok(said) = json::read(attribute.as_bytes(), &[]) else {
        refuse!("attribute `scikit_learn` is no JSON");
    };
    if let Some(Document::Map(encoder)) = said.get("_le") {
        let encoder = Document::Map(encoder.clone());
        let plain = encoder.integers("classes_").is_ok_and(|classes| {
            classes
                .iter()
                .enumerate()
                .all(|(index, &label)| i64::try_from(index) == Ok(label))
        });
        if encoder.get("classes_").is_some() && !plain {
            refuse!(
                "it holds the label encoder of an XGBClassifier of XGBoost before 1.6, whose labels later versions \
                 ignore: encode the labels and train with a newer version, or export the model to ONNX"
            );
        }
    }
    Ok(said
        .get("_estimator_type")
        .and_then(Document::text)
        .map(Into::into))
}

fn booster(mut booster: Document, features: usize, outputs: usize) -> Result<Booster, Refusal> {
    let name = booster.field("name")?.text().unwrap_or_default().to_owned();
    match name.as_str() {
        "gbtree" => Ok(Booster::Trees(trees(booster.take("model")?, None, outputs)?)),
        "dart" => {
            let weights = booster.singles("weight_drop")?;
            let model = booster.take("gbtree")?.take("model")?;
            Ok(Booster::Trees(trees(model, Some(weights), outputs)?))
        }
        "gblinear" => {
            let weights = booster.field("model")?.singles("weights")?;
            let wanted = features.checked_add(1).and_then(|rows| rows.checked_mul(outputs));
            if wanted != Some(weights.len()) {
                refuse!(
                    "{} weights for {features} features and {outputs} outputs",
                    weights.len()
                );
            }
            Ok(Booster::Linear(weights))
        }
        other => refuse!("booster `{}` is not known", other.escape_debug()),
    }
}

fn trees(mut model: Document, weights: Option<Vec<f32>>, outputs: usize) -> Result<Trees, Refusal> {
    let parameters = model.field("gbtree_model_param")?;
    let count = whole(parameters, "num_trees")?;
    let parallel = match parameters.get("num_parallel_tree") {
        Some(_) => whole(parameters, "num_parallel_tree")?.max(1),
        None => 1,
    };
    let groups: Option<Vec<usize>> = model
        .integers("tree_info")?
        .into_iter()
        .map(|group| usize::try_from(group).ok().filter(|&group| group < outputs))
        .collect();
    let Some(groups) = groups else {
        refuse!("a tree adds to an output that is not among the {outputs} there are");
    };
    let starts = match model.get("iteration_indptr") {
        Some(Document::Numbers(starts)) if !starts.is_empty() => Some(model.integers("iteration_indptr")?),
        _ => None,
    };
    let trees = in_order(model.take("trees")?.into_members()?)?;
    if trees.len() != count || groups.len() != count {
        refuse!(
            "{} trees and {} outputs of {count} trees",
            trees.len(),
            groups.len()
        );
    }
    if weights.as_ref().is_some_and(|weights| weights.len() != count) {
        refuse!("`weight_drop` has not one weight for each of {count} trees");
    }
    let rounds = match starts {
        Some(starts) => given_rounds(&starts, count)?,
        None => {
            let round = groups.iter().max().map_or(1, |group| group + 1);
            match round.checked_mul(parallel) {
                Some(round) => (0..=count / round).map(|number| number * round).collect(),
                None => refuse!("rounds of {parallel} times {round} trees"),
            }
        }
    };
    Ok(Trees {
        trees,
        groups,
        rounds,
        weights,
    })
}

/// Checks where the rounds begin.
fn given_rounds(starts: &[i64], trees: usize) -> Result<Vec<usize>, Refusal> {
    let starts: Option<Vec<usize>> = starts.iter().map(|&start| usize::try_from(start).ok()).collect();
    match starts {
        Some(starts)
            if starts.is_sorted()
                && starts.first() == Some(&0)
                && starts.last().is_some_and(|&last| last <= trees) =>
        {
            Ok(starts)
        }
        _ => refuse!("`iteration_indptr` does not fit {trees} trees"),
    }
}

/// The trees by their `id`.
fn in_order(trees: Vec<Document>) -> Result<Vec<Document>, Refusal> {
    let count = trees.len();
    let mut ordered: Vec<Option<Document>> = (0..count).map(|_| None).collect();
    for (number, tree) in trees.into_iter().enumerate() {
        let place = match tree.get("id") {
            None => Some(number),
            Some(Document::Int(id)) => usize::try_from(*id).ok(),
            Some(_) => None,
        };
        match place.and_then(|place| ordered.get_mut(place)) {
            Some(slot @ None) => *slot = Some(tree),
            _ => refuse!("tree {number} has no place, or that of another, among {count}"),
        }
    }
    Ok(ordered.into_iter().flatten().collect())
}
