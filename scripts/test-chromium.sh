#!/usr/bin/env bash
# Makes sure of what the tests of the page at / need: Chromium, with Debian's package where there is none, and what drives
# it and looks for barriers, in .page-test/ at the root of the repository. Says and does nothing of what is there already.
#
# usage: scripts/test-chromium.sh [--find | -h]
#   --find       prints the program and installs nothing
#   CHROMIUM     the program, where it is not on the PATH as chromium, chromium-browser or google-chrome
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

find_chromium() {
  local name
  for name in ${CHROMIUM:+"$CHROMIUM"} chromium chromium-browser google-chrome; do
    command -v "$name" && return
  done
  return 1
}

case ${1-} in
  "") ;;
  --find) find_chromium && exit 0
    echo "test-chromium: there is no Chromium (run scripts/test-chromium.sh)" >&2; exit 69 ;;
  -h | --help) sed -n '2,/^set -e/{/^set -e/!s/^# \{0,1\}//p;}' "scripts/test-chromium.sh"; exit 0 ;;
  *) echo "test-chromium: unknown argument \`$1\` (see -h)" >&2; exit 64 ;;
esac

if ! find_chromium >/dev/null; then
  if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
    echo "test-chromium: there is no Chromium (Debian: apt install chromium; elsewhere name it in CHROMIUM)" >&2
    exit 69
  fi
  echo "installing Chromium for the tests (a minute, once) ..." >&2
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium fonts-liberation >/dev/null
  find_chromium >/dev/null || { echo "test-chromium: the package has no chromium" >&2; exit 69; }
fi

packages="playwright-core@1.65.1 axe-core@4.14.1"
stamp=.page-test/packages
[ "$(cat "$stamp" 2>/dev/null)" = "$packages" ] && command -v node >/dev/null && exit 0
for tool in node npm; do
  command -v "$tool" >/dev/null && continue
  echo "test-chromium: there is no $tool (Debian: apt install nodejs npm)" >&2
  exit 69
done
rm -rf .page-test
# The names are words of their own.
# shellcheck disable=SC2086
npm install --prefix .page-test --silent --no-audit --no-fund --ignore-scripts $packages
# Last, so that an installation cut short is made anew.
printf '%s\n' "$packages" >"$stamp"
