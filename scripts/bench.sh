#!/usr/bin/env bash
# Compares modelsd with a handler that has a fixed reply, with ONNX Runtime in a loop, with a naive server of ONNX
# Runtime, with `mlflow models serve` and MLServer, on the same models and requests, and with itself without batching;
# overloads it; and writes benches/RESULTS.md.
#
# usage: scripts/bench.sh [--quick] [-h]
#   --quick    without mlflow and MLServer, and without making a Python environment: cases whose model is not bundled are
#              left out unless an earlier run made .venv-bench
#   DURATION   seconds that each server is measured in each step [10]
#   WARM_UP    seconds of load before that [2]
#   OUT        file that is written [benches/RESULTS.md]
#   PORT       first of ten ports on 127.0.0.1 that are free [5950]
#   PYTHON     the Python that environments are made from, with pip [python3]
#
# Where there are two cores, servers run on the first and the load on the second. All servers of a case run side by side
# and are measured in turns of a second, so that the noise of the machine meets them alike; but idle servers take a
# little of the core, too. Leave the machine alone meanwhile.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
quick=no
case ${1-} in
  "") ;;
  --quick) quick=yes ;;
  -h | --help) sed -n '2,/^set -e/{/^set -e/!s/^# \{0,1\}//p;}' scripts/bench.sh; exit 0 ;;
  *) echo "bench: unknown argument \`$1\` (see -h)" >&2; exit 64 ;;
esac
duration=${DURATION:-10} warm_up=${WARM_UP:-2} out=${OUT:-benches/RESULTS.md}
port=${PORT:-5950} python=${PYTHON:-python3}
root=$PWD
work=$(mktemp -d)
started=()

say() { printf '%s\n' "$*" >&2; }

