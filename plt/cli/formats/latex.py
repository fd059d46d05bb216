r"""Blocks as LaTeX: booktabs tables and paragraphs, to be read in with ``\input``.

Every character that LaTeX could obey is written out, and what plain pdfLaTeX has no glyph for
stands as its code point, so that no name of a user breaks or runs anything.
"""

import re
import unicodedata
from collections.abc import Sequence

from plt.cli.shell.pictures import Picture
from plt.cli.shell.streams import Block, Heading, Table, printable

MARK = "% plt report: needs \\usepackage{booktabs}"
MINUS = re.compile(r"(?<!\w)-(?=\d)")
MINUS_SIGN = "\u2212"
SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\char34{}",
    "[": "{[}", "]": "{]}", "-": "{-}", "`": r"\textasciigrave{}", "'": r"\textquotesingle{}",
    MINUS_SIGN: "$-$", "\n": " ", "\t": " ", "–": "--", "—": "---",
    "…": r"\ldots{}", "±": r"$\pm$", "×": r"$\times$",
}  # fmt: skip
ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0308": '"', "\u0327": "c ",
    "\u030c": "v ", "\u030a": "r ", "\u0304": "=", "\u0306": "u ", "\u0307": ".",
}  # fmt: skip


def to_latex(blocks: Sequence[Block]) -> str:
    """Blocks as LaTeX; pictures are left out, their tables stand there."""
    parts = [MARK]
    for block in blocks:
        if isinstance(block, Picture):
            continue
        if isinstance(block, Heading):
            parts.append(f"\\subsection*{{{escape_latex(block.text)}}}")
        elif isinstance(block, Table):
            parts.append(_table(block))
        else:
            parts.append(f"{escape_latex(block.text)}\n")
    return "\n".join(parts) + "\n"


def escape_latex(text: str) -> str:
    """`text` so that LaTeX typesets it and obeys nothing of it."""
    shown = MINUS.sub(MINUS_SIGN, printable(text))
    return "".join(_character(char) for char in shown)


def _character(char: str) -> str:
    if char in SPECIAL:
        return SPECIAL[char]
    if char.isascii():
        return char
    base, *marks = list(unicodedata.normalize("NFD", char))
    if base.isascii() and base.isalpha() and len(marks) == 1 and marks[0] in ACCENTS:
        letter = {"i": r"\i", "j": r"\j"}.get(base, base)
        return f"\\{ACCENTS[marks[0]]}{{{letter}}}"
    return f"{{[}}U+{ord(char):04X}{{]}}"


def _table(table: Table) -> str:
    sides = "".join("r" if column in table.numeric else "l" for column in table.columns)
    rows = [_row(row) for row in table.rows]
    caption = [f"\\caption{{{escape_latex(table.title)}}}"] if table.title else []
    lines = [
        r"\begin{table}[htbp]",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
        *caption,
        rf"\begin{{tabular}}{{{sides}}}",
        r"\toprule",
        _row(table.columns),
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return " & ".join(map(escape_latex, cells)) + r" \\"
