#!/usr/bin/env bash
# How good is a reward model for somebody whom it has never seen, after 5, 10, 20 or 40 answers?
# Simulated people, a fifth of whom stay unseen; tables and learning curves in a few minutes.
#
#   examples/new_people.sh out/            100 people
#   examples/new_people.sh out/ 60 40      a glance: people, answers of each
#
# Beside each method stand vanilla, a model of the person's own answers alone, vanilla fine-tuned on
# them, and the most similar known person; the tables have the layout of table 4 of Dong et al.
# (2025) and of table 1 of Shenfeld et al. (2025), the picture that of figure 3 of the former.
set -euo pipefail
out=${1:?usage: new_people.sh OUT_DIR [PEOPLE] [ANSWERS]}
people=${2:-100} answers=${3:-80}
mkdir -p "$out"

plt dataset-simulate attributes --users "$people" --pairs-per-user "$answers" \
  --set "overlap=$((people / 4))" -o "$out/prefs.parquet"
plt dataset-split "$out/prefs.parquet" --fractions 60,10,30 -o "$out/split.parquet"

plt train "$out/split.parquet" --runs "$out/runs" --method pref,eb-shrinkage,lore --sham score |
  plt adapt - --runs "$out/runs" --n-shots 0,5,10,20,40 --draws 5 > "$out/adapted.txt"
plt report - --plot "$out/curves.svg" < "$out/adapted.txt"
