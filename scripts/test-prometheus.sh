#!/usr/bin/env bash
# Makes sure of Prometheus and promtool, with which the tests check deploy/: unpacks Debian's package into .prometheus/ at
# the root of the repository, so that no service is started on the machine, and says what to do elsewhere.
#
# usage: scripts/test-prometheus.sh [--find | -h]
#   --find           prints the folder of the programs and installs nothing
#   PROMETHEUS_BIN   that folder, where it is neither .prometheus/usr/bin nor on the PATH
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

find_programs() {
  local folder
  for folder in ${PROMETHEUS_BIN:+"$PROMETHEUS_BIN"} "$PWD/.prometheus/usr/bin" \
    "$(dirname "$(command -v promtool || echo /none/promtool)")"; do
    if [ -x "$folder/prometheus" ] && [ -x "$folder/promtool" ]; then
      printf '%s\n' "$folder"
      return
    fi
  done
  return 1
}

case ${1-} in
  "") ;;
  --find) find_programs && exit 0
    echo "test-prometheus: there is no Prometheus (run scripts/test-prometheus.sh)" >&2; exit 69 ;;
  -h | --help) sed -n '2,/^set -e/{/^set -e/!s/^# \{0,1\}//p;}' "scripts/test-prometheus.sh"; exit 0 ;;
  *) echo "test-prometheus: unknown argument \`$1\` (see -h)" >&2; exit 64 ;;
esac
find_programs >/dev/null && exit 0

if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
  echo "test-prometheus: Prometheus is not installed (name the folder of prometheus and promtool in PROMETHEUS_BIN)" >&2
  exit 69
fi
echo "fetching Prometheus for the tests ..." >&2
rm -rf .prometheus
mkdir -p .prometheus/unpacked.tmp
# What apt tells is of interest only when it fails. Lists of packages may be missing or old; only root can renew them.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
fetch() { (cd .prometheus && apt-get download -qq prometheus) >>"$log" 2>&1; }
if ! fetch && ! { apt-get update -qq >>"$log" 2>&1 && fetch; }; then
  cat "$log" >&2
  echo "test-prometheus: apt has no Prometheus to give (as root: apt-get update, then again)" >&2
  exit 69
fi
dpkg-deb -x .prometheus/prometheus_*.deb .prometheus/unpacked.tmp
# Last, so that an installation cut short is made anew. The pages of its web interface stay out.
mkdir -p .prometheus/usr/bin
mv .prometheus/unpacked.tmp/usr/bin/prometheus .prometheus/unpacked.tmp/usr/bin/promtool .prometheus/usr/bin/
rm -rf .prometheus/unpacked.tmp .prometheus/prometheus_*.deb
find_programs >/dev/null || { echo "test-prometheus: the package has no prometheus or no promtool" >&2; exit 69; }
