//! Features made of categories: one-hot tests, and numbers out of statistics of their combinations (CTR).

use std::collections::HashMap;

use crate::flavor::PredictError;
use crate::flavor::plan::value::{Form, Matrix, Value};
use crate::flavor::plan::{Inputs, Step};
use crate::flavor::refusal::{Refusal, refuse};

use super::model::{Counter, CounterKind, Projection, Rows, Table};

/// Multiplies the parts of a key.
const MULTIPLIER: u64 = 0x4906_ba49_4954_cb65;

/// Appends columns to the float features: 1 or 0 for each one-hot test, then the number of each counter.
///
/// Inputs: float features (`float32`), hashes of categories (`int64`).
pub(super) struct Counters {
    floats: usize,
    categories: usize,
    one_hots: Vec<(usize, i64)>,
    tables: Vec<Lookup>,
    counters: Vec<Counter>,
}

/// A table of statistics, ready to be asked.
struct Lookup {
    projection: Projection,
    /// The first table with the same projection, which has the same key.
    key_of: usize,
    kind: CounterKind,
    keys: HashMap<u64, u32>,
    rows: Rows,
    denominator: i32,
}

impl Counters {
    /// A step for tests of (category feature, hash), and for counters.
    ///
    /// # Errors
    /// When a feature, table, key or class does not exist.
    pub(super) fn new(
        (floats, categories): (usize, usize),
        one_hots: Vec<(usize, i32)>,
        tables: Vec<Table>,
        counters: Vec<Counter>,
    ) -> Result<Counters, Refusal> {
        for &(category, _) in &one_hots {
            if category >= categories {
                refuse!("category feature {category} of {categories}");
            }
        }
        let mut lookups: Vec<Lookup> = Vec::with_capacity(tables.len());
        for (number, table) in tables.into_iter().enumerate() {
            check_table(&table, floats, categories)
                .map_err(|refusal| refusal.within(format_args!("table {number} of counters")))?;
            let key_of = lookups
                .iter()
                .position(|other| other.projection == table.projection);
            lookups.push(Lookup {
                projection: table.projection,
                key_of: key_of.unwrap_or(number),
                kind: table.kind,
                keys: table.keys.into_iter().collect(),
                rows: table.rows,
                denominator: table.denominator,
            });
        }
        for (number, counter) in counters.iter().enumerate() {
            let Some(table) = lookups.get(counter.table) else {
                refuse!(
                    "counter {number} has table {} of {}",
                    counter.table,
                    lookups.len()
                );
            };
            if let (CounterKind::Borders | CounterKind::Buckets, Rows::Counts(classes, _)) =
                (table.kind, &table.rows)
                && (counter.border >= *classes || *classes < 2)
            {
                refuse!("counter {number} counts class {} of {classes}", counter.border);
            }
        }
        let one_hots = one_hots
            .into_iter()
            .map(|(category, hash)| (category, i64::from(hash)))
            .collect();
        Ok(Counters {
            floats,
            categories,
            one_hots,
            tables: lookups,
            counters,
        })
    }

    fn width(&self) -> usize {
        self.floats + self.one_hots.len() + self.counters.len()
    }

    /// Computes the appended columns of one row.
    fn row(
        &self,
        floats: &[f32],
        categories: &[i64],
        found: &mut Vec<(u64, Option<u32>)>,
        out: &mut Vec<f32>,
    ) {
        for &(category, hash) in &self.one_hots {
            out.push(f32::from(u8::from(categories.get(category) == Some(&hash))));
        }
        found.clear();
        for (number, table) in self.tables.iter().enumerate() {
            let key = match found.get(table.key_of) {
                Some(&(key, _)) if table.key_of < number => key,
                _ => key(&table.projection, floats, categories),
            };
            found.push((key, table.keys.get(&key).copied()));
        }
        for counter in &self.counters {
            let value = match (self.tables.get(counter.table), found.get(counter.table)) {
                (Some(table), Some(&(_, row))) => table.value(counter, row),
                _ => f32::NAN,
            };
            out.push(value);
        }
    }
}

fn check_table(table: &Table, floats: usize, categories: usize) -> Result<(), Refusal> {
    let projection = &table.projection;
    let of_categories = projection
        .categories
        .iter()
        .chain(projection.one_hots.iter().map(|(category, _)| category));
    for &category in of_categories {
        if category >= categories {
            refuse!("category feature {category} of {categories}");
        }
    }
    for &(float, _) in &projection.floats {
        if float >= floats {
            refuse!("float feature {float} of {floats}");
        }
    }
    let rows = table.rows.len();
    for &(_, row) in &table.keys {
        if row as usize >= rows {
            refuse!("row {row} of {rows}");
        }
    }
    Ok(())
}

/// The hash of the values of several features.
fn key(projection: &Projection, floats: &[f32], categories: &[i64]) -> u64 {
    let add = |key: u64, part: u64| MULTIPLIER.wrapping_mul(key.wrapping_add(MULTIPLIER.wrapping_mul(part)));
    let mut hash = 0;
    for &category in &projection.categories {
        hash = add(hash, categories.get(category).copied().unwrap_or(0) as u64);
    }
    for &(float, border) in &projection.floats {
        hash = add(
            hash,
            u64::from(floats.get(float).is_some_and(|&value| value > border)),
        );
    }
    for &(category, value) in &projection.one_hots {
        hash = add(
            hash,
            u64::from(categories.get(category) == Some(&i64::from(value))),
        );
    }
    hash
}

