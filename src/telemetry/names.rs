//! Names and labels of metrics. Base units, `<crate>_<noun>[_<unit>][_total]`; labels are never free text.

/// Histogram, seconds: a request from its head to its encoded answer. Labels [`ROUTE`], [`VARIANT`], [`MODEL`], [`VERSION`], [`OUTCOME`].
pub const PREDICTION_SECONDS: &str = "modelsd_prediction_seconds";
/// Histogram, seconds: one stage of an answered request. Labels [`ROUTE`], [`VARIANT`], [`MODEL`], [`VERSION`], [`STAGE`].
pub const STAGE_SECONDS: &str = "modelsd_stage_seconds";
/// Counter: requests that reached a model. Labels [`ROUTE`], [`VARIANT`], [`MODEL`], [`VERSION`], [`OUTCOME`].
pub const REQUESTS_TOTAL: &str = "modelsd_requests_total";
/// Counter: rows of decoded requests. Labels [`ROUTE`], [`VARIANT`], [`MODEL`], [`VERSION`], [`OUTCOME`].
pub const ROWS_TOTAL: &str = "modelsd_rows_total";
/// Histogram, rows: one call of a model. Labels [`ROUTE`], [`VARIANT`], [`MODEL`], [`VERSION`].
pub const BATCH_ROWS: &str = "modelsd_batch_rows";
/// Counter: rows that came into line before a busy model. Labels [`ROUTE`], [`VARIANT`], [`MODEL`], [`VERSION`].
pub const QUEUE_ENQUEUED_ROWS_TOTAL: &str = "modelsd_queue_enqueued_rows_total";
/// Counter: rows that left the line, run or not. Labels [`ROUTE`], [`VARIANT`], [`MODEL`], [`VERSION`].
pub const QUEUE_DEQUEUED_ROWS_TOTAL: &str = "modelsd_queue_dequeued_rows_total";
/// Counter: copies of requests that a shadow was run on. Labels [`ROUTE`], [`VARIANT`], [`OUTCOME`].
pub const SHADOW_PREDICTIONS_TOTAL: &str = "modelsd_shadow_predictions_total";
/// Counter: rows in which a label of a shadow is another than the one that was answered. Labels [`ROUTE`], [`VARIANT`].
pub const SHADOW_DISAGREEMENTS_TOTAL: &str = "modelsd_shadow_disagreements_total";
/// Counter: rows of a shadow that were compared with those that were answered. Labels [`ROUTE`], [`VARIANT`].
pub const SHADOW_COMPARED_ROWS_TOTAL: &str = "modelsd_shadow_compared_rows_total";
/// Counter: copies that were dropped because too many waited for a shadow. Labels [`ROUTE`], [`VARIANT`].
pub const SHADOW_DROPPED_TOTAL: &str = "modelsd_shadow_dropped_total";
/// Histogram, a part of the larger number's size: the largest difference of a shadow's numbers from those that were
/// answered, of each row. Labels [`ROUTE`], [`VARIANT`].
pub const SHADOW_DIFFERENCE: &str = "modelsd_shadow_difference";
/// Histogram, seconds: a shadow's model on one copy. Labels [`ROUTE`], [`VARIANT`].
pub const SHADOW_SECONDS: &str = "modelsd_shadow_seconds";
/// Counter: copies of requests that a version on trial was run on, or that were dropped. Labels [`SLOT`], [`OUTCOME`].
pub const GATE_COPIES_TOTAL: &str = "modelsd_gate_copies_total";
/// Counter: rows of a version on trial that were compared with those that were answered. Label [`SLOT`].
pub const GATE_COMPARED_ROWS_TOTAL: &str = "modelsd_gate_compared_rows_total";
/// Counter: rows in which a version on trial disagrees with what was answered. Label [`SLOT`].
pub const GATE_DISAGREEMENTS_TOTAL: &str = "modelsd_gate_disagreements_total";
/// Counter: what became of versions at the gate. Labels [`SLOT`], [`OUTCOME`].
pub const GATE_VERSIONS_TOTAL: &str = "modelsd_gate_versions_total";
/// Gauge, 1 for the state in which the gate of a slot is. Labels [`SLOT`], [`STATE`].
pub const GATE_STATE: &str = "modelsd_gate_state";
/// Gauge: mean of about the last thousand predictions of a version that were recorded. Labels [`ROUTE`], [`VARIANT`], [`MODEL`], [`VERSION`].
pub const PREDICTION_MEAN: &str = "modelsd_prediction_mean";
/// Gauge: how many predictions that is. Labels [`ROUTE`], [`VARIANT`], [`MODEL`], [`VERSION`].
pub const PREDICTION_WINDOW_ROWS: &str = "modelsd_prediction_window_rows";
/// Gauge: mean of the first thousand predictions of a version. Labels [`ROUTE`], [`VARIANT`], [`MODEL`], [`VERSION`].
pub const PREDICTION_BASELINE_MEAN: &str = "modelsd_prediction_baseline_mean";
/// Gauge: their standard deviation. Labels [`ROUTE`], [`VARIANT`], [`MODEL`], [`VERSION`].
pub const PREDICTION_BASELINE_STDDEV: &str = "modelsd_prediction_baseline_stddev";
/// Counter: requests refused before or by a model. Label [`KIND`].
pub const REJECTED_TOTAL: &str = "modelsd_rejected_total";
/// Counter: requests refused by their head alone. Label [`REASON`]: `no_token`, `unknown_token`, `role`, `closed`,
/// `other_site`, `other_name`, `rate`.
pub const ACCESS_REFUSED_TOTAL: &str = "modelsd_access_refused_total";
/// Counter: readings of a changed file of tokens or certificates. Labels [`KIND`] (`tokens`, `tls`) and [`OUTCOME`] (`ok`,
/// `rejected`).
pub const CREDENTIALS_READ_TOTAL: &str = "modelsd_credentials_read_total";
/// Gauge, seconds since the epoch: when the certificate of the port ends.
pub const TLS_CERTIFICATE_EXPIRY_SECONDS: &str = "modelsd_tls_certificate_expiry_timestamp_seconds";
/// Counter: connections that came to speak TLS. Label [`CLIENT_CERTIFICATE`]: `shown`, `none`.
pub const TLS_CONNECTIONS_TOTAL: &str = "modelsd_tls_connections_total";
/// Counter: connections that never came to speak TLS.
pub const TLS_HANDSHAKES_FAILED_TOTAL: &str = "modelsd_tls_handshakes_failed_total";
/// Gauge: requests being worked on.
pub const IN_FLIGHT: &str = "modelsd_in_flight";
/// Gauge, 1 for the version that answers. Labels [`SLOT`], [`MODEL`], [`VERSION`].
pub const SERVING_VERSION: &str = "modelsd_serving_version";
/// Gauge, seconds since the epoch: when the registry last said what a slot should serve. Label [`SLOT`].
pub const REGISTRY_CONFIRMED_SECONDS: &str = "modelsd_registry_confirmed_timestamp_seconds";
/// Counter: questions to the registry. Label [`OUTCOME`]: `ok`, or `outage` when one of them was not answered.
pub const REGISTRY_POLLS_TOTAL: &str = "modelsd_registry_polls_total";
/// Counter: versions that were installed or not. Labels [`SLOT`], [`OUTCOME`] (`ok`, `rejected`, `outage`) and
/// [`STAGE`], the step at which it ended.
pub const RELOADS_TOTAL: &str = "modelsd_reloads_total";
/// Histogram, seconds: loading and proving a version. Label [`MODEL`].
pub const LOAD_SECONDS: &str = "modelsd_load_seconds";
/// Gauge: largest difference between a version's answers and those recorded beside it, relative to the larger of 1 and
/// the recorded one. Labels [`ROUTE`], [`VARIANT`], [`MODEL`], [`VERSION`].
pub const PARITY_DIFFERENCE: &str = "modelsd_parity_difference";
/// Counter: entries of the record that a sink took; of `otlp`, spans. Label [`SINK`].
pub const RECORDS_TOTAL: &str = "modelsd_records_total";
/// Counter: entries of the record that were dropped. Label [`REASON`]: `queue_full`, or `sink_failed`, then once for each
/// sink that lost them. Label [`SINK`] where one lost them; of `queue_full`, where its own queue was. Of
/// `otlp`, spans.
pub const RECORDS_DROPPED_TOTAL: &str = "modelsd_records_dropped_total";
/// Gauge: entries that wait to be written.
pub const RECORD_QUEUE: &str = "modelsd_record_queue";
/// Gauge, always 1. Label [`VERSION`]: modelsd's own.
pub const BUILD_INFO: &str = "modelsd_build_info";

