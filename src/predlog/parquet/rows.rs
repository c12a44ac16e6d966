//! An open part with what it is for, and how entries become its rows.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parquet::errors::ParquetError;
use sha2::{Digest as _, Sha256};

use super::super::files::{Config, FEEDBACK, timestamp};
use super::super::json::{self, microseconds, since_epoch};
use super::super::record::{Entry, Feedback, Record};
use super::KIND;
use super::column::{Column, Kind, Nesting};
use super::part::{Lost, Part};
use super::side::Side;
use crate::model::batch::Batch;

const MICROS_A_DAY: i64 = 86_400_000_000;
/// What Hive calls a folder of nothing.
const NOTHING: &str = "__HIVE_DEFAULT_PARTITION__";
/// File systems allow 255 bytes.
const MAX_NAME: usize = 200;

/// An open part.
pub(super) struct Open {
    part: Part,
    folder: PathBuf,
    day: i64,
    rows: Rows,
}

/// What the rows of a part are.
enum Rows {
    Predictions(Box<Of>),
    Feedback,
}

/// What predictions of a part are of, and the columns of their values.
struct Of {
    model: Arc<str>,
    version: Arc<str>,
    inputs: Side,
    outputs: Side,
}

/// Positions of the columns that every prediction has.
mod at {
    pub(super) const ID: usize = 0;
    pub(super) const ROW: usize = 1;
    pub(super) const TIME: usize = 2;
    pub(super) const ROUTE: usize = 3;
    pub(super) const VARIANT: usize = 4;
    pub(super) const SHADOW: usize = 5;
    pub(super) const DIGEST: usize = 6;
    pub(super) const ROWS: usize = 7;
    pub(super) const REQUEST_ID: usize = 8;
    pub(super) const ASSIGNMENT: usize = 9;
    pub(super) const ROUTING_KEY: usize = 10;
    pub(super) const ERROR_KIND: usize = 11;
    pub(super) const ERROR: usize = 12;
    pub(super) const TIMING: usize = 13;
    pub(super) const PARAMS: usize = 18;
    pub(super) const INPUTS: usize = 19;
}

fn prediction_columns() -> Vec<Column> {
    use Nesting::{Optional, Required};
    vec![
        Column::new("prediction_id", Kind::Id, Required),
        Column::new("row", Kind::I32, Required),
        Column::new("time", Kind::Micros, Required),
        Column::of_words("route", Required),
        Column::of_words("variant", Required),
        Column::new("shadow", Kind::Bool, Required),
        Column::of_words("digest", Required),
        Column::new("rows", Kind::I32, Required),
        Column::new("request_id", Kind::Text, Optional),
        Column::of_words("assignment", Optional),
        Column::new("routing_key", Kind::Text, Optional),
        Column::of_words("error_kind", Optional),
        Column::new("error", Kind::Text, Optional),
        Column::new("decode_us", Kind::F64, Required),
        Column::new("queue_us", Kind::F64, Required),
        Column::new("predict_us", Kind::F64, Required),
        Column::new("encode_us", Kind::F64, Required),
        Column::new("total_us", Kind::F64, Required),
        Column::new("params", Kind::Json, Optional),
    ]
}

fn feedback_columns() -> Vec<Column> {
    use Nesting::Required;
    vec![
        Column::new("prediction_id", Kind::Id, Required),
        Column::new("time", Kind::Micros, Required),
        Column::of_words("kind", Required),
        Column::new("value", Kind::Json, Required),
        Column::of_words("route", Required),
        Column::of_words("variant", Required),
        Column::of_words("model", Required),
        Column::of_words("version", Required),
    ]
}

fn day_of(time: SystemTime) -> i64 {
    since_epoch(time).div_euclid(MICROS_A_DAY)
}

impl Open {
    /// A part for entries like this one; without `typed`, its values are JSON text.
    pub(super) fn new(entry: &Entry, typed: bool, config: &Config, now: SystemTime) -> Open {
        match entry {
            Entry::Prediction(record) => Open::of_predictions(record, typed, config, now),
            Entry::Feedback(feedback) => Open {
                part: Part::new(feedback_columns(), Vec::new(), now),
                folder: config.dir.join(FEEDBACK).join(date(feedback.time)),
                day: day_of(feedback.time),
                rows: Rows::Feedback,
            },
        }
    }

