#!/usr/bin/env bash
# usage: scripts/kernels.sh [SERIES...]    (default: 6.1 6.12 7.3)
# The kernels that tests/vm boots, and what is needed to boot them. Quick when all is there.
#
# A point release leaves the mirror when the next one comes, so the newest of each series is taken and its
# exact release printed. Everything lies in ${XDG_CACHE_HOME:-~/.cache}/polygraph/kernels/SERIES:
#   release      what `uname -r` says in the guest
#   vmlinuz
#   modules/     linked from /lib/modules/RELEASE, because the guest's root file system is the host's
# To take a newer point release, remove that folder.
set -euo pipefail
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- 6.1 6.12 7.3
cache=${XDG_CACHE_HOME:-$HOME/.cache}/polygraph/kernels
PATH=$PATH:/usr/sbin:/sbin

./install-system.sh busybox-static e2fsprogs iproute2 kmod qemu-system-x86

sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo)
work=
trap '[ -z "$work" ] || rm -rf "$work"' EXIT

# apt with package lists of its own: the machine's configuration (mirror, proxy, keys) is used, not changed.
apt_private() {
    "$@" -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User="$(id -un)"
}

prepare() {
    [ -z "$work" ] || return 0
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/.work.XXXXXX")
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
    local mirror suite
    mirror=$(apt-get indextargets --format '$(LABEL) $(SITE)' 'Created-By: Packages' | sed -n '/^Debian /{s///p;q}')
    if [ -z "$mirror" ]; then # the labels are known only once the lists were fetched
        "${sudo[@]}" apt-get -q update >/dev/null
        mirror=$(apt-get indextargets --format '$(LABEL) $(SITE)' 'Created-By: Packages' | sed -n '/^Debian /{s///p;q}')
    fi
    [ -n "$mirror" ] || { echo "kernels.sh: apt knows no Debian mirror" >&2; exit 1; }
    for suite in bookworm bookworm-backports trixie-backports; do
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
    done > "$work/sources.list"
    apt_private apt-get -q update >/dev/null
}

# Newest release of the series in the plain flavour (cloud lacks 9p), such as 6.1.0-50-amd64. From 7.1 on Debian
# splits it into linux-base-, linux-binary- and linux-modules-RELEASE; before, all is in linux-image-RELEASE.
newest() {
    apt_private apt-cache search --names-only "^linux-(binary|image)-${1//./\\.}[.].*-amd64\$" | cut -d' ' -f1 |
        sed -E '/-(cloud|rt)-amd64$/d; s/^linux-(binary|image)-//' | sort -uV | tail -n 1
}

fetch() {
    local series=$1 release packages package modules image
    prepare
    release=$(newest "$series")
    [ -n "$release" ] || { echo "kernels.sh: the mirror has no kernel $series" >&2; exit 1; }
    echo "fetching kernel $release"
    packages=("linux-image-$release")
    if [ -n "$(apt_private apt-cache search --names-only "^linux-modules-${release//[.+]/.}\$")" ]; then
        packages=("linux-base-$release" "linux-binary-$release" "linux-modules-$release")
    fi
    mkdir "$work/$series"
    (cd "$work/$series" && apt_private apt-get -q download "${packages[@]}" >/dev/null)
    for package in "$work/$series"/*.deb; do dpkg -x "$package" "$work/$series/root"; done
    modules=$work/$series/root/lib/modules/$release
    [ -d "$modules" ] || modules=$work/$series/root/usr/lib/modules/$release
    image=$work/$series/root/boot/vmlinuz-$release
    [ -f "$image" ] || image=$modules/vmlinuz
    mkdir "$work/$series/ready"
    cp "$image" "$work/$series/ready/vmlinuz"
    mv "$modules" "$work/$series/ready/modules"
    echo "$release" > "$work/$series/ready/release"
    rm -rf "${cache:?}/$series"
    mv "$work/$series/ready" "$cache/$series"
}

for series in "$@"; do
    folder=$cache/$series
    [ -f "$folder/release" ] || fetch "$series"
    release=$(cat "$folder/release")
    if [ ! -e "/lib/modules/$release" ]; then
        "${sudo[@]}" mkdir -p /lib/modules
        "${sudo[@]}" ln -sfn "$folder/modules" "/lib/modules/$release"
    fi
    [ -f "/lib/modules/$release/modules.dep.bin" ] || "${sudo[@]}" "$(command -v depmod)" "$release"
    echo "kernel $series: $release"
done
