#!/usr/bin/env bash
# Starts an MLflow tracking server and modelsd following it, waits until both are healthy, and prints their addresses. What
# runs already is left as it is. scripts/stop.sh stops what was started, scripts/health-check.sh says how it is.
#
# usage: scripts/start.sh [--postgres] [--host HOST] [--mlflow-port PORT] [--port PORT]
#   --postgres          keep runs and models in PostgreSQL, and not in SQLite; also when the three POSTGRES_ below are set
#   --host HOST         address both listen on [127.0.0.1]
#   --mlflow-port PORT  port of MLflow [5000]
#   --port PORT         port of modelsd [MODELSD_PORT, else 5001]
#
# Variables, also read from .env at the root of the repository (see .env.example):
#   MLFLOW_TRACKING_URI        an MLflow server elsewhere: then none is started, and modelsd follows that one
#   MLFLOW_BACKEND_STORE_URI   database of runs and models [SQLite in the state folder]
#   MLFLOW_ARTIFACT_ROOT       folder or address of the artifacts [in the state folder]
#   POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB, POSTGRES_HOST [127.0.0.1], POSTGRES_PORT [5432]
#                              the PostgreSQL to use; where none listens on this machine, one is started, of Debian's package
#   MODELSD_ALL_MODELS         stage or alias whose models modelsd serves [Production]
#   MODELSD_TLS_CERT, MODELSD_TLS_KEY, MODELSD_TLS_CA
#                              certificate and key of modelsd, and the authority that these scripts trust with it
#   MODELSD_TOKEN              token of the role read, with which they ask modelsd where it has a MODELSD_TOKEN_FILE
#   MODELSD_BIN                the program, instead of building it
#   PLATFORM_DIR               state folder: data, logs, process numbers [.platform of the repository]
#   PLATFORM_VENV              Python environment of MLflow [.platform/venv of the repository]
#   PLATFORM_ENV_FILE          file with these variables, instead of .env
#
# Routes for A/B go into modelsd.toml in the state folder; POST /api/config/reload has modelsd read them.
set -euo pipefail

name=start
# shellcheck source=scripts/platform-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/platform-lib.sh"

# Starting takes seconds on an idle machine, and minutes on one that has much else to do.
patience=600

misused() { say "start: $1"; say "usage: scripts/start.sh [--postgres] [--host HOST] [--mlflow-port PORT] [--port PORT]   (-h tells more)"; exit 64; }

postgres=no host='' mlflow_port=5000 port=''
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage "${BASH_SOURCE[0]}"; exit 0 ;;
    --postgres) postgres=yes ;;
    --host | --mlflow-port | --port)
      [ $# -ge 2 ] || misused "$1 needs a value"
      case $1 in --host) host=$2 ;; --mlflow-port) mlflow_port=$2 ;; --port) port=$2 ;; esac
      shift ;;
    *) misused "unknown argument \`$1\`" ;;
  esac
  shift
done
settings
host=${host:-127.0.0.1}
port=${port:-${MODELSD_PORT:-5001}}
for number in "$mlflow_port" "$port"; do
  [[ $number =~ ^[0-9]{1,5}$ && $number -ge 1 && $number -le 65535 ]] || misused "\`$number\` is no port"
done
[ "$mlflow_port" != "$port" ] || misused "MLflow and modelsd cannot both have port $port"
if [ -n "${POSTGRES_USER:-}" ] && [ -n "${POSTGRES_PASSWORD:-}" ] && [ -n "${POSTGRES_DB:-}" ]; then
  postgres=yes
fi

# === parts ===

# start_process NAME COMMAND…: in a session of its own, so that Ctrl-C at this terminal is not for it.
start_process() {
  local part=$1 pid
  shift
  # What is older than the last ten megabytes or so goes.
  [ "$(stat -c %s "$state/$part.log" 2>/dev/null || echo 0)" -lt 10000000 ] || mv "$state/$part.log" "$state/$part.log.1"
  printf '== started at %s\n' "$(date '+%F %T')" >>"$state/$part.log"
  (cd "$root" && exec nohup setsid "$@") >>"$state/$part.log" 2>&1 </dev/null 9>&- &
  pid=$!
  # One that has ended by now is told of by wait_until.
  remember "$part" "$pid" || rm -f "$state/$part.pid"
}