/// Name of the route; that of the slot, for one that is no variant.
pub const ROUTE: &str = "route";
/// Name of the variant of the route; left out for a slot that is none.
pub const VARIANT: &str = "variant";
/// Registered name of the model.
pub const MODEL: &str = "model";
/// Version that answered, `none` outside a registry.
pub const VERSION: &str = "version";
/// `ok`, or the kind of the error.
pub const OUTCOME: &str = "outcome";
/// One of the eight words of a request's way.
pub const STAGE: &str = "stage";
/// Kind of an error.
pub const KIND: &str = "kind";
/// Name of the slot.
pub const SLOT: &str = "slot";
/// One of the five words for where a version stands at a gate.
pub const STATE: &str = "state";
/// Kind of a sink of the record.
pub const SINK: &str = "sink";
/// Whether a client has shown a certificate.
pub const CLIENT_CERTIFICATE: &str = "client_certificate";
/// Why something was dropped.
pub const REASON: &str = "reason";

/// Upper bounds of the buckets of every histogram in seconds: 5 µs to 60 s.
const SECONDS_BUCKETS: &[f64] = &[
    5e-6, 1e-5, 2e-5, 3e-5, 5e-5, 7.5e-5, 1e-4, 1.5e-4, 2e-4, 3e-4, 5e-4, 7.5e-4, 1e-3, 2e-3, 3e-3, 5e-3,
    1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0,
];

/// Upper bounds of the buckets of [`BATCH_ROWS`].
const ROWS_BUCKETS: &[f64] = &[
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0, 16384.0, 65536.0,
];

/// Upper bounds of the buckets of [`SHADOW_DIFFERENCE`].
const DIFFERENCE_BUCKETS: &[f64] = &[
    0.0, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0, 2.0,
];

/// Upper bounds of the buckets of a histogram.
pub(super) fn buckets(name: &str) -> &'static [f64] {
    match name {
        BATCH_ROWS => ROWS_BUCKETS,
        SHADOW_DIFFERENCE => DIFFERENCE_BUCKETS,
        _ => SECONDS_BUCKETS,
    }
}
