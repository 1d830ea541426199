#!/bin/sh
# Sets up what Mizugiwa needs on Debian: packages, .venv, the map bundle. Idempotent, and quick when nothing is missing.
# usage: sh deploy/setup.sh run|test
set -eu
cd "$(dirname "$0")/.."
purpose=${1:-run}
state=.setup
mkdir -p "$state"

say() { printf '%s\n' "$*"; }
stop() { printf 'set-up stopped: %s\n' "$*" >&2; exit 1; }
present() { dpkg-query -W -f='${Status}\n' "$1" 2>/dev/null | grep -q '^install ok installed$'; }
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else
        stop "this needs root and there is no sudo; as root run: $*"; fi
}

# --- Debian packages -------------------------------------------------------------------------------------------------
command -v dpkg-query >/dev/null || stop "this is not Debian; install PostgreSQL with PostGIS and RabbitMQ yourself, then set DATABASE_URL and AMQP_URL"
python=$(command -v python3) || stop "python3 is missing; run: apt-get install python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || stop "$("$python" --version) is too old; Mizugiwa needs Python 3.11 or later"

missing=""
want() { # package, why
    present "$1" || { missing="$missing $1"; say "  $1: $2"; }
}
if [ -z "${DATABASE_URL:-}" ] && ! ls /usr/share/postgresql/*/extension/postgis.control >/dev/null 2>&1; then
    want postgresql-postgis "the database that keeps the picture (PostgreSQL with PostGIS)"
fi
if [ -z "${AMQP_URL:-}" ] && [ ! -x /usr/lib/rabbitmq/bin/rabbitmq-server ]; then
    want rabbitmq-server "the broker that carries observations and alerts"
fi
"$python" -c 'import ensurepip, venv' 2>/dev/null || want python3-venv "makes .venv, where the Python packages go"
if [ "$purpose" = test ]; then
    command -v chromium >/dev/null || want chromium "the browser that the tests drive"
    command -v openssl >/dev/null || want openssl "makes the certificate for the test of TLS"
    ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || want faketime "sets the clock of a process that is tested, and no other"
fi
if [ -n "$missing" ]; then
    say "Debian packages to install (listed above with their reasons):$missing"
    # The packages would start servers of their own on ports 5432 and 5672; Mizugiwa runs private ones instead.
    policy=/usr/sbin/policy-rc.d
    cluster=/etc/postgresql-common/createcluster.conf
    ours=""; ours_cluster=""
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null; as_root chmod 755 "$policy"; ours=yes
    fi
    if [ ! -e "$cluster" ]; then
        as_root mkdir -p "$(dirname "$cluster")"; echo 'create_main_cluster = false' | as_root tee "$cluster" >/dev/null; ours_cluster=yes
    fi
    tidy() {
        [ -z "$ours" ] || as_root rm -f "$policy"
        [ -z "$ours_cluster" ] || as_root rm -f "$cluster"
    }
    trap tidy EXIT
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q >"$state/apt.log" 2>&1 || stop "apt-get update failed; read $state/apt.log"
    # A configuration file of ours that a package brings too must not stop the installation with a question.
    # shellcheck disable=SC2086 # a list of words
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends -o Dpkg::Options::=--force-confold $missing >>"$state/apt.log" 2>&1 ||
        stop "apt-get install failed; read $state/apt.log"
    tidy; trap - EXIT
fi
if [ "$(id -u)" = 0 ] && ! getent passwd mizugiwa >/dev/null; then
    say "Account mizugiwa: PostgreSQL and RabbitMQ run as it, since they never run as root"
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin mizugiwa
fi

# --- Python packages -------------------------------------------------------------------------------------------------
extras=""; [ "$purpose" = run ] || extras="[test]"
stamp="$(cat pyproject.toml constraints.txt | sha256sum | cut -d' ' -f1) $("$python" --version) $(pwd)"
done_stamp="$state/python-$purpose"
[ "$purpose" = test ] || { [ -f "$state/python-test" ] && done_stamp="$state/python-test"; }
if [ ! -x .venv/bin/mizugiwa ] || [ "$(cat "$done_stamp" 2>/dev/null)" != "$stamp" ]; then
    say "Python packages into .venv, at the versions of constraints.txt (about a minute)"
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/python -m pip install -q -c constraints.txt --editable ".$extras" >"$state/pip.log" 2>&1 ||
        { tail -5 "$state/pip.log" >&2; stop "pip failed; read $state/pip.log"; }
    printf '%s' "$stamp" >"$state/python-$purpose"
fi

# --- The map bundle --------------------------------------------------------------------------------------------------
PYTHON=.venv/bin/python sh deploy/bundle.sh
