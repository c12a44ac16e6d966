#!/usr/bin/env bash
# Makes the Python environments of the tests against real servers, at the root of the repository: .venv-test/ with what
# tests/requirements.txt pins, and .venv-test-mlflow2/ with what tests/requirements-mlflow2.txt does. Says and does
# nothing of those that are there already.
#
# usage: scripts/test-python.sh [-h]
#   PYTHON   the Python they are made from (3.10 to 3.13, with pip) [python3]
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
case ${1-} in
  "") ;;
  -h | --help) sed -n '2,/^set -e/{/^set -e/!s/^# \{0,1\}//p;}' "scripts/test-python.sh"; exit 0 ;;
  *) echo "test-python: unknown argument \`$1\` (see -h)" >&2; exit 64 ;;
esac
python=${PYTHON:-python3}

# make FOLDER REQUIREMENTS
make() {
  local into=$1 wanted=$2
  local stamp=$into/requirements.txt
  cmp -s "$wanted" "$stamp" && "$into/bin/python" -c '' 2>/dev/null && return

  local module
  for module in pip venv; do
    "$python" -c "import $module" 2>/dev/null && continue
    echo "test-python: \`$python\` has no $module (Debian: apt install python3-pip python3-venv)" >&2
    exit 69
  done
  echo "making a Python environment of the tests in $into (some minutes, once) ..." >&2
  rm -rf "$into"
  # Without a pip of its own: that one is in another package of Debian, and the system's does as well.
  "$python" -m venv --without-pip "$into"
  "$python" -m pip --python "$into/bin/python" install --quiet --disable-pip-version-check -r "$wanted"
  # Last, so that an environment cut short is made anew.
  cp "$wanted" "$stamp"
}

make .venv-test tests/requirements.txt
make .venv-test-mlflow2 tests/requirements-mlflow2.txt
