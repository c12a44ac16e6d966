#!/usr/bin/env bash
# Installs Azurite, Microsoft's stand-in for Azure's storage, into .azurite/ at the root of the repository, for the tests.
# Says and does nothing when it is there already.
#
# usage: scripts/test-azurite.sh [-h]
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
case ${1-} in
  "") ;;
  -h | --help) sed -n '2,/^set -e/{/^set -e/!s/^# \{0,1\}//p;}' "scripts/test-azurite.sh"; exit 0 ;;
  *) echo "test-azurite: unknown argument \`$1\` (see -h)" >&2; exit 64 ;;
esac

version=3.35.0
stamp=.azurite/version
[ "$(cat "$stamp" 2>/dev/null)" = "$version" ] && command -v node >/dev/null && exit 0
for tool in node npm; do
  command -v "$tool" >/dev/null && continue
  echo "test-azurite: there is no $tool (Debian: apt install nodejs npm)" >&2
  exit 69
done
echo "installing Azurite for the tests (half a minute, once) ..." >&2
rm -rf .azurite
npm install --prefix .azurite --silent --no-audit --no-fund --ignore-scripts "azurite@$version"
# Last, so that an installation cut short is made anew.
printf '%s\n' "$version" >"$stamp"
