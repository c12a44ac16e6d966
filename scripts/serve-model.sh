#!/usr/bin/env bash
# Serves a registered model on this machine: builds modelsd if needed, makes sure of ONNX Runtime, starts the server.
#
# usage: scripts/serve-model.sh NAME VERSION [--host HOST] [--port PORT] [further options of `modelsd serve`]
#   NAME      a model of the registry, such as iris
#   VERSION   a version (1), a stage (Production), latest, or an alias (@champion)
#
#   scripts/serve-model.sh iris 1
#   scripts/serve-model.sh iris @challenger --port 8080
#
# The registry is models/ of this repository, or the MLflow server that MLFLOW_REGISTRY_URI or MLFLOW_TRACKING_URI
# points to. MODELSD_HOST and MODELSD_PORT change the defaults 127.0.0.1 and 5001. Ctrl-C or SIGTERM ends the server after the requests in flight.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-target}
host=${MODELSD_HOST:-127.0.0.1}
port=${MODELSD_PORT:-5001}

say() { printf '%s\n' "$*" >&2; }

usage() { sed -n '2,/^set -e/{/^set -e/!s/^# \{0,1\}//p;}' scripts/serve-model.sh; }

list_models() {
  local folder
  say "models in this repository:"
  for folder in models/*/; do
    [ -d "$folder" ] || continue
    say "  $(basename "$folder"), version $(cd "$folder" && printf '%s\n' */ | tr -d / | sort -V | paste -sd ' ')"
  done
}

misused() {
  say "serve-model: $1"
  say "usage: scripts/serve-model.sh NAME VERSION [--host HOST] [--port PORT]   (-h tells more)"
  list_models
  exit 64
}

case ${1-} in -h | --help) usage; exit 0 ;; esac
[ $# -ge 2 ] || misused "a model name and a version, stage or @alias are needed"
name=$1 version=$2
shift 2
case $name in -*) misused "the model name comes first, \`$name\` is an option" ;; esac

options=()
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --host | --port | -p) [ $# -ge 2 ] || misused "$1 needs a value" ;;
  esac
  case $1 in
    --host) host=$2; shift ;;
    --port | -p) port=$2; shift ;;
    --host=*) host=${1#*=} ;;
    --port=*) port=${1#*=} ;;
    *) options+=("$1") ;;
  esac
  shift
done

case $version in
  @*) uri=models:/$name$version ;;
  *) uri=models:/$name/$version ;;
esac
# The address of a server stays in the environment, for it may hold a password and arguments are for all to see.
registry=./models from=./models
if [ -n "${MLFLOW_REGISTRY_URI:-${MLFLOW_TRACKING_URI:-}}" ]; then
  registry='' from="the MLflow server of ${MLFLOW_REGISTRY_URI:+MLFLOW_REGISTRY_URI}"
  [ -n "${MLFLOW_REGISTRY_URI:-}" ] || from="the MLflow server of MLFLOW_TRACKING_URI"
elif [ ! -d "models/$name" ]; then
  misused "there is no model \`$name\` in models/"
fi

# A request to show: the model's own example, of this version or of the newest that has one.
example_body() {
  local file body='{"inputs": [[1, 2, 3, 4]]}'
  if [ "$registry" = ./models ]; then
    for file in "models/$name/$version/serving_input_example.json" \
      $(printf '%s\n' "models/$name"/*/serving_input_example.json | sort -rV); do
      [ -f "$file" ] || continue
      # A line break of JSON is never inside a string, so joining the lines keeps the meaning.
      body=$(sed 's/^ *//' "$file" | tr -d '\r\n')
      break
    done
  fi
  printf '%s' "${body//\'/\'\\\'\'}"
}

if command -v cargo >/dev/null; then
  cargo build --release --locked --bin modelsd
elif [ ! -x "$target/release/modelsd" ]; then
  say "serve-model: cargo is not installed; get Rust from https://rustup.rs and run this again"
  exit 69
fi
if [ -z "${ORT_DYLIB_PATH:-}" ]; then
  scripts/fetch-onnxruntime.sh -q || say "serve-model: going on without ONNX Runtime"
fi

url=http://$host:$port
case $host in 0.0.0.0) url=http://127.0.0.1:$port ;; *:*) url="http://[$host]:$port" ;; esac
say "starting $uri from $from on $url"
say "when it is ready, try:"
say ""
say "curl -X POST $url/invocations -H 'Content-Type: application/json' -d '$(example_body)'"
say ""
[ -z "$registry" ] || options=(--registry "$registry" ${options[@]+"${options[@]}"})
exec "$target/release/modelsd" serve -m "$uri" --host "$host" --port "$port" ${options[@]+"${options[@]}"}
