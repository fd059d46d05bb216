#!/usr/bin/env bash
# Tables travel through pipes as bytes, runs as paths.
#
#   examples/pipes.sh
set -euo pipefail

# Simulate, describe, and take one figure out of the JSON.
plt dataset-simulate dirichlet --users 8 |
  plt dataset-stats - --json |
  python3 -c 'import json, sys; print("divergent:", json.load(sys.stdin)["divergent"]["value"])'

# Simulate, split, lint: the exit code says whether anything gives the labels away.
plt dataset-simulate mirrored --users 12 |
  plt dataset-split - --by pair |
  plt dataset-lint -
