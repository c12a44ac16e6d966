//! The HTTP edge: bounds on what one client may take.

use super::{Check, ServeArgs, units};
use crate::http;
use crate::protocol::Limits;

impl Check<'_> {
    /// Checks the bounds of the HTTP edge.
    pub(super) fn edge(&mut self, args: &ServeArgs) -> http::Config {
        http::Config {
            max_body_bytes: self.parsed(
                "--max-body-bytes",
                &args.max_body_bytes,
                &[],
                "64MiB",
                units::bytes,
            ),
            max_header_bytes: self.parsed(
                "--max-header-bytes",
                &args.max_header_bytes,
                &[],
                "64KiB",
                units::header_bytes,
            ),
            max_connections: self
                .parsed(
                    "--max-connections",
                    &args.max_connections,
                    &[],
                    "10000",
                    units::count,
                )
                .get(),
            client_timeout: self.parsed(
                "--client-timeout",
                &args.client_timeout,
                &[],
                "30",
                units::seconds,
            ),
            shutdown_grace: self.parsed("--shutdown-grace", &args.shutdown_grace, &[], "30", units::grace),
            limits: Limits {
                depth: self.parsed("--max-json-depth", &args.max_json_depth, &[], "64", units::depth),
            },
        }
    }
}
