//! Histograms that count where they stand.
//!
//! Those of the exporter keep every sample until they are asked or swept: 16 bytes each, six samples a request, which at
//! 60,000 requests a second is 6 MB a second of memory that is written once and is never warm. Here a sample is an
//! addition to the count of its bucket, and another one to the sum.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{HistogramFn, Key, KeyName, SharedString};
use metrics_exporter_prometheus::LabelSet;
use metrics_exporter_prometheus::formatting::{write_help_line, write_metric_line, write_type_line};

/// The samples of one series.
#[derive(Debug)]
struct Buckets {
    /// Upper bounds, rising; a sample that equals one is below it.
    bounds: &'static [f64],
    /// Samples in each bucket alone, and above the last bound.
    counts: Box<[AtomicU64]>,
    /// The bits of a float.
    sum: AtomicU64,
}

impl Buckets {
    fn new(bounds: &'static [f64]) -> Buckets {
        Buckets {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0f64.to_bits()),
        }
    }
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        self.record_many(value, 1);
    }

    fn record_many(&self, value: f64, count: usize) {
        // From the front, where most samples of a fast model are found sooner than by halves.
        let bucket = self.bounds.iter().take_while(|bound| **bound < value).count();
        if let Some(bucket) = self.counts.get(bucket) {
            bucket.fetch_add(count as u64, Ordering::Relaxed);
        }
        let added = value * count as f64;
        let add = |sum| Some((f64::from_bits(sum) + added).to_bits());
        // Never refused: `add` always has a value.
        let _ = self.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

/// All histograms of the process, by name.
#[derive(Debug)]
pub(super) struct Histograms {
    /// The bounds of a metric, by its name.
    bounds: fn(&str) -> &'static [f64],
    families: Mutex<BTreeMap<String, Family>>,
}

#[derive(Debug, Default)]
struct Family {
    description: Option<SharedString>,
    series: Vec<(Key, Arc<Buckets>)>,
}

impl Histograms {
    pub(super) fn new(bounds: fn(&str) -> &'static [f64]) -> Histograms {
        Histograms {
            bounds,
            families: Mutex::default(),
        }
    }

    pub(super) fn describe(&self, name: &KeyName, description: SharedString) {
        self.with_family(name.as_str(), |family| family.description = Some(description));
    }

    /// The series of that name and those labels; a new one unless there is one.
    pub(super) fn register(&self, key: &Key) -> metrics::Histogram {
        let bounds = (self.bounds)(key.name());
        let buckets = self.with_family(key.name(), |family| {
            if let Some((_, buckets)) = family.series.iter().find(|(known, _)| known == key) {
                return Arc::clone(buckets);
            }
            let buckets = Arc::new(Buckets::new(bounds));
            family.series.push((key.clone(), Arc::clone(&buckets)));
            buckets
        });
        metrics::Histogram::from_arc(buckets)
    }

    /// Appends all series, as Prometheus text.
    pub(super) fn render(&self, out: &mut String) {
        let families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, family) in families.iter() {
            if family.series.is_empty() {
                continue;
            }
            if let Some(description) = &family.description {
                write_help_line(out, name, None, None, description);
            }
            write_type_line(out, name, None, None, "histogram");
            for (key, buckets) in &family.series {
                let counts: Vec<u64> = buckets
                    .counts
                    .iter()
                    .map(|count| count.load(Ordering::Relaxed))
                    .collect();
                let total: u64 = counts.iter().sum();
                let labels = LabelSet::from_key_and_global(key, &Default::default());
                let mut below = 0;
                for (bound, count) in buckets.bounds.iter().zip(&counts) {
                    below += count;
                    let bound = Some(("le", bound));
                    write_metric_line(out, name, Some("bucket"), &labels, bound, below, None);
                }
                let all = Some(("le", "+Inf"));
                write_metric_line(out, name, Some("bucket"), &labels, all, total, None);
                let sum = f64::from_bits(buckets.sum.load(Ordering::Relaxed));
                write_metric_line::<&str, f64>(out, name, Some("sum"), &labels, None, sum, None);
                write_metric_line::<&str, u64>(out, name, Some("count"), &labels, None, total, None);
            }
            out.push('\n');
        }
    }

    fn with_family<T>(&self, name: &str, work: impl FnOnce(&mut Family) -> T) -> T {
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        if !families.contains_key(name) {
            families.insert(name.to_owned(), Family::default());
        }
        work(families.entry(name.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use metrics::{Label, Level, Metadata, Recorder};
    use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: &[f64] = &[0.5, 1.0, 2.5, 10.0];

    fn sorted(text: &str) -> Vec<&str> {
        let mut lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        lines.sort_unstable();
        lines
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_the_exporter_writes(
            samples in proptest::collection::vec((0..3usize, 0u32..48, 0..3usize), 0..60),
        ) {
            let exporter = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Prefix("rows".into()), BOUNDS)
                .unwrap()
                .build_recorder();
            let ours = Histograms::new(|_| BOUNDS);
            let description = || SharedString::from("Rows \\ of\na call");
            exporter.describe_histogram("rows".into(), None, description());
            ours.describe(&"rows".into(), description());
            let metadata = Metadata::new("", Level::INFO, None);
            for (series, quarters, count) in samples {
                let key = match series {
                    0 => Key::from_name("rows"),
                    1 => Key::from_parts("rows", vec![Label::new("model", "a \"b\"\\\n")]),
                    _ => Key::from_parts("rows_too", vec![Label::new("x", "1"), Label::new("y-z", "2")]),
                };
                // Quarters have exact sums in any order.
                let value = f64::from(quarters) / 4.0;
                exporter.register_histogram(&key, &metadata).record_many(value, count);
                ours.register(&key).record_many(value, count);
            }
            let mut text = String::new();
            ours.render(&mut text);
            let expected = exporter.handle().render();
            prop_assert_eq!(sorted(&text), sorted(&expected));
        }
    }

    #[test]
    fn samples_of_several_threads_are_all_counted() {
        let histograms = Histograms::new(|_| BOUNDS);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let histogram = histograms.register(&Key::from_name("rows"));
                    for _ in 0..10_000 {
                        histogram.record(1.0);
                    }
                });
            }
        });
        let mut text = String::new();
        histograms.render(&mut text);
        assert!(
            text.contains("rows_bucket{le=\"0.5\"} 0\nrows_bucket{le=\"1\"} 40000\n"),
            "{text}"
        );
        assert!(text.contains("rows_sum 40000\nrows_count 40000\n"), "{text}");
    }
}
