//! `modelsd compare`.

mod log;

use std::io::Write;

use anyhow::Context;
use reqwest::Method;
use serde_json::Value as Json;

use super::ask::ask_with;
use super::text::{plain, table};
use crate::config::{CompareArgs, CompareConfig};
use log::Target;

/// Labels of a variant's answers that are shown.
const LABELS: usize = 5;

/// Shows what the variants of a route have come to, and logs it to MLflow where that is wished.
///
/// # Errors
/// When the server or MLflow's cannot be reached, or refuses.
pub(super) fn run(config: &CompareConfig, args: &CompareArgs) -> anyhow::Result<()> {
    let mut query = Vec::new();
    if let Some(metric) = &args.metric {
        query.push(("metric", metric.as_str()));
    }
    if args.lower_is_better {
        query.push(("lower_is_better", "true"));
    }
    let path = ["api", "routes", &args.route, "compare"];
    let mut comparison = ask_with(&config.admin, Method::GET, &path, &query, None)?;
    let mut text = render(&comparison);
    if let Some((server, experiment)) = &config.mlflow {
        let logged = log::log(&Target { server, experiment }, &comparison)?;
        text += &format!("logged to MLflow: {}\n", self::text(&logged, "page"));
        if let Some(members) = comparison.as_object_mut() {
            members.insert("mlflow".to_owned(), logged);
        }
    }
    if args.json {
        text = format!("{comparison:#}\n");
    }
    std::io::stdout()
        .lock()
        .write_all(text.as_bytes())
        .context("cannot write the answer")
}

/// The comparison as tables: requests, answers, outcomes; and the verdict.
fn render(comparison: &Json) -> String {
    let variants = || list(comparison, "variants").iter();
    let since = comparison.get("since").and_then(Json::as_str);
    let mut out = format!(
        "{}, {}\n\n",
        text(comparison, "route"),
        since.map_or("since the server started".to_owned(), |since| format!(
            "since {}",
            plain(since)
        ))
    );
    let mut rows = vec![cells(&[
        "VARIANT", "MODEL", "WEIGHT", "REQUESTS", "ROWS", "ERRORS", "P50 MS", "P90", "P99", "P99.9",
    ])];
    rows.extend(variants().map(requests));
    out += &table(&rows);
    let answers: Vec<Vec<String>> = variants().filter_map(answers).collect();
    if !answers.is_empty() {
        let mut rows = vec![cells(&[
            "VARIANT", "ANSWERS", "MEAN", "P5", "P50", "P95", "LABELS",
        ])];
        rows.extend(answers);
        out += "\n";
        out += &table(&rows);
    }
    let outcomes: Vec<Vec<String>> = variants().flat_map(outcomes).collect();
    if !outcomes.is_empty() {
        let mut rows = vec![cells(&[
            "OUTCOME",
            "VARIANT",
            "N",
            "MEAN",
            "WITHIN",
            "DIFFERENCE",
            "WITHIN",
        ])];
        rows.extend(outcomes);
        // Variants of one kind of outcome beside each other, in their order.
        if let Some(rows) = rows.get_mut(1..) {
            rows.sort_by(|one, two| one.first().cmp(&two.first()));
        }
        out += "\n";
        out += &table(&rows);
    }
    let ratio = comparison.get("ratio").unwrap_or(&Json::Null);
    let fits = ratio.get("fits").and_then(Json::as_bool).unwrap_or(false);
    out += &format!(
        "\nshares of the requests: {} (p = {})\n",
        if fits {
            "as the weights say"
        } else {
            "NOT as the weights say"
        },
        number(ratio.get("p_value"))
    );
    let confidence = comparison
        .get("confidence")
        .and_then(Json::as_f64)
        .unwrap_or_default();
    let verdict = comparison.get("verdict").unwrap_or(&Json::Null);
    out += &format!("verdict: {}\n", text(verdict, "text"));
    out += &format!("by {:.0} % {}\n", confidence * 100.0, text(comparison, "method"));
    out
}

fn requests(variant: &Json) -> Vec<String> {
    let latency = |name: &str| number(variant.get("latency_ms").and_then(|latency| latency.get(name)));
    let rate = match variant.get("error_rate").and_then(Json::as_f64) {
        Some(rate) => format!("{} ({:.2} %)", text(variant, "errors"), rate * 100.0),
        None => text(variant, "errors"),
    };
    vec![
        text(variant, "variant"),
        format!("{}/{}", text(variant, "model"), text(variant, "version")),
        number(variant.get("weight")),
        text(variant, "requests"),
        text(variant, "rows"),
        rate,
        latency("p50"),
        latency("p90"),
        latency("p99"),
        latency("p99.9"),
    ]
}

fn answers(variant: &Json) -> Option<Vec<String>> {
    let predictions = variant.get("predictions")?;
    predictions.get("rows")?.as_u64().filter(|rows| *rows > 0)?;
    let of_numbers = |name: &str| number(predictions.get("numbers").and_then(|numbers| numbers.get(name)));
    Some(vec![
        text(variant, "variant"),
        text(predictions, "rows"),
        of_numbers("mean"),
        of_numbers("p5"),
        of_numbers("p50"),
        of_numbers("p95"),
        labels(predictions),
    ])
}

