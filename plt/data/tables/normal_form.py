"""The normal form of texts and ids: what two spellings of one thing share."""

import polars as pl

INVISIBLE = r"[\p{Cf}\x{fe00}-\x{fe0f}]"
BLANKS = r"[\s\p{Z}]+"


def normal(texts: pl.Expr) -> pl.Expr:
    """Texts without case, with blanks of any kind and number as one, in one Unicode form.

    NFKC, so full width, ligatures and composed accents make no difference; characters without a
    width are left out. Two texts with one normal form are one text to whoever reads them.
    """
    plain = texts.cast(pl.String).str.normalize("NFKC").str.replace_all(INVISIBLE, "")
    folded = plain.str.to_uppercase().str.to_lowercase().str.normalize("NFKC")
    return folded.str.replace_all(BLANKS, " ").str.strip_chars()


def prompt_keys(pairs: pl.DataFrame) -> pl.Series:
    """The normal form of each prompt of `Preferences.pairs`: roles, and contents in normal form."""
    message = pl.element().struct
    turn = pl.concat_str(message.field("role"), pl.lit("\x1f"), normal(message.field("content")))
    return pairs.select(pl.col("prompt").list.eval(turn).list.join("\x1e")).to_series()


def pair_keys(pairs: pl.DataFrame) -> pl.Series:
    """The normal form of each pair: that of its prompt and of both responses, in either order."""
    sides = pairs.select(a=normal(pl.col("response_a")), b=normal(pl.col("response_b")))
    return (
        sides.with_columns(prompt=prompt_keys(pairs))
        .select(
            pl.concat_str(
                "prompt",
                pl.min_horizontal("a", "b"),
                pl.max_horizontal("a", "b"),
                separator="\x1d",
            )
        )
        .to_series()
    )
