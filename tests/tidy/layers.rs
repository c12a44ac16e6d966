//! The layers of the source tree.

/// What each top-level module may use of ours; the table of `src/ARCHITECTURE.md`.
pub const LAYERS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("telemetry", &[]),
    ("bench", &[]),
    ("flavor", &["model"]),
    ("routing", &["model"]),
    ("client", &["model", "telemetry"]),
    ("registry", &["model", "telemetry", "client"]),
    ("artifact", &["model", "telemetry", "client"]),
    ("predlog", &["model", "telemetry"]),
    ("experiment", &["model"]),
    ("batching", &["model", "flavor", "telemetry"]),
    (
        "deploy",
        &[
            "model",
            "routing",
            "registry",
            "artifact",
            "flavor",
            "batching",
            "telemetry",
        ],
    ),
    (
        "serve",
        &[
            "model",
            "routing",
            "experiment",
            "deploy",
            "batching",
            "predlog",
            "telemetry",
        ],
    ),
    ("protocol", &["model", "serve"]),
    (
        "http",
        &["model", "routing", "protocol", "serve", "deploy", "telemetry"],
    ),
    (
        "config",
        &[
            "model",
            "telemetry",
            "client",
            "registry",
            "artifact",
            "batching",
            "bench",
            "flavor",
            "routing",
            "predlog",
            "deploy",
            "protocol",
            "serve",
            "http",
            "predlog",
        ],
    ), // what it configures
    ("app", &["*"]),
    ("main", &["app", "config"]),
];
