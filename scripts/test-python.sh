#!/usr/bin/env bash
# Makes the Python environments of the tests against real servers, at the root of the repository: .venv-test/ with what
# tests/requirements.txt pins, .venv-test-mlflow2/ with what tests/requirements-mlflow2.txt does, .venv-test-tools/ with what
# tests/requirements-tools.txt does, and .platform/venv/ of scripts/start.sh. Says and does nothing of those that are there
# already.
#
# usage: scripts/test-python.sh [-h]
#   PYTHON   the Python they are made from (3.11 to 3.13, with pip) [python3]
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
case ${1-} in
  "") ;;
  -h | --help) sed -n '2,/^set -e/{/^set -e/!s/^# \{0,1\}//p;}' "scripts/test-python.sh"; exit 0 ;;
  *) echo "test-python: unknown argument \`$1\` (see -h)" >&2; exit 64 ;;
esac

scripts/python-env.sh .venv-test tests/requirements.txt
scripts/python-env.sh .venv-test-mlflow2 tests/requirements-mlflow2.txt
scripts/python-env.sh .venv-test-tools tests/requirements-tools.txt
# What scripts/start.sh makes where it is not there.
scripts/python-env.sh .platform/venv scripts/requirements-platform.txt
