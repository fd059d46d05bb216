"""`plt dataset-lint`: what gives labels away, what straddles splits, what contradicts itself."""

from typing import Annotated

import typer

from plt.cli.shell.options import Config, Json, Quiet, Seed
from plt.cli.shell.streams import STDIN, Result


def command(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Registry name, Parquet path or -.")],
    as_json: Json = False,
    seed: Seed = 0,
    quiet: Quiet = False,
    config: Config = None,
) -> Result:
    """Look for what gives labels away and for splits that leak; exit 1 on a finding.

    Trivial rules about the form of the texts (brackets, blanks, quotes, last characters) are
    learned in some folds and tried in others; a finding is what predicts the label beyond length
    and authorship. Notes, such as how far length alone predicts it, never fail.

    Example: plt dataset-lint prefs.parquet

    Example: plt dataset-split prefs.parquet | plt dataset-lint - --json
    """
    from plt.analyze.lint import lint
    from plt.cli.pages.lint import lint_blocks
    from plt.cli.shell.inputs import load_preferences

    report = lint(load_preferences(data, unique_keys=False), seed=seed)
    return Result(
        data=report.as_dict(),
        blocks=lint_blocks(report, data),
        exit_code=0 if report.clean else 1,
        hint=f"plt dataset-stats {data}" if report.clean and data != STDIN else None,
    )