# wait_until NAME QUESTION…: until the question is answered with success, as long as the process lives.
wait_until() {
  local part=$1 deadline=$((SECONDS + patience))
  shift
  until "$@" >/dev/null 2>&1; do
    if ! running "$part" >/dev/null; then
      say "the end of $state/$part.log:"
      tail -n 15 "$state/$part.log" | sed 's/^/  | /' >&2
      rm -f "$state/$part.pid" "$state/$part.url"
      fail "$part has ended" "the lines above say why; then run scripts/start.sh again (what runs already is kept)"
    fi
    [ "$SECONDS" -lt "$deadline" ] ||
      fail "$part is not healthy after $patience seconds" "read $state/$part.log; scripts/stop.sh stops what was started"
    sleep 0.2
  done
}

# other_port NAME URL PORT: what runs already stays where it is.
other_port() {
  [ "${2##*:}" = "$3" ] || say "  and not on port $3: to have $1 there, scripts/stop.sh first"
}

# port_is_free NAME PORT FLAG
port_is_free() {
  listens "$(reachable "$host" | tr -d '[]')" "$2" || return 0
  local who=''
  command -v ss >/dev/null && who=$(ss -Hltnp "sport = :$2" 2>/dev/null | sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/ by \1 (process \2)/p' | head -n 1)
  fail "port $2, which $1 should have, is taken$who" "stop what listens there, or choose another port with $3"
}

quoted() { "$venv/bin/python" -c 'import sys, urllib.parse; print(urllib.parse.quote(sys.argv[1], safe=""))' "$1"; }

# Whether the database lets us in; what it says otherwise. The password is not an argument: those are for all to see.
asks_postgres() {
  PGPASSWORD=$POSTGRES_PASSWORD "$venv/bin/python" - "$POSTGRES_HOST" "$POSTGRES_PORT" "$POSTGRES_USER" "$POSTGRES_DB" <<'PY'
import sys, psycopg2
host, port, user, database = sys.argv[1:]
try:
    psycopg2.connect(host=host, port=port, user=user, dbname=database, connect_timeout=10).close()
except psycopg2.OperationalError as error:
    sys.exit(str(error).strip())
PY
}

# Starts a cluster of our own in the state folder.
start_cluster() {
  local programs made=yes data=$state/postgres
  "$root/scripts/test-postgres.sh" || fail "PostgreSQL is not installed" \
    "install it (Debian: apt install postgresql), or set POSTGRES_HOST and its like to a server that runs"
  programs=$(postgres_programs)
  if [ "$(id -u)" = 0 ]; then
    id postgres >/dev/null 2>&1 || fail "there is no user postgres, and PostgreSQL refuses to run as root" \
      "run scripts/start.sh as another user"
    mkdir -p "$data"
    as_postgres test -x "$data" || fail "the user postgres cannot enter $data" \
      "set PLATFORM_DIR to a folder that it may enter, such as /var/lib/modelsd-platform"
    chown postgres:postgres "$data"
  fi
  if [ ! -f "$data/cluster/PG_VERSION" ]; then
    say "making a PostgreSQL cluster in $data ..."
    mkdir -p "$data"
    # An unfinished one is made anew. Nobody else may read the file with the password, which goes at once.
    rm -rf "$data/new" "$data/password"
    (umask 077 && printf '%s\n' "$POSTGRES_PASSWORD" >"$data/password")
    [ "$(id -u)" != 0 ] || chown postgres:postgres "$data/password"
    as_postgres "$programs/initdb" -D "$data/new" -U "$POSTGRES_USER" --pwfile="$data/password" -A scram-sha-256 \
      -E UTF8 --locale=C.UTF-8 >>"$state/postgres.log" 2>&1 || made=no
    rm -f "$data/password"
    [ "$made" = yes ] || fail "initdb: $(tail -n 3 "$state/postgres.log")" "read $state/postgres.log"
    as_postgres mv "$data/new" "$data/cluster"
  fi
  say "starting PostgreSQL on 127.0.0.1:$POSTGRES_PORT ..."
  local as=()
  [ "$(id -u)" != 0 ] || as=(setpriv --reuid postgres --regid postgres --clear-groups --)
  start_process postgres ${as[@]+"${as[@]}"} "$programs/postgres" -D "$data/cluster" -k "$data" \
    -p "$POSTGRES_PORT" -c listen_addresses=127.0.0.1
  wait_until postgres listens 127.0.0.1 "$POSTGRES_PORT"
  printf '127.0.0.1:%s\n' "$POSTGRES_PORT" >"$state/postgres.url"
  wait_until postgres "$programs/pg_isready" -q -h 127.0.0.1 -p "$POSTGRES_PORT"
  # As -c it would not be one transaction, which CREATE DATABASE cannot be in; it may be there from an earlier start.
  PGPASSWORD=$POSTGRES_PASSWORD "$programs/createdb" -h 127.0.0.1 -p "$POSTGRES_PORT" -U "$POSTGRES_USER" "$POSTGRES_DB" \
    >>"$state/postgres.log" 2>&1 || true
}

# Finds or starts PostgreSQL, and sets MLFLOW_BACKEND_STORE_URI.
use_postgres() {
  local problem chosen=${POSTGRES_USER:-}
  if [ -z "$chosen" ]; then
    # Nobody else's: a cluster of our own, with a password that is made once.
    POSTGRES_USER=mlflow POSTGRES_DB=mlflow POSTGRES_HOST=127.0.0.1
    [ -s "$state/postgres.password" ] ||
      (umask 077 && od -An -N18 -tx1 /dev/urandom | tr -d ' \n' >"$state/postgres.password")
    POSTGRES_PASSWORD=$(cat "$state/postgres.password")
    if running postgres >/dev/null; then
      POSTGRES_PORT=$(sed 's/.*://' "$state/postgres.url")
    elif [ -z "${POSTGRES_PORT:-}" ]; then
      # Debian's package may have started a cluster of its own on the usual port.
      POSTGRES_PORT=5432
      while listens 127.0.0.1 "$POSTGRES_PORT" && [ "$POSTGRES_PORT" -lt 5442 ]; do POSTGRES_PORT=$((POSTGRES_PORT + 1)); done
    fi
  fi
  POSTGRES_HOST=${POSTGRES_HOST:-127.0.0.1} POSTGRES_PORT=${POSTGRES_PORT:-5432}
  POSTGRES_PASSWORD=${POSTGRES_PASSWORD:-} POSTGRES_DB=${POSTGRES_DB:-$POSTGRES_USER}
  case $POSTGRES_HOST in
    localhost | 127.0.0.1)
      if running postgres >/dev/null; then
        say "PostgreSQL runs already on $(cat "$state/postgres.url")"
      elif ! listens 127.0.0.1 "$POSTGRES_PORT"; then
        start_cluster
      elif [ -z "$chosen" ]; then
        fail "port $POSTGRES_PORT is taken, so PostgreSQL cannot be started on it" "choose another in POSTGRES_PORT"
      fi ;;
  esac
  problem=$(asks_postgres 2>&1) ||
    fail "the database $POSTGRES_DB at $POSTGRES_HOST:$POSTGRES_PORT is not to be had: $problem" \
      "check that PostgreSQL runs there, that the database exists, and POSTGRES_USER and POSTGRES_PASSWORD"
  MLFLOW_BACKEND_STORE_URI="postgresql+psycopg2://$(quoted "$POSTGRES_USER"):$(quoted "$POSTGRES_PASSWORD")@$POSTGRES_HOST:$POSTGRES_PORT/$(quoted "$POSTGRES_DB")"
}

