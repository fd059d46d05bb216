#!/usr/bin/env bash
# Is what is written for somebody better liked when the guide knows more of that person's answers?
# Simulated people, half of whom want shorter summaries; a fifth of all stay unseen. For 0, 5 and 20
# answers of each the best of several summaries is taken, and judged against the unguided one by the
# simulator's truth.
#
#   examples/written_for_new_people.sh out/              60 people, 8 posts, the best of 8
#   examples/written_for_new_people.sh out/ 40 60 4 4    a glance: people, answers, posts, texts
#
# The table and the picture have what the lower row of figure 2 of Shenfeld et al. (2025) shows.
set -euo pipefail
out=${1:?usage: written_for_new_people.sh OUT_DIR [PEOPLE] [ANSWERS] [PROMPTS] [TEXTS]}
people=${2:-60} answers=${3:-80} prompts=${4:-8} texts=${5:-8}
mkdir -p "$out"

plt dataset-simulate length --users "$people" --pairs-per-user "$answers" \
  --set overlap=4 --set longer=0.5 -o "$out/prefs.parquet"
plt dataset-split "$out/prefs.parquet" --fractions 60,10,30 -o "$out/split.parquet"

guide=$(plt train "$out/split.parquet" --runs "$out/runs" --method eb-shrinkage --sham none)
truth=$(plt train "$out/split.parquet" --runs "$out/runs" --method oracle --sham none)
adapted=$(plt adapt "$guide" --runs "$out/runs" --n-shots 0,5,20 --draws 1 --no-baselines)

write=(plt generate builtin:small --prompts "$out/split.parquet" --n-prompts "$prompts"
  --user all --max-new-tokens 60)
plt generate builtin:small --prompts "$out/split.parquet" --n-prompts "$prompts" \
  --max-new-tokens 60 -o "$out/unguided.parquet"
for n in 0 5 20; do
  "${write[@]}" --best-of "$texts" --guide "$adapted" --n-shots "$n" -o "$out/best-$n.parquet"
  plt winrate "$out/best-$n.parquet" "$out/unguided.parquet" --judge "$truth" \
    -o "$out/verdicts-$n.parquet" -q
done
plt winrate "$out"/verdicts-{0,5,20}.parquet --plot "$out/win_rates.svg"