    fn of_predictions(record: &Record, typed: bool, config: &Config, now: SystemTime) -> Open {
        let schema = record.schema.as_deref();
        let mut columns = prediction_columns();
        let inputs = schema.and_then(|schema| schema.inputs.as_ref());
        let (inputs, mut more) = Side::new("in", record.inputs.as_ref(), inputs, columns.len(), typed);
        columns.append(&mut more);
        let outputs = schema.and_then(|schema| schema.outputs.as_ref());
        let (outputs, mut more) = Side::new("out", record.outputs.as_ref(), outputs, columns.len(), typed);
        columns.append(&mut more);
        let mut notes = vec![
            ("model".to_owned(), record.model.to_string()),
            ("version".to_owned(), record.version.to_string()),
        ];
        notes.extend(inputs.notes("in"));
        notes.extend(outputs.notes("out"));
        let folder = config
            .dir
            .join(partition("model", &record.model))
            .join(partition("version", &record.version))
            .join(date(record.time));
        Open {
            part: Part::new(columns, notes, now),
            folder,
            day: day_of(record.time),
            rows: Rows::Predictions(Box::new(Of {
                model: record.model.clone(),
                version: record.version.clone(),
                inputs,
                outputs,
            })),
        }
    }

    /// Whether the part takes an entry. Counts the parts that are of the same version and day.
    pub(super) fn takes(&mut self, entry: &Entry, shapes: &mut usize) -> bool {
        let same = |one: &Arc<str>, other: &Arc<str>| Arc::ptr_eq(one, other) || one == other;
        match (&mut self.rows, entry) {
            (Rows::Feedback, Entry::Feedback(feedback)) => self.day == day_of(feedback.time),
            (Rows::Predictions(of), Entry::Prediction(record)) => {
                if self.day != day_of(record.time)
                    || !same(&of.version, &record.version)
                    || !same(&of.model, &record.model)
                {
                    return false;
                }
                *shapes += 1;
                let schema = record.schema.as_deref();
                let (inputs, outputs) = (
                    schema.and_then(|schema| schema.inputs.as_ref()),
                    schema.and_then(|schema| schema.outputs.as_ref()),
                );
                of.inputs.takes(record.inputs.as_ref(), inputs)
                    && of.outputs.takes(record.outputs.as_ref(), outputs)
            }
            _ => false,
        }
    }

    /// Appends an entry that [`Open::takes`] took, and says whether the part is full.
    pub(super) fn push(&mut self, entry: &Entry, now: SystemTime) -> bool {
        let rows = match (&self.rows, entry) {
            (Rows::Predictions(of), Entry::Prediction(record)) => {
                let count = |batch: &Option<Batch>| batch.as_ref().map_or(0, Batch::rows);
                // A prediction without values, or without rows, is a row too.
                let rows = count(&record.inputs).max(count(&record.outputs)).max(1);
                for row in 0..rows {
                    push_record(&mut self.part.columns, record, row);
                    of.inputs
                        .push(&mut self.part.columns, record.inputs.as_ref(), row);
                    of.outputs
                        .push(&mut self.part.columns, record.outputs.as_ref(), row);
                }
                rows
            }
            (_, Entry::Feedback(feedback)) => {
                push_feedback(&mut self.part.columns, feedback);
                1
            }
            _ => return false,
        };
        self.part.note(rows, entry.weight(), now)
    }

    /// Writes what is in memory. After a failure the part must be left.
    pub(super) fn flush(&mut self) -> Result<(), Lost> {
        self.part.flush(&self.folder, KIND)
    }

    /// Writes what is in memory and gives the file its name.
    pub(super) fn close(mut self) -> Result<(), Lost> {
        match self.flush() {
            Ok(()) => self.part.finish(),
            Err(lost) => {
                self.salvage();
                Err(lost)
            }
        }
    }

    /// Keeps what is whole of the file.
    pub(super) fn salvage(self) {
        self.part.salvage();
    }

    /// What is lost because the file has gone, if it has.
    pub(super) fn lost(&self) -> Option<Lost> {
        (!self.part.is_there()).then(|| Lost {
            entries: self.part.all_entries(),
            error: ParquetError::General(format!("a file in `{}` has gone", self.folder.display())),
        })
    }

    /// About how much is in memory.
    pub(super) fn bytes(&self) -> usize {
        self.part.bytes()
    }

    /// Whether rows have waited this long.
    pub(super) fn waited(&self, now: SystemTime, long: Duration) -> bool {
        self.part.waited(now, long)
    }

