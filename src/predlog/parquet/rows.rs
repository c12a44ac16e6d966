//! An open part with what it is for, and how entries become its rows.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parquet::errors::ParquetError;
use sha2::{Digest as _, Sha256};

use super::super::bundle::{self, Bundle};
use super::super::files::{Config, FEEDBACK, timestamp};
use super::super::json::{self, microseconds};
use super::super::record::{Entry, Feedback, Record};
use super::KIND;
use super::bundles;
use super::chunk::Room;
use super::column::{Column, Nesting};
use super::kind::Kind;
use super::part::{Lost, Part};
use super::run::Run;
use super::side::Side;
use crate::model::moment::Moment;

pub(super) const MICROS_A_DAY: i64 = 86_400_000_000;
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

/// What a part is of: that of the entries which it takes.
#[derive(Clone, Copy)]
pub(super) enum Like<'e> {
    Prediction(&'e Record),
    Feedback(&'e Feedback),
}

impl<'e> From<&'e Entry> for Like<'e> {
    fn from(entry: &'e Entry) -> Like<'e> {
        match entry {
            Entry::Prediction(record) => Like::Prediction(record),
            Entry::Feedback(feedback) => Like::Feedback(feedback),
        }
    }
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
        Column::of_random("request_id", Optional),
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

pub(super) fn day_of(time: Moment) -> i64 {
    time.micros().div_euclid(MICROS_A_DAY)
}

impl Open {
    /// A part for entries like this one; without `typed`, its values are JSON text.
    pub(super) fn new(like: Like<'_>, typed: bool, config: &Config, now: SystemTime) -> Open {
        match like {
            Like::Prediction(record) => Open::of_predictions(record, typed, config, now),
            Like::Feedback(feedback) => Open {
                part: Part::new(feedback_columns(), Vec::new(), now),
                folder: config.dir.join(FEEDBACK).join(date(feedback.time)),
                day: day_of(feedback.time),
                rows: Rows::Feedback,
            },
        }
    }

    fn of_predictions(record: &Record, typed: bool, config: &Config, now: SystemTime) -> Open {
        let schema = record.origin.signature.as_deref();
        let mut columns = prediction_columns();
        let inputs = schema.and_then(|schema| schema.inputs.as_ref());
        let (inputs, mut more) = Side::new("in", record.inputs.as_ref(), inputs, columns.len(), typed);
        columns.append(&mut more);
        let outputs = schema.and_then(|schema| schema.outputs.as_ref());
        let (outputs, mut more) = Side::new("out", record.outputs.as_ref(), outputs, columns.len(), typed);
        columns.append(&mut more);
        let mut notes = vec![
            ("model".to_owned(), record.origin.model.to_string()),
            ("version".to_owned(), record.origin.version.to_string()),
        ];
        notes.extend(inputs.notes("in"));
        notes.extend(outputs.notes("out"));
        let folder = config
            .dir
            .join(partition("model", &record.origin.model))
            .join(partition("version", &record.origin.version))
            .join(date(record.time));
        Open {
            part: Part::new(columns, notes, now),
            folder,
            day: day_of(record.time),
            rows: Rows::Predictions(Box::new(Of {
                model: record.origin.model.clone(),
                version: record.origin.version.clone(),
                inputs,
                outputs,
            })),
        }
    }

    /// Whether the part takes an entry. Counts the parts that are of the same version and day.
    pub(super) fn takes(&mut self, like: Like<'_>, shapes: &mut usize) -> bool {
        let same = |one: &Arc<str>, other: &Arc<str>| Arc::ptr_eq(one, other) || one == other;
        match (&mut self.rows, like) {
            (Rows::Feedback, Like::Feedback(feedback)) => self.day == day_of(feedback.time),
            (Rows::Predictions(of), Like::Prediction(record)) => {
                if self.day != day_of(record.time)
                    || !same(&of.version, &record.origin.version)
                    || !same(&of.model, &record.origin.model)
                {
                    return false;
                }
                *shapes += 1;
                let schema = record.origin.signature.as_deref();
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

    /// Appends predictions, of which [`Open::takes`] took the first, and says whether the part is full.
    pub(super) fn push(&mut self, run: &Run<'_>, now: SystemTime) -> bool {
        if let Rows::Predictions(of) = &self.rows {
            let columns = &mut self.part.columns;
            push_fixed(columns, run);
            of.inputs.push(columns, &run.inputs());
            of.outputs.push(columns, &run.outputs());
        }
        self.part.note(run.rows(), run.entries(), run.weight(), now)
    }

    /// Appends the predictions of a bundle, of which [`Open::takes`] took one; their times are given in microseconds. Says
    /// whether the part is full; `None` where it has no columns for them but text.
    pub(super) fn push_bundle(&mut self, bundle: &Bundle, times: &[i64], now: SystemTime) -> Option<bool> {
        let Rows::Predictions(of) = &self.rows else {
            return None;
        };
        if of.inputs.is_text() || of.outputs.is_text() {
            return None;
        }
        let columns = &mut self.part.columns;
        bundles::push_fixed(columns, bundle, times);
        of.inputs.push_bundle(columns, bundle, bundle::Side::Inputs);
        of.outputs.push_bundle(columns, bundle, bundle::Side::Outputs);
        let (rows, entries) = (bundle.rows(), bundle.len() as u64);
        Some(self.part.note(rows, entries, bundle.weight(), now))
    }

    /// Appends feedback that [`Open::takes`] took, and says whether the part is full.
    pub(super) fn push_feedback(&mut self, entry: &Entry, now: SystemTime) -> bool {
        if let Entry::Feedback(feedback) = entry {
            push_feedback(&mut self.part.columns, feedback);
        }
        self.part.note(1, 1, entry.weight(), now)
    }

    /// Writes what is in memory. After a failure the part must be left.
    pub(super) fn flush(&mut self, room: &mut Room) -> Result<(), Lost> {
        self.part.flush(&self.folder, KIND, room)
    }

    /// Writes what is in memory and gives the file its name.
    pub(super) fn close(mut self, room: &mut Room) -> Result<(), Lost> {
        match self.flush(room) {
            Ok(()) => self.part.finish(),
            Err(lost) => Err(self.salvage(lost)),
        }
    }

    /// Keeps what is whole of the file after this; says what is lost in all.
    pub(super) fn salvage(self, lost: Lost) -> Lost {
        Lost {
            entries: lost.entries + self.part.salvage(),
            ..lost
        }
    }

    /// Entries that are in memory only.
    pub(super) fn waiting(&self) -> u64 {
        self.part.waiting()
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
fn date(time: Moment) -> String {
    format!("date={}", timestamp(time.into()).strftime("%Y-%m-%d"))
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

fn push_fixed(columns: &mut [Column], run: &Run<'_>) {
    let [
        id,
        row,
        time,
        route,
        variant,
        shadow,
        digest,
        rows,
        request_id,
        assignment,
        routing_key,
        error_kind,
        error,
        decode,
        queue,
        predict,
        encode,
        total,
        params,
        ..,
    ] = columns
    else {
        return;
    };
    let int = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let (origin, count) = (run.origin(), run.rows());
    route.push_texts(origin.route.as_bytes(), count);
    variant.push_texts(origin.variant.as_bytes(), count);
    digest.push_texts(origin.digest.as_bytes(), count);
    // A column at a time: each is where it was left, and the processor has learnt what comes.
    for (record, at) in run.each() {
        id.push_id(record.id.as_bytes());
        row.push_i32(int(at));
        time.push_i64(record.time.micros());
        shadow.push_bool(origin.shadow);
        rows.push_i32(int(record.rows));
    }
    for (record, _) in run.each() {
        match record.request_id.as_deref() {
            Some(id) if id.is_ascii() => request_id.push_text(id),
            // A text in Parquet is UTF-8; a header need not be.
            Some(id) => request_id.push_text(String::from_utf8_lossy(id).as_bytes()),
            None => request_id.push_null(),
        }
        push_optional(routing_key, record.routing_key.as_deref());
    }
    for (record, _) in run.each() {
        let failure = record.error.as_ref();
        push_optional(assignment, record.assignment.label());
        push_optional(error_kind, failure.map(|error| error.kind));
        push_optional(error, failure.map(|error| error.message.as_str()));
    }
    for (record, _) in run.each() {
        let timing = &record.timing;
        decode.push_f64(microseconds(timing.decode));
        queue.push_f64(microseconds(timing.queue));
        predict.push_f64(microseconds(timing.predict));
        encode.push_f64(microseconds(timing.encode));
        total.push_f64(microseconds(timing.total));
        match &record.inputs {
            Some(inputs) if !inputs.params.is_empty() => {
                params.push_json(|out| json::write_params(out, &inputs.params));
            }
            _ => params.push_null(),
        }
    }
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
    time.push_i64(feedback.time.micros());
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
