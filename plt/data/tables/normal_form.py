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
