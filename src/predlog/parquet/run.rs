//! Predictions that go the same way: of one version and day, with batches of one form. They are looked at once and appended
//! column by column, which takes half of what one after the other does.

use std::sync::Arc;

use super::super::alike::are_alike;
use super::super::record::{Entry, Record};
use super::rows::day_of;
use crate::model::batch::Batch;
use crate::model::origin::Origin;

/// Runs that are looked through for one that takes a prediction.
const MAX_RUNS: usize = 16;

/// Predictions that go the same way, at least one.
pub(super) struct Run<'e> {
    first: &'e Entry,
    like: &'e Record,
    day: i64,
    /// Each row with its position in its prediction.
    rows: Vec<(&'e Record, usize)>,
    entries: u64,
    weight: usize,
}

/// All predictions, in runs.
pub(super) fn runs<'e>(entries: impl Iterator<Item = &'e Entry>) -> Vec<Run<'e>> {
    let mut runs: Vec<Run<'e>> = Vec::new();
    for entry in entries {
        let Entry::Prediction(record) = entry else {
            continue;
        };
        let day = day_of(record.time);
        let from = runs.len().saturating_sub(MAX_RUNS);
        let known = runs.iter_mut().skip(from).find(|run| run.takes(record, day));
        match known {
            Some(run) => run.add(entry, record),
            None => {
                let mut run = Run {
                    first: entry,
                    like: record,
                    day,
                    rows: Vec::new(),
                    entries: 0,
                    weight: 0,
                };
                run.add(entry, record);
                runs.push(run);
            }
        }
    }
    runs
}

impl<'e> Run<'e> {
    /// The first entry.
    pub(super) fn first(&self) -> &'e Entry {
        self.first
    }

    /// Who answered.
    pub(super) fn origin(&self) -> &'e Origin {
        &self.like.origin
    }

    /// Number of predictions.
    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

    /// About how much memory they take.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Each row with its position in its prediction.
    pub(super) fn each(&self) -> impl Iterator<Item = (&'e Record, usize)> {
        self.rows.iter().copied()
    }

    /// What went in, row by row.
    pub(super) fn inputs(&self) -> Vec<(Option<&'e Batch>, usize)> {
        let rows = self.rows.iter();
        rows.map(|(record, row)| (record.inputs.as_ref(), *row)).collect()
    }

    /// What came out, row by row.
    pub(super) fn outputs(&self) -> Vec<(Option<&'e Batch>, usize)> {
        let rows = self.rows.iter();
        rows.map(|(record, row)| (record.outputs.as_ref(), *row))
            .collect()
    }

    fn takes(&self, record: &Record, day: i64) -> bool {
        self.day == day
            && Arc::ptr_eq(&self.like.origin, &record.origin)
            && are_alike(self.like.inputs.as_ref(), record.inputs.as_ref())
            && are_alike(self.like.outputs.as_ref(), record.outputs.as_ref())
    }

    fn add(&mut self, entry: &Entry, record: &'e Record) {
        let count = |batch: &Option<Batch>| batch.as_ref().map_or(0, Batch::rows);
        // A prediction without values, or without rows, is a row too.
        let rows = count(&record.inputs).max(count(&record.outputs)).max(1);
        self.rows.extend((0..rows).map(|row| (record, row)));
        self.entries += 1;
        self.weight = self.weight.saturating_add(entry.weight());
    }
}
