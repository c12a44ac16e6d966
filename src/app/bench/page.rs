//! The report of a measurement, for people and for scripts.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use crate::app::text::{bytes, plain, table};
use crate::bench::report::{Measured, Report};
use crate::bench::run::Plan;
use crate::bench::{Latencies, Tally};

/// Latencies shown: the word of the table, that of JSON, the part of the requests.
const QUANTILES: [(&str, &str, f64); 5] = [
    ("p50", "p50", 0.5),
    ("p90", "p90", 0.9),
    ("p99", "p99", 0.99),
    ("p99.9", "p99_9", 0.999),
    ("max", "max", 1.0),
];

/// A table with a line for each step and server, and what else is worth knowing.
pub(super) fn text(plan: &Plan, report: &Report) -> String {
    let compared = plan.targets.len() > 1;
    let mut rows = vec![heading(plan, compared)];
    for step in &report.steps {
        for (number, measured) in step.measured.iter().enumerate() {
            let mut row = vec![step.connections.to_string(), name(plan, number)];
            row.extend(figures(plan, measured));
            if compared {
                row.extend(ratios(step.measured.first().filter(|_| number > 0), measured));
            }
            rows.push(row);
        }
    }
    let mut page = format!("{}\n\n{}", summary(plan), table(&right(rows)));
    let notes = notes(plan, report);
    if !notes.is_empty() {
        page.push('\n');
        for note in notes {
            page.push_str(&note);
            page.push('\n');
        }
    }
    page
}

fn summary(plan: &Plan) -> String {
    let way = match plan.rate {
        Some(rate) => format!("open loop at {rate} requests/s"),
        None => "closed loop".into(),
    };
    let rows = match plan.request.rows {
        Some(1) => " with 1 row".into(),
        Some(rows) => format!(" with {rows} rows"),
        None => String::new(),
    };
    format!(
        "{way}, {} s a step and server after {} s of warm-up; bodies of {}{rows}; latencies in microseconds",
        plan.duration.as_secs_f64(),
        plan.warm_up.as_secs_f64(),
        bytes(plan.request.body.len() as u64)
    )
}

fn heading(plan: &Plan, compared: bool) -> Vec<String> {
    let mut words = vec!["connections", "server", "requests", "req/s", "rows/s"];
    words.extend(QUANTILES.map(|(word, _, _)| word));
    words.push("errors");
    if plan.rate.is_some() {
        words.push("unsent");
    }
    words.extend(["sent", "received"]);
    if compared {
        words.extend(["req/s x", "p50 x", "p99 x"]);
    }
    words.into_iter().map(str::to_owned).collect()
}

fn name(plan: &Plan, number: usize) -> String {
    plan.targets
        .get(number)
        .map(|target| plain(&target.name))
        .unwrap_or_default()
}

fn figures(plan: &Plan, measured: &Measured) -> Vec<String> {
    let tally = &measured.tally;
    let rows = plan.request.rows.map(|rows| measured.rate() * rows as f64);
    let mut cells = vec![
        tally.answered.to_string(),
        short(measured.rate()),
        rows.map_or("-".into(), short),
    ];
    cells.extend(QUANTILES.map(|(_, _, part)| {
        tally
            .latency
            .quantile(part)
            .map_or("-".into(), |latency| short(microseconds(latency)))
    }));
    cells.push(tally.errors().to_string());
    if plan.rate.is_some() {
        cells.push(tally.unsent.to_string());
    }
    cells.extend([bytes(tally.bytes_sent), bytes(tally.bytes_received)]);
    cells
}

fn ratios(first: Option<&Measured>, measured: &Measured) -> Vec<String> {
    let Some(first) = first else {
        return vec!["1".into(), "1".into(), "1".into()];
    };
    let ratio = measured.ratio(first);
    [ratio.rate, ratio.p50, ratio.p99]
        .map(|ratio| ratio.map_or("-".into(), |ratio| format!("{ratio:.3}")))
        .to_vec()
}

/// Every column but the names padded on the left, as numbers are.
fn right(mut rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    let columns = rows.first().map_or(0, Vec::len);
    for column in (0..columns).filter(|column| *column != 1) {
        let cells = || rows.iter().filter_map(|row| row.get(column));
        let width = cells().map(|cell| cell.chars().count()).max().unwrap_or(0);
        for cell in rows.iter_mut().filter_map(|row| row.get_mut(column)) {
            *cell = format!("{cell:>width$}");
        }
    }
    rows
}

fn notes(plan: &Plan, report: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    for step in &report.steps {
        for (number, measured) in step.measured.iter().enumerate() {
            let here = format!("{} with {} connections", name(plan, number), step.connections);
            if let Some(troubles) = troubles([&measured.tally].into_iter()) {
                notes.push(format!("{here}: {troubles}"));
            }
            if let Some(refusals) = refusals(&measured.tally) {
                notes.push(format!("{here}: {refusals}"));
            }
            if measured.saturated() {
                notes.push(format!(
                    "{here}: the load itself was at work {:.0}% of the time, and may be the limit; try more --threads",
                    measured.busy() * 100.0
                ));
            }
        }
    }
    if report.interrupted {
        notes.push("Stopped early: this is what was measured until then.".into());
    }
    notes
}

