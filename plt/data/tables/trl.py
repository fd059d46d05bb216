"""TRL's prompt/chosen/rejected form: derived from a table by `trl_view`, read by `read_chosen`.

Neutral pairs become chosen and rejected here and nowhere else, and come back from there in every
form that TRL accepts: explicit or implicit prompt, texts or messages, and the transcripts of HH.
"""

import polars as pl

from plt.data.tables.preferences import Preferences

KEPT = (
    "user_id", "pair_id", "occurrence", "group", "split", "user_split", "dataset", "subset",
    "profile",
)  # fmt: skip


def trl_view(prefs: Preferences) -> tuple[pl.DataFrame, dict[str, int]]:
    """A table in TRL's conversational form with explicit prompt.

    Args:
        prefs: Any preference table. A soft label chooses its side.

    Returns:
        One row a judgement that prefers a side, in the order of `prefs.votes`: `prompt`, `chosen`
        and `rejected` as messages, `score_chosen`, `score_rejected`, `source_chosen`,
        `source_rejected`, and the columns of `KEPT`; and how many judgements have no side, by
        reason (`tie`, `no label`).
    """
    wide = prefs.wide()
    label = pl.col("label")
    sided = wide.filter(label.is_not_null() & (label != 0.5))
    a_wins = label > 0.5
    columns = []
    for name in ("response", "score", "source"):
        for role, won in (("chosen", a_wins), ("rejected", ~a_wins)):
            side = pl.when(won).then(pl.col(f"{name}_a")).otherwise(pl.col(f"{name}_b"))
            if name == "response":
                message = pl.struct(role=pl.lit("assistant"), content=side)
                columns.append(pl.concat_list(message).alias(role))
            else:
                columns.append(side.alias(f"{name}_{role}"))
    left_out = {
        "tie": wide.filter(label == 0.5).height,
        "no label": wide["label"].null_count(),
    }
    order = ("prompt", "chosen", "rejected", *KEPT)
    view = sided.with_columns(columns)
    scores = [c for c in view.columns if c.endswith(("_chosen", "_rejected"))]
    return view.select(*order, *scores), {why: n for why, n in left_out.items() if n}