# Each server has a process group of its own, for some start others.
stop_servers() {
  local group
  for group in ${started[@]+"${started[@]}"}; do
    kill -TERM -- "-$group" 2>/dev/null || true
  done
  for group in ${started[@]+"${started[@]}"}; do
    wait "$group" 2>/dev/null || true
    kill -KILL -- "-$group" 2>/dev/null || true
  done
  started=()
}
finish() {
  stop_servers
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

server_core=() load_core=() pinned="nothing is pinned: there is one core, or no taskset"
if [ "$(nproc)" -ge 2 ] && command -v taskset >/dev/null; then
  server_core=(taskset -c 0) load_core=(taskset -c 1) pinned="servers on core 0, load on core 1, which never sleeps"
  # Else a server pays for waking the load: the slower it is, the more often, and in virtual machines much.
  export MODELSD_BENCH_SPIN=true
fi

start() { # LOG COMMAND...
  local log=$1
  shift
  setsid ${server_core[@]+"${server_core[@]}"} "$@" >"$log" 2>&1 </dev/null &
  started+=($!)
}

# Asks for 200 for up to two minutes, or until the server has ended.
wait_for() { # URL [FILE with a request]
  local end=$((SECONDS + 120)) body=()
  [ $# -lt 2 ] || body=(-H 'content-type: application/json' --data-binary "@$2")
  while [ "$SECONDS" -lt "$end" ]; do
    curl -sf -m 10 -o /dev/null ${body[@]+"${body[@]}"} "$1" && return
    kill -0 "${started[-1]}" 2>/dev/null || return 1
    sleep 0.2
  done
  return 1
}

# The answer to the request of a case goes to a file; fails unless it is 200.
ask() { # URL REQUEST ANSWER
  local status
  status=$(curl -s -m 60 -o "$3" -w '%{http_code}' -H 'content-type: application/json' --data-binary "@$2" "$1") || true
  [ "$status" = 200 ]
}

# Whether an answer has the numbers that it should have; says where not.
same() { # RIGHT ANSWER
  "$python" scripts/bench_check.py "$1" "$2"
}

# A Python environment that is made once.
environment() { # FOLDER REQUIREMENT...
  local folder=$1
  shift
  [ -f "$folder/complete" ] && return
  say "making the Python environment $folder (some minutes, once) ..."
  rm -rf "$folder"
  "$python" -m venv --without-pip "$folder" &&
    "$python" -m pip --python "$folder/bin/python" install --quiet --disable-pip-version-check "$@" >&2 &&
    touch "$folder/complete"
}

say "building ..."
yardstick=$(cargo build --release --locked --bench yardstick --message-format=json-render-diagnostics | "$python" -c '
import json, sys
artifacts = (json.loads(line) for line in sys.stdin)
print([one["executable"] for one in artifacts if one.get("target", {}).get("name") == "yardstick"][0])')
# Last, for the yardstick's build leaves a program behind that has the dependencies of tests.
cargo build --release --locked --bin modelsd
modelsd=$root/${CARGO_TARGET_DIR:-target}/release/modelsd
[ -n "${ORT_DYLIB_PATH:-}" ] || scripts/fetch-onnxruntime.sh -q || say "going on without ONNX Runtime"

absent=() mlflow=no mlserver=no
if [ "$quick" = yes ]; then
  absent+=("\`mlflow models serve\` and MLServer: left out by \`--quick\`.")
else
  if environment .venv-bench -r scripts/requirements.txt; then mlflow=yes; else
    absent+=("\`mlflow models serve\`: scripts/requirements.txt could not be installed from PyPI.")
  fi
  # Both run the models with the same releases.
  mapfile -t pins < <(grep -E '^(mlflow|numpy|onnx|onnxruntime|pandas|scikit-learn|scipy)==' scripts/requirements.txt)
  if environment .venv-mlserver mlserver==1.7.1 mlserver-mlflow==1.7.1 "${pins[@]}"; then
    mlserver=yes
  else
    absent+=("MLServer: mlserver 1.7.1 could not be installed from PyPI on $("$python" --version).")
  fi
fi
version() { "$1/bin/python" -c 'import importlib.metadata as m, sys; print(m.version(sys.argv[1]))' "$2"; }

mkdir -p "$work/iris" "$work/tables"
printf '{"inputs": [[5.1, 3.5, 1.4, 0.2]]}' >"$work/iris/request.json"
cp -r models/iris/1 "$work/iris/model"
cases=(iris)
if [ -x .venv-bench/bin/python ]; then
  .venv-bench/bin/python scripts/make_bench_models.py "$work" && cases+=(pipeline forest network)
else
  absent+=("The cases \`pipeline\`, \`forest\` and \`network\`, and overload: there is no .venv-bench to make their models with.")
fi

title() {
  case $1 in
    iris) echo "iris, logistic regression, \`inputs\`, 1 row of 4 numbers" ;;
    pipeline) echo "Pipeline with one-hot and boosted trees, \`dataframe_split\`, 1 row of 8 named columns, 2 of them strings" ;;
    forest) echo "Forest of 300 trees, 6 deep, \`inputs\`, 1,000 rows of 30 numbers" ;;
    network) echo "Network with three layers of 512, \`inputs\`, 1 row of 128 numbers" ;;
    overload) echo "Network with three layers of 2048, \`inputs\`, 1 row of 128 numbers" ;;
  esac
}

# A server becomes part of the comparison when it gives the right answer; else the table has a note.
compare() { # NAME URL REQUEST RIGHT LOG
  local name=$1 url=$2 request=$3 right=$4 log=$5
  if ! ask "$url" "$request" "$log.answer"; then
    echo "$name did not answer: $(head -c 200 "$log.answer" 2>/dev/null || tail -n 1 "$log")" >>"$notes"
  elif ! same "$right" "$log.answer" 2>"$log.differs"; then
    echo "$name is left out, for its answer is another: $(head -c 200 "$log.differs")" >>"$notes"
  else
    targets+=(--compare "$name=$url")
  fi
}

# Starts modelsd and waits until it answers; without that, or with a wrong answer, nothing is worth measuring.
modelsd_serves() { # CASE PORT ANSWER FLAG...
  local folder=$work/$1 port=$2 answer=$3 right=$work/$1/expected.json log=$work/$1/modelsd-$2.log
  shift 3
  MODELSD_CACHE_DIR=$work/cache start "$log" "$modelsd" serve -m "${model_of:-$folder/model}" --port "$port" "$@"
  if ! wait_for "http://127.0.0.1:$port/ping" ||
    ! ask "http://127.0.0.1:$port/invocations" "$folder/request.json" "$answer"; then
    say "bench: modelsd does not answer the case ${folder##*/}:"
    tail -n 5 "$log" >&2
    exit 1
  fi
  [ ! -f "$right" ] || same "$right" "$answer" || { say "bench: modelsd's answer is wrong"; exit 1; }
}

