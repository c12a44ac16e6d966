# shellcheck shell=bash
# What start.sh, stop.sh and health-check.sh share: the state folder, settings, and processes that are surely ours.
# Sourced, not run; `name` is the script that does.
#
# The state folder (.platform/ of the repository, or PLATFORM_DIR) holds, a file each: NAME.pid (a process that start.sh
# started), NAME.url (its address), NAME.log, and the data.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
name=${name:-platform}

say() { printf '%s\n' "$*" >&2; }

# fail CAUSE NEXT-STEP
fail() {
  say "$name: $1"
  [ -z "${2-}" ] || say "  next: $2"
  exit 69
}

usage() { sed -n '2,/^set -e/{/^set -e/!s/^# \{0,1\}//p;}' "$1"; }

# Takes what .env at the root of the repository (or PLATFORM_ENV_FILE) sets, but for what the environment has already. Values are text, nothing
# in them is expanded.
load_env() {
  local line key value file=${PLATFORM_ENV_FILE:-$root/.env}
  [ -f "$file" ] || return 0
  while IFS= read -r line || [ -n "$line" ]; do
    line=${line#export }
    [[ $line =~ ^[A-Za-z_][A-Za-z0-9_]*= ]] || continue
    key=${line%%=*} value=${line#*=}
    value=${value%$'\r'}
    case $value in
      \"*\" | \'*\') value=${value:1:${#value}-2} ;;
    esac
    [ -z "${!key+set}" ] && export "$key=$value"
  done <"$file"
  return 0
}

# settings: where things are, once the arguments are read.
settings() {
  load_env
  state=${PLATFORM_DIR:-$root/.platform}
  case $state in /*) ;; *) state=$PWD/$state ;; esac
  venv=${PLATFORM_VENV:-$root/.platform/venv}
}

# One of these scripts at a time. What is started must not keep the lock: it closes descriptor 9.
take_lock() {
  mkdir -p "$state" || fail "the state folder $state cannot be made" "name another in PLATFORM_DIR"
  exec 9>"$state/lock"
  command -v flock >/dev/null || return 0
  flock -w 1800 9 || fail "another start.sh or stop.sh has been at work on $state for half an hour" "look at \`ps\`"
}

# What tells a process from another that gets its number later: the boot, and when it started since.
birth_of() {
  local stat boot
  if [ -r "/proc/$1/stat" ]; then
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # The name, in brackets, may have spaces.
    stat=${stat##*) }
    boot=$(cat /proc/sys/kernel/random/boot_id)
    # The 22nd field; the first two went with the name. A process that has ended and is not yet waited for is none.
    # shellcheck disable=SC2086 # the fields are to be split
    set -- $stat
    [ "$1" != Z ] && printf '%s %s\n' "$boot" "${20}"
  else
    ps -o lstart= -p "$1" 2>/dev/null | grep .
  fi
}

# The number of the process that start.sh started as $1, if it runs.
running() {
  local pid birth
  [ -f "$state/$1.pid" ] || return 1
  { read -r pid && IFS= read -r birth; } <"$state/$1.pid" || return 1
  [ "$(birth_of "$pid")" = "$birth" ] || return 1
  printf '%s\n' "$pid"
}

# remember NAME PID
remember() {
  local birth
  birth=$(birth_of "$2") || return 1
  printf '%s\n%s\n' "$2" "$birth" >"$state/$1.pid.tmp"
  mv "$state/$1.pid.tmp" "$state/$1.pid"
}

# Whether somebody listens at HOST PORT. Never hangs, whatever a firewall does.
listens() { timeout 5 bash -c "exec 3<>/dev/tcp/\$0/\$1" "$1" "$2" 2>/dev/null; }

# The host of a URL that another process on this machine reaches an address at.
reachable() {
  case $1 in
    0.0.0.0 | "") printf '127.0.0.1' ;;
    ::) printf '[::1]' ;;
    *:*) printf '[%s]' "$1" ;;
    *) printf '%s' "$1" ;;
  esac
}

# Whether MLflow answers at URL.
mlflow_is_well() { [ "$(fetch "$1/health")" = OK ]; }

# An address without the user and password that may be in it.
without_user() { printf '%s' "$1" | sed 's,//[^/]*@,//,'; }

# The body of an answer of 200, with the Python that runs MLflow: curl is not on every machine. The status is 77 where it is
# for others only. What may be secret goes by the environment: arguments are for all to see.
fetch() {
  local python=$venv/bin/python
  [ -x "$python" ] || python=${PYTHON:-python3}
  FETCH_URL=$1 "$python" - 2>/dev/null <<'PY'
import base64, os, ssl, sys, urllib.error, urllib.parse, urllib.request
url = urllib.parse.urlsplit(os.environ["FETCH_URL"])
user, _, host = url.netloc.rpartition("@")
request = urllib.request.Request(url._replace(netloc=host).geturl())
token, authorities, identity = (os.environ.get("FETCH_" + name) for name in ("TOKEN", "CA", "IDENTITY"))
if user:
    user = base64.b64encode(urllib.parse.unquote(user).encode()).decode()
    request.add_header("Authorization", "Basic " + user)
if token:
    request.add_header("Authorization", "Bearer " + token)
tls = ssl.create_default_context(cafile=authorities or None)
if identity:
    tls.load_cert_chain(identity)
# What is asked is on this machine, or named by the user: no proxy.
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls))
try:
    sys.stdout.write(opener.open(request, timeout=30).read(1 << 24).decode())
except urllib.error.HTTPError as error:
    sys.exit(77 if error.code in (401, 403) else 1)
PY
}

# The same of modelsd, with the token and the files of TLS that the environment has for it.
ask_modelsd() {
  FETCH_TOKEN=${MODELSD_TOKEN:-${MODELSD_ADMIN_TOKEN:-}} FETCH_CA=${MODELSD_TLS_CA:-} \
    FETCH_IDENTITY=${MODELSD_TLS_IDENTITY:-} fetch "$1"
}

# Whether modelsd at URL serves, or has learnt that there is nothing to serve yet: then it is live, but not ready.
modelsd_is_well() {
  local program
  program=$(modelsd_program)
  "$program" health --url "$1" >/dev/null 2>&1 && return
  "$program" health --live --url "$1" >/dev/null 2>&1 && [[ $(models_at "$1") =~ ^(0|unknown)$ ]] &&
    awk '/^== started/ { told = 0 } /serving/ { told = 1 } END { exit !told }' "$state/modelsd.log"
}

# How many models modelsd at URL has, loaded or not; `unknown` where it tells that to others only.
models_at() {
  local models said=0
  models=$(ask_modelsd "$1/api/models") || said=$?
  case $said in
    0) printf '%s' "$models" | "$venv/bin/python" -c 'import json, sys; print(len(json.load(sys.stdin)["models"]))' 2>/dev/null ;;
    77) printf 'unknown\n' ;;
    *) return 1 ;;
  esac
}

# Says so where modelsd at URL does not tell these scripts what it serves.
tell_of_tokens() {
  [ "$(models_at "$1")" != unknown ] ||
    say "modelsd is live, and tells what it serves to tokens only: set MODELSD_TOKEN to one of the role read"
}

# The program: MODELSD_BIN, else what cargo builds.
modelsd_program() {
  local target=${CARGO_TARGET_DIR:-$root/target}
  case $target in /*) ;; *) target=$root/$target ;; esac
  printf '%s\n' "${MODELSD_BIN:-$target/release/modelsd}"
}

# Where Debian, or the user, has PostgreSQL's programs.
postgres_programs() { "$root/scripts/test-postgres.sh" --find 2>/dev/null; }

# Runs a command as the owner of our cluster: PostgreSQL refuses root.
as_postgres() {
  if [ "$(id -u)" = 0 ]; then
    (cd / && exec setpriv --reuid postgres --regid postgres --clear-groups -- "$@")
  else
    (cd / && exec "$@")
  fi
}
