#!/usr/bin/env bash
# From a raw file of three annotators to a defended comparison of five reward models.
#
#   examples/three_annotators.sh testset-v1.json out/
#
# The file is PandaLM's human test set (or anything of its shape): a JSON list of records with
# instruction, input, response1, response2, annotator1, annotator2, annotator3, where an
# annotation is 0 for a tie, 1 or 2.
set -euo pipefail
raw=${1:?usage: three_annotators.sh RAW.json [OUT_DIR]}
out=${2:-out}
mkdir -p "$out"

# Each annotator column becomes a person. Integer codes need their meaning said: 1 is the first.
plt dataset-convert generic "$raw" \
  --map prompt=instruction,input \
  --map response_1=response1 --map response_2=response2 \
  --map label=annotator1,annotator2,annotator3 --label-values a=1,b=2,tie=0 \
  --dataset three-annotators -o "$out/prefs.parquet"

# Do they really disagree? Three people are too few to speak of a population, and it says so.
plt dataset-stats "$out/prefs.parquet"

# One instruction has several pairs, so whole prompts are held out; nobody is kept unseen.
plt dataset-split "$out/prefs.parquet" --by prompt --unseen-users 0 -o "$out/split.parquet"
plt dataset-lint "$out/split.parquet"

# Five models, one table of paired differences, one verdict.
plt train "$out/split.parquet" --runs "$out/runs" \
  --method random,length,bradley-terry,individual,eb-shrinkage |
  plt report -
