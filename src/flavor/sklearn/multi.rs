//! Several estimators for several targets or classes: `MultiOutput*`, `*Chain`, `OneVsRestClassifier`.

use crate::flavor::formats::object::View;
use crate::flavor::plan::Register;
use crate::flavor::plan::steps::join::{Join, Select};
use crate::flavor::plan::steps::labels::{Above, ArgMax};
use crate::flavor::plan::steps::link::Link;
use crate::flavor::refusal::{Refusal, refuse};

use super::elementwise::{Each, EachRow, LastArgMax, Widen, together};
use super::estimator::{self, Ask, Context, no_method, version};
use super::labels;
use super::methods;
use super::numbers;
use super::rows::{self, Finite};

pub(super) const CLASSES: &[&str] = &[
    "MultiOutputClassifier",
    "MultiOutputRegressor",
    "ClassifierChain",
    "RegressorChain",
    "OneVsRestClassifier",
];

pub(super) fn lower(
    ask: Ask,
    object: View<'_>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    let members = object.attribute("estimators_")?.members().unwrap_or_default();
    if members.is_empty() {
        refuse!("there are no estimators");
    }
    match object.class() {
        Some("OneVsRestClassifier") => one_against_others(ask, object, members, context, x),
        Some("ClassifierChain" | "RegressorChain") => chain(ask, object, members, context, x),
        _ if ask != Ask::Predict => no_method(ask, object),
        _ => {
            let mut columns = Vec::with_capacity(members.len());
            for member in members {
                columns.push(estimator::lower(Ask::Predict, member, context, x)?);
            }
            let joined = context.plan.push(Join, &columns)?;
            context.mark_matrix(joined);
            Ok(joined)
        }
    }
}

/// Each member sees the answers of those before it as further columns.
fn chain(
    ask: Ask,
    object: View<'_>,
    members: Vec<View<'_>>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    if !matches!(ask, Ask::Predict | Ask::Proba | Ask::LogProba | Ask::Decision) {
        return no_method(ask, object);
    }
    let asked = if ask == Ask::LogProba { Ask::Proba } else { ask };
    // Since 1.7 the members may see something else than labels.
    let passed = match object.get("chain_method_").and_then(View::text) {
        None | Some("predict") => Ask::Predict,
        Some("predict_proba") => Ask::Proba,
        Some("decision_function") => Ask::Decision,
        Some(other) => refuse!("`chain_method` `{other}` is not covered"),
    };
    let (_, order) = numbers::numbers(object, "order_")?;
    let mut places = vec![usize::MAX; members.len()];
    for (place, target) in order.iter().enumerate() {
        if let Some(slot) = places.get_mut(*target as usize) {
            *slot = place;
        }
    }
    let mut columns = vec![rows::doubles(context, object, x, Finite::All)?];
    let mut answers = Vec::with_capacity(members.len());
    for member in members {
        let seen = match *columns {
            [only] => only,
            _ => context.plan.push(Join, &columns)?,
        };
        let seen_answer = column(passed, member, context, seen)?;
        answers.push(if asked == passed {
            seen_answer
        } else {
            column(asked, member, context, seen)?
        });
        columns.push(seen_answer);
    }
    let joined = context.plan.push(Join, &answers)?;
    let mut answer = context.plan.push(Select(places), &[joined])?;
    if ask == Ask::LogProba {
        answer = context.plan.push(Each::Log, &[answer])?;
    }
    context.mark_matrix(answer);
    Ok(answer)
}

/// The one column of numbers that a member answers.
fn column(ask: Ask, member: View<'_>, context: &mut Context<'_>, x: Register) -> Result<Register, Refusal> {
    let said = estimator::lower(ask, member, context, x)?;
    let said = if ask == Ask::Proba {
        positive(context, said)?
    } else {
        said
    };
    let said = context.plan.push(Widen, &[said])?;
    if context.plan.form(said).width != 1 {
        refuse!("a member answers {} columns", context.plan.form(said).width);
    }
    Ok(said)
}

/// The share of the second of two classes.
fn positive(context: &mut Context<'_>, shares: Register) -> Result<Register, Refusal> {
    match context.plan.form(shares).width {
        2 => context.plan.push(Select(vec![1]), &[shares]),
        width => refuse!("probabilities of {width} classes instead of two"),
    }
}

fn one_against_others(
    ask: Ask,
    object: View<'_>,
    members: Vec<View<'_>>,
    context: &mut Context<'_>,
    x: Register,
) -> Result<Register, Refusal> {
    let binarizer = object.attribute("label_binarizer_")?;
    let several = match binarizer.attribute("y_type_")?.text() {
        Some("multiclass") => true,
        Some("binary") => false,
        _ => refuse!("several labels a row are not covered; export the model to ONNX"),
    };
    let labels = labels::classes(binarizer, "classes_")?;
    let expected = if several { labels.len() } else { 1 };
    if members.len() != expected {
        refuse!("{} estimators for {} classes", members.len(), labels.len());
    }
    let mut columns = Vec::with_capacity(members.len());
    let mut decisions = true;
    for member in members {
        let decides = methods::has_decision(member)?;
        decisions &= decides;
        let asked = match ask {
            Ask::Proba | Ask::LogProba => Ask::Proba,
            Ask::Predict if !decides => Ask::Proba,
            Ask::Predict | Ask::Decision => Ask::Decision,
            _ => return no_method(ask, object),
        };
        let said = estimator::lower(asked, member, context, x)?;
        columns.push(if asked == Ask::Proba {
            positive(context, said)?
        } else {
            said
        });
    }
    let columns = together(context, &columns)?;
    let scores = context.plan.push(Join, &columns)?;
    if context.plan.form(scores).width != expected {
        refuse!(
            "{} scores of {expected} estimators",
            context.plan.form(scores).width
        );
    }
    let index = match ask {
        Ask::Decision => return Ok(scores),
        Ask::Proba | Ask::LogProba => {
            let shares = if several {
                scores
            } else {
                context.plan.push(Link::Complement, &[scores])?
            };
            // Rows of zeros became NaN before 1.7.
            let step = if version(object) < (1, 7) {
                EachRow::AnyShares
            } else {
                EachRow::Shares
            };
            let shares = context.plan.push(step, &[shares])?;
            return match ask {
                Ask::LogProba => context.plan.push(Each::Log, &[shares]),
                _ => Ok(shares),
            };
        }
        _ if !several => context.plan.push(
            Above {
                bound: if decisions { 0.0 } else { 0.5 },
                inclusive: false,
            },
            &[scores],
        )?,
        // Of equal scores the last one won before 1.8.
        _ if version(object) < (1, 8) => context.plan.push(LastArgMax, &[scores])?,
        _ => context.plan.push(ArgMax, &[scores])?,
    };
    labels::label(context, labels, index)
}