/// How long the server took to say that it has too much to do; `None` when it never did.
fn refusals(tally: &Tally) -> Option<String> {
    let quantiles = QUANTILES.iter().filter_map(|(word, _, part)| {
        let latency = tally.refusals.quantile(*part)?;
        Some(format!("{word} {}", short(microseconds(latency))))
    });
    let quantiles: Vec<String> = quantiles.collect();
    let count = tally.refusals.count();
    (count > 0).then(|| {
        format!(
            "{count} refused as too much (429, 503), in {}",
            quantiles.join(", ")
        )
    })
}

/// What went wrong, how often, and what the first answer without success said; `None` when nothing did.
pub(super) fn troubles<'a>(tallies: impl Iterator<Item = &'a Tally>) -> Option<String> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut sample = None;
    for tally in tallies {
        for (status, count) in &tally.statuses {
            *counts.entry(format!("status {status}")).or_default() += count;
        }
        for (cause, count) in &tally.causes {
            *counts.entry(cause.to_string()).or_default() += count;
        }
        sample = sample.or(tally.sample.as_deref());
    }
    let parts: Vec<String> = counts
        .iter()
        .map(|(what, count)| format!("{count} x {what}"))
        .collect();
    let said = sample.map_or(String::new(), |sample| {
        format!("; the first said: {}", plain(sample))
    });
    (!parts.is_empty()).then(|| format!("{}{said}", parts.join(", ")))
}

/// The same as JSON; latencies in microseconds, things that are not known null.
pub(super) fn json(plan: &Plan, report: &Report) -> String {
    let steps: Vec<Json> = report
        .steps
        .iter()
        .map(|step| {
            let first = step.measured.first();
            let each = step.measured.iter().enumerate();
            let servers: Vec<Json> = each
                .map(|(number, measured)| server_json(plan, number, measured, first.filter(|_| number > 0)))
                .collect();
            json!({ "connections": step.connections, "servers": servers })
        })
        .collect();
    let page = json!({
        "modelsd": env!("CARGO_PKG_VERSION"),
        "loop": if plan.rate.is_some() { "open" } else { "closed" },
        "rate": plan.rate,
        "duration_seconds": plan.duration.as_secs_f64(),
        "warm_up_seconds": plan.warm_up.as_secs_f64(),
        "threads": plan.threads,
        "spin": plan.spin,
        "content_type": plan.request.content_type,
        "body_bytes": plan.request.body.len(),
        "rows": plan.request.rows,
        "interrupted": report.interrupted,
        "steps": steps,
    });
    format!("{page:#}\n")
}

fn server_json(plan: &Plan, number: usize, measured: &Measured, first: Option<&Measured>) -> Json {
    let tally = &measured.tally;
    let statuses: Map<String, Json> = tally
        .statuses
        .iter()
        .map(|(status, count)| (status.to_string(), json!(count)))
        .collect();
    let causes: Map<String, Json> = tally
        .causes
        .iter()
        .map(|(cause, count)| (cause.name().to_owned(), json!(count)))
        .collect();
    let ratio = first
        .map(|first| measured.ratio(first))
        .map(|ratio| json!({ "requests_per_second": ratio.rate, "p50": ratio.p50, "p99": ratio.p99 }));
    json!({
        "name": name(plan, number),
        "url": plan.targets.get(number).map(|target| target.url()),
        "seconds": measured.seconds.as_secs_f64(),
        "requests": tally.answered,
        "requests_per_second": measured.rate(),
        "rows_per_second": plan.request.rows.map(|rows| measured.rate() * rows as f64),
        "latency_us": latency_json(&tally.latency),
        "refusals": tally.refusals.count(),
        "refusal_latency_us": latency_json(&tally.refusals),
        "errors": tally.errors(),
        "statuses": statuses,
        "causes": causes,
        "first_error": tally.sample.as_deref().map(plain),
        "unsent": tally.unsent,
        "bytes_sent": tally.bytes_sent,
        "bytes_received": tally.bytes_received,
        "reconnections": tally.connections,
        "load_busy": measured.busy(),
        "ratio": ratio,
    })
}

fn latency_json(latencies: &Latencies) -> Json {
    let quantiles = QUANTILES
        .iter()
        .map(|(_, word, part)| (*word, latencies.quantile(*part)));
    let figures = quantiles.chain([("mean", latencies.mean())]);
    figures
        .map(|(word, latency)| (word.to_owned(), json!(latency.map(microseconds))))
        .collect::<Map<_, _>>()
        .into()
}

fn microseconds(latency: Duration) -> f64 {
    latency.as_nanos() as f64 / 1000.0
}

/// A number with as many digits as are of interest.
fn short(number: f64) -> String {
    if number < 100.0 {
        format!("{number:.1}")
    } else {
        format!("{number:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_line_up_on_the_right() {
        let rows = [
            ["connections", "server", "req/s"],
            ["8", "a", "12345"],
            ["64", "long", "7"],
        ];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec()).to_vec();
        let wanted = "connections  server  req/s\n          8  a       12345\n         64  long        7\n";
        assert_eq!(table(&right(rows)), wanted);
    }

    #[test]
    fn numbers_have_the_digits_of_interest() {
        assert_eq!(
            [0.0, 99.94, 100.4, 12_345.6].map(short),
            ["0.0", "99.9", "100", "12346"]
        );
    }
}
