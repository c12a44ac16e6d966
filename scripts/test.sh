#!/usr/bin/env bash
# Sets up what the tests need and runs the gates and the tests. Wants Rust, gcc, Python 3 with pip, and Node with npm;
# PostgreSQL, Prometheus and Chromium it installs itself where it may.
#
# usage: scripts/test.sh [--full]    (as scripts/check)
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
for tool in cargo cc; do
  command -v "$tool" >/dev/null && continue
  echo "test: \`$tool\` is not installed (Rust: https://rustup.rs, a C compiler: apt install gcc)" >&2
  exit 69
done
# The tests compare the engines, so they cannot do without ONNX Runtime.
[ -n "${ORT_DYLIB_PATH:-}" ] || scripts/fetch-onnxruntime.sh
# Nor without the real servers that modelsd talks to.
scripts/test-python.sh
scripts/test-azurite.sh
scripts/test-postgres.sh
scripts/test-prometheus.sh
scripts/test-chromium.sh
exec scripts/check "$@"
