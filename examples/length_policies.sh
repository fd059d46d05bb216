#!/usr/bin/env bash
# The controlled experiment of P-RLHF (2024) on a laptop: workers who want longer or shorter
# summaries, a small language model that writes them, and two policies from it.
#
#   examples/length_policies.sh out/             minutes of one core
#   examples/length_policies.sh out/ 60 40 100   a glance: SFT steps, policy steps, pairs a worker
#
# Vanilla DPO serves the majority and works against the minority; P-DPO serves both.
set -euo pipefail
out=${1:?usage: length_policies.sh OUT_DIR [SFT_STEPS] [STEPS] [PAIRS]}
sft_steps=${2:-400} steps=${3:-200} pairs=${4:-500}
mkdir -p "$out"

plt dataset-simulate length --users 10 --pairs-per-user "$pairs" --set prompts=2000 \
  -o "$out/prefs.parquet"
plt dataset-split "$out/prefs.parquet" --by pair --unseen-users 0 -o "$out/split.parquet"

# A model of 130,000 random weights whose tokenizer knows the words of the summaries ...
python3 - "$out" <<'PYTHON'
import sys
from pathlib import Path

import plt
from plt.train.models.embedded.untrained import make_small_model

out = Path(sys.argv[1])
make_small_model(plt.read(out / "split.parquet"), out / "small")
PYTHON

# ... learns to write like all of them: the reference, without a taste.
sft=$(plt train "$out/split.parquet" --runs "$out/runs" --method sft --model "$out/small" \
  --tune full --learning-rate 0.003 --set responses=all --set learn=text \
  --set pairs_per_step=32 --set "max_steps=$sft_steps")

# One policy for everybody, one that knows its users; gains are over the first.
plt train "$out/split.parquet" --runs "$out/runs" --method dpo,p-dpo --model "$sft" \
  --tune full --learning-rate 0.001 --set users_learning_rate=0.01 --set "max_steps=$steps" |
  plt report -
