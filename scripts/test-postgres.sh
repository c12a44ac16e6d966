#!/usr/bin/env bash
# Makes sure of PostgreSQL's programs, with which the tests start a cluster of their own. Installs Debian's package as
# root, and says what to do otherwise.
#
# usage: scripts/test-postgres.sh [--find | -h]
#   --find   prints the folder of the programs and installs nothing
#   PG_BIN   that folder, where it is elsewhere than the package has it
set -euo pipefail

find_programs() {
  local folder
  # The newest of several.
  for folder in ${PG_BIN:+"$PG_BIN"} $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV) /usr/pgsql-*/bin \
    "$(dirname "$(command -v initdb || echo /none/initdb)")"; do
    if [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ]; then
      printf '%s\n' "$folder"
      return
    fi
  done
  return 1
}

case ${1-} in
  "") ;;
  --find) find_programs && exit 0
    echo "test-postgres: there is no initdb (run scripts/test-postgres.sh)" >&2; exit 69 ;;
  -h | --help) sed -n '2,/^set -e/{/^set -e/!s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}"; exit 0 ;;
  *) echo "test-postgres: unknown argument \`$1\` (see -h)" >&2; exit 64 ;;
esac
find_programs >/dev/null && exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "test-postgres: PostgreSQL is not installed (Debian: apt install postgresql; elsewhere name the folder of its" \
    "programs in PG_BIN)" >&2
  exit 69
fi
echo "installing PostgreSQL for the tests ..." >&2
# What installation tells is of interest only when it fails.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends postgresql; } \
  >"$log" 2>&1 || { cat "$log" >&2; exit 69; }
find_programs >/dev/null || { echo "test-postgres: apt installed no initdb; see PG_BIN in -h" >&2; exit 69; }