start_mlflow() {
  local artifacts=${MLFLOW_ARTIFACT_ROOT:-$state/artifacts} pid
  if pid=$(running mlflow); then
    mlflow_url=$(cat "$state/mlflow.url")
    say "MLflow runs already on $mlflow_url (process $pid)"
    other_port MLflow "$mlflow_url" "$mlflow_port"
    wait_until mlflow mlflow_is_well "$mlflow_url"
    return
  fi
  mlflow_url=http://$(reachable "$host"):$mlflow_port
  port_is_free MLflow "$mlflow_port" --mlflow-port
  [ "$postgres" = no ] || [ -n "${MLFLOW_BACKEND_STORE_URI:-}" ] || use_postgres
  say "starting MLflow on $mlflow_url ..."
  # The address of the database may have a password: it goes by the environment. MLflow's own variables for its host and
  # port are those of modelsd too, so both are told by flags.
  MLFLOW_BACKEND_STORE_URI=${MLFLOW_BACKEND_STORE_URI:-sqlite:///$state/mlflow.db} \
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION=${MLFLOW_SERVER_ENABLE_JOB_EXECUTION:-false} \
    start_process mlflow env -u MLFLOW_TRACKING_URI -u MLFLOW_REGISTRY_URI -u MLFLOW_HOST -u MLFLOW_PORT \
    "$venv/bin/python" -m mlflow server --host "$host" --port "$mlflow_port" \
    --workers "${MLFLOW_WORKERS:-1}" --artifacts-destination "$artifacts"
  printf '%s\n' "$mlflow_url" >"$state/mlflow.url"
  wait_until mlflow mlflow_is_well "$mlflow_url"
}

make_program() {
  modelsd=$(modelsd_program)
  if [ -n "${MODELSD_BIN:-}" ]; then
    [ -x "$modelsd" ] || fail "MODELSD_BIN is $modelsd, which is no program" "unset it, and modelsd is built"
  elif command -v cargo >/dev/null; then
    # Some minutes, once.
    (cd "$root" && cargo build --release --locked --bin modelsd) ||
      fail "modelsd could not be built" "see cargo's message above; it needs a C compiler (apt install gcc)"
  elif [ ! -x "$modelsd" ]; then
    fail "cargo is not installed, and there is no $modelsd" "get Rust from https://rustup.rs"
  fi
  if [ -z "${ORT_DYLIB_PATH:-}" ]; then
    "$root/scripts/fetch-onnxruntime.sh" -q || say "start: going on without ONNX Runtime"
  fi
}

start_modelsd() {
  local pid
  if pid=$(running modelsd); then
    modelsd_url=$(cat "$state/modelsd.url")
    say "modelsd runs already on $modelsd_url (process $pid)"
    other_port modelsd "$modelsd_url" "$port"
  else
    modelsd_url=http${MODELSD_TLS_CERT:+s}://$(reachable "$host"):$port
    port_is_free modelsd "$port" --port
    make_program
    [ -f "$state/modelsd.toml" ] || cat >"$state/modelsd.toml" <<'TOML'
# Routes of modelsd, for A/B. After a change: curl -X POST http://127.0.0.1:5001/api/config/reload
TOML
    say "starting modelsd on $modelsd_url ..."
    # The address of MLflow may have a password.
    MLFLOW_TRACKING_URI=$mlflow_url MODELSD_CACHE_DIR=${MODELSD_CACHE_DIR:-$state/cache} \
      start_process modelsd env -u MLFLOW_HOST -u MLFLOW_PORT -u MLFLOW_REGISTRY_URI "$modelsd" \
      serve --all-models "${MODELSD_ALL_MODELS:-Production}" --config "$state/modelsd.toml" \
      --host "$host" --port "$port" --poll-interval "${MODELSD_POLL_INTERVAL:-2}"
    printf '%s\n' "$modelsd_url" >"$state/modelsd.url"
  fi
  wait_until modelsd modelsd_is_well "$modelsd_url"
  tell_of_tokens "$modelsd_url"
}

# === in order ===

take_lock
needs=$root/scripts/requirements-platform.txt
# MLflow loads parts of its environment when it first wants them.
if running mlflow >/dev/null && [ -x "$venv/bin/python" ]; then
  cmp -s "$needs" "$venv/requirements.txt" ||
    say "MLflow runs with an older Python environment: scripts/stop.sh, and the next start makes it anew"
else
  "$root/scripts/python-env.sh" "$venv" "$needs" ||
    fail "MLflow's Python environment could not be made" "see the message above, then run scripts/start.sh again"
fi
ours=http://$(reachable "$host"):$mlflow_port
if running mlflow >/dev/null; then ours=$(cat "$state/mlflow.url"); fi
case ${MLFLOW_TRACKING_URI:-$ours} in
  "$ours" | "$ours/" | "http://localhost:$mlflow_port" | "http://127.0.0.1:$mlflow_port") start_mlflow ;;
  http://* | https://*)
    mlflow_url=${MLFLOW_TRACKING_URI%/}
    # It may have a password in it.
    shown=$(without_user "$mlflow_url")
    mlflow_is_well "$mlflow_url" || fail "MLFLOW_TRACKING_URI is $shown, where no MLflow server answers" \
      "unset it to have one started here, or check the server and its credentials"
    say "following the MLflow server of MLFLOW_TRACKING_URI, $shown"
    printf '%s\n' "$shown" >"$state/mlflow.url" ;;
  *)
    fail "MLFLOW_TRACKING_URI is no address of a server (http://HOST:PORT)" \
      "unset it to have a server started here; for a database use MLFLOW_BACKEND_STORE_URI" ;;
esac
start_modelsd

mlflow_url=$(cat "$state/mlflow.url")
say ""
printf 'MLflow   %s\n' "$mlflow_url"
printf 'modelsd  %s\n' "$modelsd_url"
say ""
say "models in ${MODELSD_ALL_MODELS:-Production} are served at $modelsd_url/models/NAME/invocations; logs are in $state"
say "next: $venv/bin/python scripts/examples/iris_ab.py; scripts/health-check.sh; scripts/stop.sh"
