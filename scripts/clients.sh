#!/usr/bin/env bash
# usage: scripts/clients.sh [CLIENT...]    (default: all of tests/agents/clients/versions.toml)
# Installs the real agents that tests/agents runs, below ~/.cache/polygraph/clients. Quick when they are there.
set -euo pipefail
cd "$(dirname "$0")/.."
exec .venv/bin/python -m tests.agents.install "$@"
