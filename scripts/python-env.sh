#!/usr/bin/env bash
# Makes a Python environment from a file of requirements. Says and does nothing where it is there already. One that is there
# with other requirements stays until the new one is complete.
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
is_there() { cmp -s "$wanted" "$stamp" && "$into/bin/python" -c '' 2>/dev/null; }
is_there && exit 0

fail() { printf 'python-env: %s\n' "$1" >&2; exit 69; }
command -v "$python" >/dev/null || fail "\`$python\` is not installed (Debian: apt install python3 python3-venv)"
has() { "$python" -c "import $1" 2>/dev/null; }
has venv || fail "\`$python\` has no venv (Debian: apt install python3-venv)"
has pip || has ensurepip || fail "\`$python\` has neither pip nor python3-venv (Debian: apt install python3-venv)"

mkdir -p "$(dirname "$into")"
into=$(cd "$(dirname "$into")" && pwd)/$(basename "$into")
# Not descriptor 9, which is that of the lock of start.sh.
exec 8>"$into.lock"
if command -v flock >/dev/null; then
  flock -w 3600 8 || fail "another python-env.sh has been at work on $into for an hour: look at \`ps\`"
  # Somebody else may have made it meanwhile.
  is_there && exit 0
fi
echo "making a Python environment in $into (some minutes, once) ..." >&2
new=$into.new.$$
rm -rf "$into".new.* "$into".old.*
trap 'rm -rf "$new"' EXIT
if has pip; then
  # Without a pip of its own: that one is in another package of Debian, and the system's does as well.
  "$python" -m venv --without-pip "$new"
  pip=("$python" -m pip --python "$new/bin/python")
else
  "$python" -m venv "$new"
  pip=("$new/bin/python" -m pip)
fi
"${pip[@]}" install --quiet --disable-pip-version-check -r "$wanted" ||
  fail "pip could not install $wanted: see its message above; check the network, or set PIP_INDEX_URL to your own index"
# Its programs begin with the path of their Python.
"$new/bin/python" - "$new" "$into" 8>&- <<'PY'
import pathlib, sys
new, into = (text.encode() for text in sys.argv[1:])
folder = pathlib.Path(sys.argv[1])
for file in [folder / "pyvenv.cfg", *(folder / "bin").iterdir()]:
    if file.is_file() and not file.is_symlink() and new in (text := file.read_bytes()):
        file.write_bytes(text.replace(new, into))
PY
cp "$wanted" "$new/requirements.txt"
[ ! -e "$into" ] || mv "$into" "$into.old.$$"
mv "$new" "$into"
rm -rf "$into.old.$$"
