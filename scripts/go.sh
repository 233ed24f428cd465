#!/usr/bin/env bash
# usage: scripts/go.sh VERSION    prints the path of a Go toolchain of at least VERSION, which it installs if need be.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/find-go.sh
source "$here/find-go.sh"
find_go "$1" "${XDG_CACHE_HOME:-$HOME/.cache}/polygraph" "$here/jaeger"