# All servers of a case are started, asked once, and measured in turns.
measure() { # CASE CONNECTIONS
  local case=$1 connections=$2 folder=$work/$1 answer=$work/$1/answer url=http://127.0.0.1
  local request=$folder/request.json notes=$folder/notes targets=() for_python=$work/$1/model
  : >"$notes"
  say "== $case"
  modelsd_serves "$case" "$port" "$answer" --engine ort
  start "$folder/fixed.log" "$yardstick" fixed-reply "127.0.0.1:$((port + 1))" "$answer"
  wait_for "$url:$((port + 1))/invocations" "$request" || { say "bench: the fixed reply does not start"; exit 1; }
  targets+=(--compare "modelsd=$url:$port/invocations")
  if [ "$case" = network ]; then
    modelsd_serves "$case" "$((port + 6))" "$answer.unbatched" --engine ort --max-batch-rows 1
    targets+=(--compare "modelsd, batching off=$url:$((port + 6))/invocations")
  else
    modelsd_serves "$case" "$((port + 8))" "$answer.native" --engine native
    targets+=(--compare "modelsd, native=$url:$((port + 8))/invocations")
  fi
  if [ -d "$folder/model-sklearn" ]; then
    model_of=$folder/model-sklearn modelsd_serves "$case" "$((port + 9))" "$answer.sklearn"
    targets+=(--compare "modelsd, scikit-learn=$url:$((port + 9))/invocations")
  fi
  if grep -q '^{"inputs"' "$request"; then
    start "$folder/naive.log" "$yardstick" naive "127.0.0.1:$((port + 7))" "$folder/model/model.onnx"
    wait_for "$url:$((port + 7))/ping" || true
    compare "naive server" "$url:$((port + 7))/invocations" "$request" "$answer" "$folder/naive.log"
  fi
  if [ -d "$folder/model-sklearn" ] && [ "$mlflow$mlserver" != nono ]; then
    for_python=$folder/model-sklearn
    echo "\`mlflow models serve\` and MLServer serve the same pipeline in MLflow's flavor for scikit-learn: the flavor for" \
      "ONNX fails on it, on text columns as pandas 3 holds them and on inputs of two axes." >>"$notes"
  fi
  if [ "$mlflow" = yes ]; then
    PATH=$root/.venv-bench/bin:$PATH MLFLOW_DISABLE_TELEMETRY=true start "$folder/mlflow.log" \
      mlflow models serve -m "$for_python" --env-manager local --host 127.0.0.1 --port "$((port + 2))" --workers 1
    wait_for "$url:$((port + 2))/ping" || true
    compare "mlflow models serve" "$url:$((port + 2))/invocations" "$request" "$answer" "$folder/mlflow.log"
  fi
  if [ "$mlserver" = yes ]; then
    mkdir "$folder/mlserver"
    printf '{"host": "127.0.0.1", "http_port": %s, "grpc_port": %s, "metrics_port": %s, "parallel_workers": 0, "debug": false}' \
      "$((port + 3))" "$((port + 4))" "$((port + 5))" >"$folder/mlserver/settings.json"
    printf '{"name": "model", "implementation": "mlserver_mlflow.MLflowRuntime", "parameters": {"uri": "%s"}}' \
      "$for_python" >"$folder/mlserver/model-settings.json"
    PATH=$root/.venv-mlserver/bin:$PATH MLFLOW_DISABLE_TELEMETRY=true start "$folder/mlserver.log" \
      mlserver start "$folder/mlserver"
    wait_for "$url:$((port + 3))/v2/health/ready" || true
    compare MLServer "$url:$((port + 3))/invocations" "$request" "$answer" "$folder/mlserver.log"
  fi
  # A server without a success ends the program with 1, after the report.
  ${load_core[@]+"${load_core[@]}"} "$modelsd" bench "fixed reply=$url:$((port + 1))/invocations" "${targets[@]}" \
    --body "$request" --concurrency "$connections" --duration "$duration" --warm-up "$warm_up" --json \
    >"$folder/report.json" || [ -s "$folder/report.json" ]
  stop_servers
  ${server_core[@]+"${server_core[@]}"} "$yardstick" in-process "$folder/model" "$request" "$duration" \
    >"$folder/in_process.json" || echo "ONNX Runtime could not be run in a loop." >>"$notes"
  "$python" scripts/bench_table.py "$(title "$case")" "$folder/report.json" "$folder/in_process.json" "$notes" \
    >"$work/tables/$case"
}

