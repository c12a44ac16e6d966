#!/usr/bin/env bash
# Says how each part is that scripts/start.sh started. The exit status is 0 when all are well, and 1 otherwise.
#
# usage: scripts/health-check.sh
#   PLATFORM_DIR   state folder, as of scripts/start.sh [.platform of the repository]
set -euo pipefail

name=health-check
# shellcheck source=scripts/platform-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/platform-lib.sh"

case ${1-} in
  "") ;;
  -h | --help) usage "${BASH_SOURCE[0]}"; exit 0 ;;
  *) say "health-check: unknown argument \`$1\` (see -h)"; exit 64 ;;
esac
settings
status=0

# report PART WELL|BAD ADDRESS WORDS
report() {
  printf '%-10s %-5s %s  %s\n' "$1" "$2" "$3" "$4"
  [ "$2" = ok ] || status=1
}

# is_well PART ADDRESS
is_well() {
  case $1 in
    postgres) "$(postgres_programs)/pg_isready" -q -h "${2%:*}" -p "${2##*:}" ;;
    mlflow) mlflow_is_well "$2" ;;
    modelsd) modelsd_is_well "$2" ;;
  esac
}

for part in postgres mlflow modelsd; do
  if [ ! -f "$state/$part.url" ]; then
    # SQLite is no part that could be down.
    [ "$part" = postgres ] || report "$part" DOWN "-" "not started (next: scripts/start.sh)"
    continue
  fi
  address=$(cat "$state/$part.url")
  if pid=$(running "$part"); then
    who="process $pid"
  elif [ -f "$state/$part.pid" ]; then
    report "$part" DOWN "$address" "its process has ended (next: $state/$part.log says why, scripts/start.sh starts it again)"
    continue
  else
    who="not started here"
  fi
  if is_well "$part" "$address"; then
    report "$part" ok "$address" "$who"
  else
    report "$part" DOWN "$address" "does not answer as it should, $who (next: read $state/$part.log)"
  fi
done

# What modelsd serves.
show='
import json, sys
for model in json.load(sys.stdin)["models"]:
    serving, error = model.get("serving"), model.get("last_error")
    text = "version " + (serving["version"] or "none") if serving else "nothing yet"
    if error:
        text += ", and cannot take another: " + str(error["reason"])
    print("  model", model["name"] + ":", text)
'
if [ -f "$state/modelsd.url" ]; then
  address=$(cat "$state/modelsd.url")
  if models=$(ask_modelsd "$address/api/models"); then
    printf '%s' "$models" | "$venv/bin/python" -c "$show"
  else
    tell_of_tokens "$address"
  fi
fi
exit "$status"
