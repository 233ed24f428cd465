#!/usr/bin/env bash
# usage: scripts/install-system.sh [PACKAGE...]    (default: what the build and the tests need)
# Installs the Debian packages that are missing, through sudo when not root.
set -euo pipefail
packages=(chromium clang fonts-dejavu-core gcc git gnutls-bin iproute2 libbpf1 libbpf-dev libc6-dev libnss3-tools llvm make nodejs)
packages+=(openssh-server python3-venv tmux)
[ $# -eq 0 ] || packages=("$@")
missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
echo "installing Debian packages: ${missing[*]}"
sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo)
"${sudo[@]}" apt-get -q update >/dev/null
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends "${missing[@]}" >/dev/null