    /// Whether the file is due to be closed.
    pub(super) fn is_due(&self, now: SystemTime, config: &Config) -> bool {
        self.part.is_due(now, config.max_file_age, config.max_file_bytes)
    }
}

/// The folder of a day.
fn date(time: SystemTime) -> String {
    format!("date={}", timestamp(time).strftime("%Y-%m-%d"))
}

/// The folder of one value, as Hive writes it: what has a meaning in paths is percent-encoded. A value that is too long
/// is cut, and told apart by its hash; it is whole in the files.
fn partition(key: &str, value: &str) -> PathBuf {
    let mut name = format!("{key}=");
    if value.is_empty() {
        name.push_str(NOTHING);
    }
    for character in value.chars() {
        if character.is_ascii_control() || "\"#%'*/:=?\\{}[]^<>|".contains(character) {
            name.push_str(&format!("%{:02X}", character as u32));
        } else {
            name.push(character);
        }
        if name.len() > MAX_NAME {
            let hash = Sha256::digest(value.as_bytes());
            let digits: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            name.push('-');
            name.push_str(&digits);
            break;
        }
    }
    Path::new(&name).to_owned()
}

fn push_record(columns: &mut [Column], record: &Record, row: usize) {
    let int = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let Some((fixed, _)) = columns.split_at_mut_checked(at::INPUTS) else {
        return;
    };
    let mut put = |at: usize, push: &mut dyn FnMut(&mut Column)| {
        if let Some(column) = fixed.get_mut(at) {
            push(column);
        }
    };
    put(at::ID, &mut |column| column.push_id(record.id.as_bytes()));
    put(at::ROW, &mut |column| column.push_i32(int(row)));
    put(at::TIME, &mut |column| column.push_i64(since_epoch(record.time)));
    put(at::ROUTE, &mut |column| column.push_text(record.route.as_bytes()));
    put(at::VARIANT, &mut |column| {
        column.push_text(record.variant.as_bytes())
    });
    put(at::SHADOW, &mut |column| column.push_bool(record.shadow));
    put(at::DIGEST, &mut |column| {
        column.push_text(record.digest.as_bytes())
    });
    put(at::ROWS, &mut |column| column.push_i32(int(record.rows)));
    put(at::REQUEST_ID, &mut |column| {
        // A text in Parquet is UTF-8; a header need not be.
        push_optional(
            column,
            record
                .request_id
                .as_deref()
                .map(String::from_utf8_lossy)
                .as_deref(),
        );
    });
    put(at::ASSIGNMENT, &mut |column| {
        push_optional(column, record.assignment.label())
    });
    put(at::ROUTING_KEY, &mut |column| {
        push_optional(column, record.routing_key.as_deref())
    });
    let error = record.error.as_ref();
    put(at::ERROR_KIND, &mut |column| {
        push_optional(column, error.map(|error| error.kind))
    });
    put(at::ERROR, &mut |column| {
        push_optional(column, error.map(|error| error.message.as_str()));
    });
    let timing = &record.timing;
    let times = [
        timing.decode,
        timing.queue,
        timing.predict,
        timing.encode,
        timing.total,
    ];
    for (position, time) in times.into_iter().enumerate() {
        put(at::TIMING + position, &mut |column| {
            column.push_f64(microseconds(time))
        });
    }
    put(at::PARAMS, &mut |column| match &record.inputs {
        Some(inputs) if !inputs.params.is_empty() => {
            column.push_json(|out| json::write_params(out, &inputs.params));
        }
        _ => column.push_null(),
    });
}

fn push_optional(column: &mut Column, text: Option<&str>) {
    match text {
        Some(text) => column.push_text(text.as_bytes()),
        None => column.push_null(),
    }
}

fn push_feedback(columns: &mut [Column], feedback: &Feedback) {
    let [id, time, kind, value, words @ ..] = columns else {
        return;
    };
    id.push_id(feedback.prediction_id.as_bytes());
    time.push_i64(since_epoch(feedback.time));
    kind.push_text(feedback.kind.as_bytes());
    value.push_json(|out| json::write_value(out, &feedback.value));
    let of = [
        &feedback.route,
        &feedback.variant,
        &feedback.model,
        &feedback.version,
    ];
    for (column, word) in words.iter_mut().zip(of) {
        column.push_text(word.as_bytes());
    }
}
