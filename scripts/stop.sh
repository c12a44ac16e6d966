#!/usr/bin/env bash
# Stops what scripts/start.sh started, and nothing else: modelsd, then MLflow, then PostgreSQL. Data is kept.
#
# usage: scripts/stop.sh [--reset]
#   --reset        also removes the data in the state folder: runs, models, artifacts, routes, cache and logs
#   PLATFORM_DIR   state folder, as of scripts/start.sh [.platform of the repository]
set -euo pipefail

name=stop
# shellcheck source=scripts/platform-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/platform-lib.sh"

reset=no
for argument in "$@"; do
  case $argument in
    -h | --help) usage "${BASH_SOURCE[0]}"; exit 0 ;;
    --reset) reset=yes ;;
    *) say "stop: unknown argument \`$argument\` (see -h)"; exit 64 ;;
  esac
done
settings
if [ ! -d "$state" ]; then
  say "nothing was started from $state"
  exit 0
fi
take_lock

# stop_part NAME SIGNAL SECONDS
stop_part() {
  local part=$1 pid deadline=$((SECONDS + $3))
  if pid=$(running "$part"); then
    say "stopping $part (process $pid) ..."
    kill -s "$2" "$pid" 2>/dev/null || true
    while running "$part" >/dev/null; do
      if [ "$SECONDS" -ge "$deadline" ]; then
        say "stop: $part has not ended within $3 seconds and is killed"
        # Its session, so that no worker of it is left.
        kill -s KILL -- "-$pid" 2>/dev/null || kill -s KILL "$pid" 2>/dev/null || true
        break
      fi
      sleep 0.1
    done
    stopped=yes
  fi
  rm -f "$state/$part.pid" "$state/$part.url"
}

stopped=no
stop_part modelsd TERM 60
stop_part mlflow TERM 60
# SIGINT ends the connections there are; SIGTERM would wait for them.
stop_part postgres INT 60
[ "$stopped" = yes ] || say "nothing runs that was started from $state"

if [ "$reset" = yes ]; then
  # By name, since the folder may be one that has other things too.
  for entry in mlflow.db mlflow.db-shm mlflow.db-wal artifacts postgres postgres.password cache modelsd.toml \
    modelsd.log mlflow.log postgres.log modelsd.log.1 mlflow.log.1 postgres.log.1; do
    rm -rf "${state:?}/$entry"
  done
  say "the data in $state is removed; what is kept elsewhere (MLFLOW_BACKEND_STORE_URI, MLFLOW_ARTIFACT_ROOT, POSTGRES_HOST) is not"
else
  say "the data in $state is kept; scripts/stop.sh --reset removes it"
fi
