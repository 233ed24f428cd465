#!/usr/bin/env bash
# Jaeger v2 for the tests, built from the pinned module of scripts/jaeger into a cache outside the tree; prints
# the binary's path. Does nothing when it is there. From cold: about 8 CPU minutes, 2.5 GB of memory, 3 GB of disk.
set -euo pipefail
source=$(cd "$(dirname "$0")/jaeger" && pwd)
package=github.com/jaegertracing/jaeger/cmd/jaeger
version=$(sed -n 's/^require .*jaeger v//p' "$source/go.mod")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/polygraph
binary=$cache/jaeger-$version/jaeger
if [ -x "$binary" ]; then echo "$binary"; exit 0; fi

wanted=$(sed -n 's/^go //p' "$source/go.mod")
go=$("$(dirname "$0")/go.sh" "$wanted")

echo "building Jaeger $version with $("$go" env GOVERSION): minutes, once per machine" >&2
mkdir -p "${binary%/*}"
new=$binary.$$
trap 'rm -f "$new"' EXIT
cd "$source"
GOTOOLCHAIN=local GOFLAGS='-mod=readonly -buildvcs=false' CGO_ENABLED=0 \
    "$go" build -trimpath -ldflags '-s -w' -o "$new" "$package"
mv "$new" "$binary"  # atomic: a build that is cut off, or a second one beside it, leaves no half binary
echo "$binary"