fn outcomes(variant: &Json) -> Vec<Vec<String>> {
    let kinds = variant.get("feedback").and_then(Json::as_object);
    let row = |(kind, feedback): (&String, &Json)| {
        let difference = variant
            .get("differences")
            .and_then(|differences| differences.get(kind));
        let mean = match feedback.get("labels") {
            Some(_) => labels(feedback),
            None => number(feedback.get("mean")),
        };
        vec![
            plain(kind),
            text(variant, "variant"),
            text(feedback, "n"),
            mean,
            bounds(feedback.get("interval")),
            number(difference.and_then(|difference| difference.get("estimate"))),
            bounds(difference),
        ]
    };
    kinds.into_iter().flatten().map(row).collect()
}

fn labels(of: &Json) -> String {
    let shown: Vec<String> = list(of, "labels")
        .iter()
        .take(LABELS)
        .map(|label| format!("{} {}", text(label, "label"), text(label, "count")))
        .collect();
    if shown.is_empty() {
        "-".to_owned()
    } else {
        shown.join(", ")
    }
}

fn bounds(interval: Option<&Json>) -> String {
    match interval {
        Some(interval @ Json::Object(_)) => {
            format!(
                "{} … {}",
                number(interval.get("lower")),
                number(interval.get("upper"))
            )
        }
        _ => "-".to_owned(),
    }
}

fn list<'a>(json: &'a Json, name: &str) -> &'a [Json] {
    json.get(name).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

fn cells(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn text(json: &Json, name: &str) -> String {
    match json.get(name) {
        Some(Json::String(text)) => plain(text),
        Some(Json::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    }
}

/// Four digits of a number: more are seldom known.
fn number(json: Option<&Json>) -> String {
    let Some(value) = json.and_then(Json::as_f64) else {
        return "-".to_owned();
    };
    let size = value.abs();
    if value == 0.0 || (1e-3..1e6).contains(&size) {
        let before = if size >= 1.0 { size.log10() as usize + 1 } else { 0 };
        let digits = format!("{value:.*}", 4usize.saturating_sub(before));
        match digits.contains('.') {
            true => digits.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => digits,
        }
    } else {
        format!("{value:.2e}")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::experiment::compare::{Question, compare};
    use crate::experiment::series::{Answered, Arm, Draw};
    use crate::experiment::tallies::{Bounds, Tallies};
    use crate::model::batch::{Batch, Body};
    use crate::model::prediction_id::PredictionId;
    use crate::model::tensor::{Elements, Tensor};
    use crate::model::value::Value;

    /// What a server with these variants would answer.
    fn comparison() -> Json {
        let tallies = Tallies::new(Bounds::default());
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let route: Arc<str> = "iris".into();
        for (version, variant) in [(3, "champion"), (4, "challenger")] {
            let arm = Arm {
                route: Arc::clone(&route),
                variant: variant.into(),
                model: "iris".into(),
                version: version.to_string().into(),
            };
            for number in 0..1000u64 {
                let label = Tensor::vector(Elements::I64(vec![(number % 2) as i64]));
                let id = PredictionId::new(arm.tag(), now, number);
                let answered = Answered {
                    id,
                    arm: &arm,
                    draw: Draw::Lot,
                    rows: 1,
                    outcome: Ok(Some(&Batch::new(Body::Array(label)))),
                    total: Duration::from_millis(2),
                };
                tallies.note(&answered).unwrap();
                let clicked = Value::Bool(number < version * 100);
                tallies.feedback(id, "clicked", &clicked).unwrap();
            }
        }
        let weights = [("champion".into(), 1.0), ("challenger".into(), 1.0)];
        let comparison = compare(&route, &tallies, &weights, &Question::default(), now);
        serde_json::to_value(comparison).unwrap()
    }

    #[test]
    fn tables_show_it_all() {
        let shown = render(&comparison());
        let expected = "\
iris, since the server started

VARIANT     MODEL   WEIGHT  REQUESTS  ROWS  ERRORS      P50 MS  P90    P99    P99.9
champion    iris/3  1       1000      1000  0 (0.00 %)  2.016   2.016  2.016  2.016
challenger  iris/4  1       1000      1000  0 (0.00 %)  2.016   2.016  2.016  2.016

VARIANT     ANSWERS  MEAN  P5  P50  P95  LABELS
champion    1000     0.5   0   0    1    0 500, 1 500
challenger  1000     0.5   0   0    1    0 500, 1 500

OUTCOME  VARIANT     N     MEAN  WITHIN           DIFFERENCE  WITHIN
clicked  champion    1000  0.3   0.2555 … 0.3445  -           -
clicked  challenger  1000  0.4   0.3524 … 0.4476  0.1         0.0312 … 0.1688

shares of the requests: as the weights say (p = 1)
verdict: `challenger` is better than `champion`";
        assert_eq!(shown.split("\nby ").next().unwrap(), expected, "{shown}");
        assert!(
            shown.contains("\nby 95 % asymptotic confidence sequences"),
            "{shown}"
        );
    }

    #[test]
    fn an_answer_of_another_form_is_no_panic() {
        for json in [Json::Null, serde_json::json!({"variants": [1, {}], "ratio": []})] {
            assert!(render(&json).contains("verdict: -"));
        }
    }

    #[test]
    fn numbers_have_four_digits() {
        for (value, expected) in [
            (0.0, "0"),
            (0.123_456, "0.1235"),
            (12.345_67, "12.35"),
            (9.0, "9"),
            (123_456.7, "123457"),
            (100.0, "100"),
            (-0.05, "-0.05"),
            (1.5e-7, "1.50e-7"),
            (2e9, "2.00e9"),
        ] {
            assert_eq!(number(Some(&Json::from(value))), expected);
        }
        assert_eq!(number(None), "-");
    }
}
