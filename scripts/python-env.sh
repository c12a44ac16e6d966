#!/usr/bin/env bash
# Makes a Python environment from a file of requirements. Says and does nothing where it is there already.
#
# usage: scripts/python-env.sh FOLDER REQUIREMENTS | -h
#   PYTHON   the Python it is made from (3.11 to 3.13, with pip or venv) [python3]
set -euo pipefail

case ${1-} in -h | --help) sed -n '2,/^set -e/{/^set -e/!s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}"; exit 0 ;; esac
if [ $# != 2 ] || [ ! -f "$2" ]; then
  echo "python-env: a folder and a file of requirements are needed (see -h)" >&2
  exit 64
fi
into=$1 wanted=$2
python=${PYTHON:-python3}
stamp=$into/requirements.txt
cmp -s "$wanted" "$stamp" && "$into/bin/python" -c '' 2>/dev/null && exit 0

fail() { printf 'python-env: %s\n' "$1" >&2; exit 69; }
command -v "$python" >/dev/null || fail "\`$python\` is not installed (Debian: apt install python3 python3-venv)"
has() { "$python" -c "import $1" 2>/dev/null; }
has venv || fail "\`$python\` has no venv (Debian: apt install python3-venv)"
has pip || has ensurepip || fail "\`$python\` has neither pip nor python3-venv (Debian: apt install python3-venv)"

echo "making a Python environment in $into (some minutes, once) ..." >&2
rm -rf "$into"
mkdir -p "$(dirname "$into")"
if has pip; then
  # Without a pip of its own: that one is in another package of Debian, and the system's does as well.
  "$python" -m venv --without-pip "$into"
  pip=("$python" -m pip --python "$into/bin/python")
else
  "$python" -m venv "$into"
  pip=("$into/bin/python" -m pip)
fi
"${pip[@]}" install --quiet --disable-pip-version-check -r "$wanted" ||
  fail "pip could not install $wanted: see its message above; check the network, or set PIP_INDEX_URL to your own index"
# Last, so that an environment cut short is made anew.
cp "$wanted" "$stamp"
