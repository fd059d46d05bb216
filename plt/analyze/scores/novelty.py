"""What of a scored judgement the model had seen in training: the pair, its responses, its prompt.

Two models with one accuracy may differ here: the one has learnt what people like, the other which
responses won. A response is known by its text together with its prompt.
"""

import polars as pl

from plt.data.splitting.samples import learnable
from plt.data.tables.preferences import Preferences, prompt_json

KNOWN_PAIR = "known pair"
NEW_PAIR = "new pair"
NEW_RESPONSE = "new response"
NEW_PROMPT = "new prompt"
KINDS = (KNOWN_PAIR, NEW_PAIR, NEW_RESPONSE, NEW_PROMPT)
"""From the least to the most new: the pair occurs in training, with anybody's judgement; both
responses do, in other pairs; the prompt does, but not both responses; not even the prompt."""


def with_novelty(
    scores: pl.DataFrame, prefs: Preferences, learnt: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Adds the column `novelty`, one of `KINDS`, to a scores table.

    Args:
        scores: Any table with `pair_id`.
        prefs: The table that was scored.
        learnt: The votes that were learnt from, those of `prefs` by default. Their labelled train
            rows of seen users count; validation rows only choose settings, so a response of them
            alone is new.

    Returns:
        The scores; `novelty` is null for pairs that are not in `prefs`.
    """
    trained = (prefs.votes if learnt is None else learnt).filter(
        learnable(), pl.col("split") == "train"
    )
    pairs = _coded(prefs.pairs)
    known = pairs.join(trained.select("pair_id").unique(), on="pair_id", how="semi")
    sides = [known.select("prompt", response=side) for side in ("response_a", "response_b")]
    responses = pl.concat(sides).unique().with_columns(known=pl.lit(True))
    for side in ("response_a", "response_b"):
        found = responses.rename({"response": side, "known": f"known_{side}"})
        pairs = pairs.join(found, on=["prompt", side], how="left", maintain_order="left")
    both = pl.col("known_response_a") & pl.col("known_response_b")
    kind = (
        pl.when(pl.col("pair_id").is_in(known["pair_id"].implode()))
        .then(pl.lit(KNOWN_PAIR))
        .when(both.fill_null(False))
        .then(pl.lit(NEW_PAIR))
        .when(pl.col("prompt").is_in(known["prompt"].implode()))
        .then(pl.lit(NEW_RESPONSE))
        .otherwise(pl.lit(NEW_PROMPT))
    )
    kinds = pairs.select("pair_id", novelty=kind.cast(pl.Enum(KINDS)))
    return scores.drop("novelty", strict=False).join(
        kinds, on="pair_id", how="left", maintain_order="left"
    )


def _coded(pairs: pl.DataFrame) -> pl.DataFrame:
    """Pairs whose prompt is its canonical text: conversations are slow to join on."""
    distinct = pairs.select("prompt").unique(maintain_order=True).with_row_index("prompt_code")
    coded = pairs.join(distinct, on="prompt", how="left", maintain_order="left")
    texts = pl.Series([prompt_json(prompt) for prompt in distinct["prompt"].to_list()])
    prompt = texts.cast(pl.String).gather(coded["prompt_code"])
    return coded.select("pair_id", prompt.alias("prompt"), "response_a", "response_b")
