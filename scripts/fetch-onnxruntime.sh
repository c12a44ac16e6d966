#!/usr/bin/env bash
# Fetches the shared library of ONNX Runtime into .onnxruntime/ at the root of the repository, where modelsd finds it.
#
# usage: scripts/fetch-onnxruntime.sh [-h] [-q] [--force] [--into DIR]
#   -q          say nothing when there is nothing to do
#   --force     fetch again although the library is there
#   --into DIR  another folder than .onnxruntime/ (Dockerfile)
#
# The library comes out of the Python wheel onnxruntime==1.31.1, fetched with pip. It does not depend on the Python
# it was built for, so always the same wheel of an architecture is taken, and its SHA-256 is pinned below. Nothing is
# installed and no Python code of the wheel runs.
set -euo pipefail

version=1.31.1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-python3}
into=$root/.onnxruntime
quiet=no force=no

say() { printf '%s\n' "$*" >&2; }
fail() {
  say "fetch-onnxruntime: $1"
  shift
  for line in "$@"; do say "  $line"; done
  say "  or install onnxruntime $version yourself and set ORT_DYLIB_PATH to its libonnxruntime.so;"
  say "  without it modelsd still serves, with the slower engine tract, what tract can run"
  exit 1
}

while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) sed -n '2,/^set -e/{/^set -e/!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
    -q) quiet=yes ;;
    --force) force=yes ;;
    --into) [ $# -gt 1 ] || { say "fetch-onnxruntime: --into needs a folder"; exit 64; }; into=$2; shift ;;
    *) say "fetch-onnxruntime: unknown argument \`$1\` (see -h)"; exit 64 ;;
  esac
  shift
done

system=$(uname -s) machine=$(uname -m)
[ "$machine" = arm64 ] && machine=aarch64
case $system-$machine in
  Linux-x86_64) wheel_sha256=5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f ;;
  Linux-aarch64) wheel_sha256=da05378364c44d4407e463982d2bf8d5e4cfea873283757e48beeb41df97b7f3 ;;
  *) fail "no pinned wheel for $system on $machine" ;;
esac

library=$into/libonnxruntime.so
stamp=$into/wheel.sha256
if [ "$force" = no ] && [ -s "$library" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wheel_sha256" ]; then
  [ "$quiet" = yes ] || say "ONNX Runtime $version is in $into"
  exit 0
fi

command -v "$python" >/dev/null || fail "\`$python\` is not installed" "install Python 3 with pip (Debian: apt install python3-pip)"
"$python" -m pip --version >/dev/null 2>&1 || fail "\`$python\` has no pip" "install it (Debian: apt install python3-pip)"

say "fetching ONNX Runtime $version for $machine (24 MB) ..."
mkdir -p "$into"
work=$(mktemp -d "$into/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$work" \
  --implementation cp --python-version 311 --abi cp311 --platform "manylinux_2_28_$machine" \
  "onnxruntime==$version" ||
  fail "pip could not download onnxruntime==$version" "see pip's message above; check the network, or set PIP_INDEX_URL to your own index"

# Checks the wheel against the pinned hash, then unpacks the library and the licences it is distributed under.
"$python" - "$work" "$wheel_sha256" "$version" <<'PY' || fail "the downloaded wheel cannot be used" "run the script again; if it stays so, report it"
import glob, hashlib, os, shutil, sys, zipfile

work, pinned, version = sys.argv[1:]
(wheel,) = glob.glob(os.path.join(work, "*.whl"))
with open(wheel, "rb") as file:
    found = hashlib.sha256(file.read()).hexdigest()
if found != pinned:
    sys.exit(f"{os.path.basename(wheel)}: SHA-256 is {found}, expected {pinned}")
members = {
    f"onnxruntime/capi/libonnxruntime.so.{version}": "libonnxruntime.so",
    "onnxruntime/LICENSE": "LICENSE",
    "onnxruntime/ThirdPartyNotices.txt": "ThirdPartyNotices.txt",
}
with zipfile.ZipFile(wheel) as archive:
    for member, name in members.items():
        with archive.open(member) as source, open(os.path.join(work, name), "wb") as target:
            shutil.copyfileobj(source, target)
PY

# A rename in the same folder is atomic: a server that starts meanwhile sees the old library or the new one.
printf '%s\n' "$wheel_sha256" >"$work/wheel.sha256"
for name in LICENSE ThirdPartyNotices.txt libonnxruntime.so wheel.sha256; do
  mv -f "$work/$name" "$into/$name"
done
say "ONNX Runtime $version is in $into"