impl Lookup {
    /// The number of a counter for the row of statistics that was found; unknown keys have counts of zero.
    fn value(&self, counter: &Counter, row: Option<u32>) -> f32 {
        let (good, all) = match &self.rows {
            Rows::Means(means) => {
                let mean = row.and_then(|row| means.get(row as usize));
                mean.map_or((0.0, 0.0), |&(sum, count)| (sum, count as f32))
            }
            Rows::Counts(width, counts) => {
                let row = row.and_then(|row| counts.chunks_exact((*width).max(1)).nth(row as usize));
                let row = row.unwrap_or_default();
                let sum = |counts: &[i32]| counts.iter().map(|&count| i64::from(count)).sum::<i64>() as f32;
                match self.kind {
                    CounterKind::Buckets => (
                        sum(row.get(counter.border..=counter.border).unwrap_or_default()),
                        sum(row),
                    ),
                    CounterKind::Borders if *width == 2 => (sum(row.get(1..).unwrap_or_default()), sum(row)),
                    CounterKind::Borders => {
                        (sum(row.get(counter.border + 1..).unwrap_or_default()), sum(row))
                    }
                    _ => (sum(row), self.denominator as f32),
                }
            }
        };
        let (prior, denominator) = counter.prior;
        ((good + prior) / (all + denominator) + counter.shift) * counter.scale
    }
}

impl Step for Counters {
    fn describe(&self) -> String {
        format!(
            "{} one-hot tests and {} counters out of {} tables of {} categorical features",
            self.one_hots.len(),
            self.counters.len(),
            self.tables.len(),
            self.categories
        )
    }

    fn form(&self, inputs: &[Form]) -> Result<Form, String> {
        match inputs {
            [floats, categories]
                if *floats == Form::f32(self.floats) && *categories == Form::i64(self.categories) =>
            {
                Ok(Form::f32(self.width()))
            }
            _ => Err(format!("features expected, got {inputs:?}")),
        }
    }

    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError> {
        let (floats, categories) = (inputs.get(0)?.f32()?, inputs.get(1)?.i64()?);
        let (rows, width) = (categories.rows, self.width());
        let mut data = Vec::with_capacity(rows * width);
        let mut found = Vec::with_capacity(self.tables.len());
        for row in 0..rows {
            let floats = floats.data.get(row * self.floats..).unwrap_or_default();
            let floats = floats.get(..self.floats).unwrap_or_default();
            let categories = categories.data.get(row * self.categories..).unwrap_or_default();
            data.extend_from_slice(floats);
            self.row(floats, categories, &mut found, &mut data);
        }
        Ok(Value::F32(Matrix { rows, width, data }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(border: usize) -> Counter {
        Counter {
            table: 0,
            border,
            prior: (0.5, 1.0),
            shift: 0.0,
            scale: 15.0,
            borders: Vec::new(),
        }
    }

    fn lookup(kind: CounterKind, rows: Rows) -> Lookup {
        Lookup {
            projection: Projection::default(),
            key_of: 0,
            kind,
            keys: HashMap::new(),
            rows,
            denominator: 9,
        }
    }

    #[test]
    fn each_kind_counts_its_own_way() {
        let counts = || Rows::Counts(3, vec![9, 9, 9, 1, 2, 4]);
        let value = |kind, rows, border, row| lookup(kind, rows).value(&counter(border), row);
        assert_eq!(
            value(CounterKind::Borders, counts(), 0, Some(1)),
            6.5 / 8.0 * 15.0
        );
        assert_eq!(
            value(CounterKind::Borders, counts(), 1, Some(1)),
            4.5 / 8.0 * 15.0
        );
        assert_eq!(
            value(CounterKind::Buckets, counts(), 1, Some(1)),
            2.5 / 8.0 * 15.0
        );
        assert_eq!(
            value(CounterKind::Borders, Rows::Counts(2, vec![3, 4]), 0, Some(0)),
            4.5 / 8.0 * 15.0
        );
        assert_eq!(
            value(CounterKind::Counter, Rows::Counts(1, vec![3, 4]), 0, Some(1)),
            4.5 / 10.0 * 15.0
        );
        let means = Rows::Means(vec![(2.5, 5)]);
        assert_eq!(
            value(CounterKind::FloatTargetMeanValue, means, 0, Some(0)),
            3.0 / 6.0 * 15.0
        );
    }

    #[test]
    fn an_unknown_key_counts_nothing() {
        assert_eq!(
            lookup(CounterKind::Buckets, Rows::Counts(2, vec![3, 4])).value(&counter(1), None),
            0.5 / 1.0 * 15.0
        );
        assert_eq!(
            lookup(CounterKind::FeatureFrequency, Rows::Counts(1, vec![3])).value(&counter(0), None),
            0.5 / 10.0 * 15.0
        );
    }
}
