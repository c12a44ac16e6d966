//! `modelsd records`: reads what `modelsd serve --record` wrote.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::time::Duration;

use anyhow::Context as _;
use hdrhistogram::Histogram;

use super::text::{moment, plain, table};
use crate::config::{RecordsAction, RecordsConfig};
use crate::predlog::{Filter, Reader, Row};

/// Between two looks for what came.
const LOOK: Duration = Duration::from_millis(500);
/// Answers that took longer count as this.
const LONGEST_NS: u64 = 3_600_000_000_000;

/// Carries out a command; the answer goes to `out`.
///
/// # Errors
/// When the record cannot be read, or the answer not be written.
pub(super) fn run(config: &RecordsConfig, out: &mut dyn Write) -> anyhow::Result<()> {
    let reader = Reader::new(&config.dir);
    let filter = &config.filter;
    match &config.action {
        RecordsAction::Export { to: None, .. } => export_lines(&reader, filter, out),
        RecordsAction::Export { to: Some(to), csv } => {
            let attempt = || format!("cannot write `{}`", to.display());
            // Asked before the file is made, so that a slip leaves none.
            reader.each(filter, |_| false)?;
            let mut file = BufWriter::new(File::create(to).with_context(attempt)?);
            if *csv {
                export_csv(&reader, filter, &mut file)?;
            } else {
                export_lines(&reader, filter, &mut file)?;
            }
            file.flush().with_context(attempt)
        }
        RecordsAction::Tail { lines, follow } => {
            // Followed from before the last entries are read: an entry may come twice, but none is left out.
            let mut tail = if *follow {
                Some(Reader::new(&config.dir).follow()?)
            } else {
                None
            };
            for row in reader.last(filter, *lines)? {
                write_line(&row, out).context("cannot write the answer")?;
            }
            while let Some(tail) = &mut tail {
                out.flush().context("cannot write the answer")?;
                std::thread::sleep(LOOK);
                let mut written = Ok(());
                tail.next(filter, |row| {
                    if written.is_ok() {
                        written = write_line(&row, out);
                    }
                })?;
                written.context("cannot write the answer")?;
            }
            Ok(())
        }
        RecordsAction::Stats => {
            let text = stats(&reader, filter)?;
            out.write_all(text.as_bytes()).context("cannot write the answer")
        }
    }
}

fn write_line(row: &Row, out: &mut dyn Write) -> io::Result<()> {
    let mut line = String::from("{");
    for (position, (name, value)) in row.fields.iter().enumerate() {
        if position > 0 {
            line.push_str(", ");
        }
        line.push_str(&serde_json::Value::from(name.as_str()).to_string());
        line.push_str(": ");
        line.push_str(value);
    }
    line.push_str("}\n");
    out.write_all(line.as_bytes())
}

fn export_lines(reader: &Reader, filter: &Filter, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut written = Ok(());
    reader.each(filter, |row| {
        written = write_line(&row, out);
        written.is_ok()
    })?;
    written.context("cannot write the answer")
}

/// Reads twice: the first line has the columns of all entries.
fn export_csv(reader: &Reader, filter: &Filter, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut names: Vec<String> = Vec::new();
    let mut known: HashSet<String> = HashSet::new();
    reader.each(filter, |row| {
        for (name, _) in row.fields {
            if known.insert(name.clone()) {
                names.push(name);
            }
        }
        true
    })?;
    let mut line = String::new();
    for name in &names {
        push_cell(&mut line, name);
    }
    let mut written = write_csv(&mut line, out);
    reader.each(filter, |row| {
        for name in &names {
            let value = row.get(name).unwrap_or_default();
            match value.starts_with('"').then(|| row.text(name)).flatten() {
                Some(text) => push_cell(&mut line, &text),
                None => push_cell(&mut line, value),
            }
        }
        written = write_csv(&mut line, out);
        written.is_ok()
    })?;
    written.context("cannot write the answer")
}

fn push_cell(line: &mut String, cell: &str) {
    if cell.contains(['"', ',', '\n', '\r']) {
        line.push('"');
        line.push_str(&cell.replace('"', "\"\""));
        line.push('"');
    } else {
        line.push_str(cell);
    }
    line.push(',');
}

fn write_csv(line: &mut String, out: &mut dyn Write) -> io::Result<()> {
    line.pop();
    line.push('\n');
    let written = out.write_all(line.as_bytes());
    line.clear();
    written
}

/// What is counted of one version.
struct Count {
    predictions: u64,
    rows: u64,
    errors: u64,
    feedback: u64,
    total_ns: Histogram<u64>,
    first: i64,
    last: i64,
}

fn stats(reader: &Reader, filter: &Filter) -> anyhow::Result<String> {
    let mut counts: BTreeMap<[String; 4], Count> = BTreeMap::new();
    let mut failed = None;
    reader.each(filter, |row| {
        // The further rows of a prediction.
        if row.get("row").is_some_and(|row| row != "0") {
            return true;
        }
        let key = ["route", "variant", "model", "version"].map(|name| row.text(name).unwrap_or_default());
        let count = match counts.entry(key) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                match Histogram::new_with_bounds(1, LONGEST_NS, 2) {
                    Ok(total_ns) => entry.insert(Count {
                        predictions: 0,
                        rows: 0,
                        errors: 0,
                        feedback: 0,
                        total_ns,
                        first: i64::MAX,
                        last: i64::MIN,
                    }),
                    Err(error) => {
                        failed = Some(error);
                        return false;
                    }
                }
            }
        };
        let time = row.time().unwrap_or_default();
        count.first = count.first.min(time);
        count.last = count.last.max(time);
        if row.get("type") == Some("\"feedback\"") {
            count.feedback += 1;
            return true;
        }
        let number = |name: &str| row.get(name).and_then(|value| value.parse::<f64>().ok());
        count.predictions += 1;
        count.rows += number("rows").unwrap_or_default() as u64;
        count.errors += u64::from(row.get("error_kind").or(row.get("error")).is_some());
        let total = number("total_us").unwrap_or_default() * 1e3;
        count.total_ns.saturating_record(total as u64);
        true
    })?;
    if let Some(error) = failed {
        return Err(error).context("cannot count");
    }
    let heading = [
        "ROUTE",
        "VARIANT",
        "MODEL",
        "VERSION",
        "PREDICTIONS",
        "ROWS",
        "ERRORS",
        "FEEDBACK",
        "P50 MS",
        "P99 MS",
        "FIRST",
        "LAST",
    ];
    let mut lines = vec![heading.map(str::to_owned).to_vec()];
    for (key, count) in &counts {
        let millis = |quantile| {
            if count.predictions == 0 {
                return "-".to_owned();
            }
            format!("{:.3}", count.total_ns.value_at_quantile(quantile) as f64 / 1e6)
        };
        let mut line: Vec<String> = key
            .iter()
            .map(|word| {
                if word.is_empty() {
                    "-".to_owned()
                } else {
                    plain(word)
                }
            })
            .collect();
        line.extend(
            [count.predictions, count.rows, count.errors, count.feedback].map(|count| count.to_string()),
        );
        line.extend([millis(0.5), millis(0.99)]);
        line.extend([count.first, count.last].map(|time| moment(time.div_euclid(1_000))));
        lines.push(line);
    }
    Ok(table(&lines))
}

#[cfg(test)]
mod tests;
