#!/usr/bin/env bash
# The virtual environment of the tree, from the locked versions. Quick when nothing changed.
set -euo pipefail
cd "$(dirname "$0")/.."
lock=requirements-dev.lock
stamp=.venv/.installed
want=$(sha256sum "$lock" | cut -d' ' -f1)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then exit 0; fi
for candidate in python3.13 python3.12 python3.11 python3; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "${python:-}" ] || { echo "polygraph needs Python 3.11 to 3.13" >&2; exit 1; }
echo "installing Python packages into .venv ($("$python" --version))"
"$python" -m venv .venv
.venv/bin/pip install --quiet --require-hashes --requirement "$lock"
.venv/bin/pip install --quiet --no-deps --no-build-isolation --editable .
echo "$want" > "$stamp"