# Three times what modelsd can do.
overload() { # CASE
  local case=$1 folder=$work/$1
  say "== $case, overloaded"
  modelsd_serves "$case" "$port" "$folder/answer"
  printf '{"error_code": "TEMPORARILY_UNAVAILABLE", "message": "Try again later."}' >"$folder/refusal"
  start "$folder/fixed.log" "$yardstick" fixed-reply "127.0.0.1:$((port + 1))" "$folder/refusal"
  local fixed=${started[-1]}
  wait_for "http://127.0.0.1:$((port + 1))/invocations" "$folder/request.json" || { say "bench: the fixed reply does not start"; exit 1; }
  "$python" scripts/bench_overload.py "$(title "$case")" "$folder/request.json" "$duration" "$warm_up" \
    "http://127.0.0.1:$port" "http://127.0.0.1:$((port + 1))/invocations" "$fixed" "${server_core[*]-}" \
    ${load_core[@]+"${load_core[@]}"} "$modelsd" >"$work/tables/overload-$case"
  stop_servers
}

for case in "${cases[@]}"; do
  case $case in
    iris | network) measure "$case" 1,64 ;;
    forest) measure forest 1 ;;
    *) measure "$case" 64 ;;
  esac
done
if [ -d "$work/overload" ]; then
  for case in forest overload; do
    overload "$case"
    cases+=("overload-$case")
  done
fi

fact() { sed -n "s/^$1[[:space:]]*: //p" /proc/cpuinfo | head -n 1; }
{
  echo "# How fast modelsd is beside others"
  echo
  echo "Written by \`scripts/bench.sh\` on $(date -u +%Y-%m-%d). Closed loop, $duration s a server and step after $warm_up s of warm-up, in turns of a"
  echo "second. *fixed reply* is a bare axum handler with modelsd's answer to the same request: the limit. Ratios are to it, from"
  echo "the same run; the loop without a server ran by itself. *naive server*: axum, \`serde_json::Value\` and ONNX Runtime behind a"
  echo "lock, without checks, metrics, limits and swaps. *modelsd* runs ONNX Runtime (\`--engine ort\`), *modelsd, native* its own"
  echo "plans on the same ONNX file, *modelsd, scikit-learn* the pipeline as scikit-learn's own file."
  echo
  echo "| | |"
  echo "| --- | --- |"
  echo "| processor | $(fact 'model name'), $(nproc) cores; $pinned |"
  echo "| load average at the end | $(cut -d' ' -f1-3 /proc/loadavg) |"
  echo "| kernel | $(uname -sr) |"
  echo "| modelsd | $("$modelsd" --version), commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown), $(rustc --version) |"
  engine=$("$modelsd" inspect models/iris/1 | sed -n 's/^engine *//p')
  echo "| engine | $engine |"
  [ "$mlflow" = no ] || echo "| mlflow | $(version .venv-bench mlflow), onnxruntime $(version .venv-bench onnxruntime), $(.venv-bench/bin/python --version), 1 worker |"
  [ "$mlserver" = no ] || echo "| MLServer | $(version .venv-mlserver mlserver), mlserver-mlflow, onnxruntime $(version .venv-mlserver onnxruntime), no parallel workers |"
  echo
  for line in ${absent[@]+"${absent[@]}"}; do printf 'Not measured: %s\n\n' "$line"; done
  for case in "${cases[@]}"; do cat "$work/tables/$case"; done
} >"$work/results.md"
sed -e :a -e '/^\n*$/{$d;N;ba' -e '}' "$work/results.md" >"$out"
say "wrote $out"
