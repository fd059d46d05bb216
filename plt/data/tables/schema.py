"""The table schemas, and `validate`, which reports every problem at once.

`preferences/1` is one row a judgement: one person, one pair, one label. `users/1` describes
people. `scores/1` is what a model said about pairs. `metrics/1` is tidy: one figure a row, with
its interval. `generations/1` is text that systems wrote, `verdicts/1` who of two systems a judge
preferred. The schema name and version stand in the Parquet key-value metadata as ``plt.schema``.
"""

from dataclasses import dataclass
from typing import Any

import polars as pl

Dtype = Any  # polars accepts dtype classes and instances alike

MESSAGES = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
SPLITS = ("train", "val", "test")
USER_SPLITS = ("seen", "unseen")
ROLES = ("system", "user", "assistant")
SIDES = ("a", "b")
CONTROLS = ("wrong-user", "shuffled-ids", "length")
MAX_ROWS_NAMED = 5
UNDECIDED = 1e-6
"""A margin or a difference of rewards smaller than this in size is no opinion but rounding: it
earns one half wherever an answer is right or wrong, and is a tie wherever somebody wins."""


@dataclass(frozen=True)
class Column:
    """One column of a table: its type, whether null is allowed, and one sentence of meaning."""

    name: str
    dtype: Dtype
    doc: str
    nullable: bool = False


@dataclass(frozen=True)
class TableSchema:
    """A named, versioned table contract."""

    name: str
    version: int
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def tag(self) -> str:
        """The text that stands in ``plt.schema``, for example ``preferences/1``."""
        return f"{self.name}/{self.version}"

    def column(self, name: str) -> Column:
        """The column called `name`; KeyError when the schema has none."""
        return next(column for column in self.columns if column.name == name)

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in file order."""
        return tuple(column.name for column in self.columns)


PREFERENCES = TableSchema(
    "preferences",
    1,
    ("user_id", "pair_id", "occurrence"),
    (
        Column("user_id", pl.String, "who judged; null in user-less sets", nullable=True),
        Column("pair_id", pl.UInt64, "order-free hash of the prompt and the two responses"),
        Column("group", pl.String, "what never straddles splits: conversation or prompt", True),
        Column("prompt", MESSAGES, "the conversation up to the answer"),
        Column("response_a", pl.String, "one answer; the hash decides which is `a`"),
        Column("response_b", pl.String, "the other answer"),
        Column("label", pl.Float32, "P(user prefers response_a); 0.5 is a tie", nullable=True),
        Column(
            "occurrence",
            pl.UInt16,
            "0, 1, ... when the user judged the same pair again: another act of judging",
        ),
        Column("split", pl.Enum(SPLITS), "of the pair", nullable=True),
        Column("user_split", pl.Enum(USER_SPLITS), "of the user", nullable=True),
        Column("dataset", pl.String, "source name"),
        Column("subset", pl.String, "category inside the source", nullable=True),
        Column("score_a", pl.Float32, "the source's own rating of response_a", nullable=True),
        Column("score_b", pl.Float32, "the source's own rating of response_b", nullable=True),
        Column("source_a", pl.String, "who wrote response_a; never shown to a method", True),
        Column("source_b", pl.String, "who wrote response_b; never shown to a method", True),
        Column("profile", pl.String, "what the user says of themselves", nullable=True),
        Column("strength", pl.Float32, "how strongly, in [0, 1], where there are grades", True),
        Column("shown_first", pl.Enum(SIDES), "which response was seen first, when known", True),
        Column("judged_at", pl.Datetime("ms", "UTC"), "when, if known", nullable=True),
    ),
)

USERS = TableSchema(
    "users",
    1,
    ("user_id",),
    (
        Column("user_id", pl.String, "the person"),
        Column("profile", pl.String, "what the user says of themselves", nullable=True),
    ),
)

SCORES = TableSchema(
    "scores",
    1,
    (
        "run_id",
        "pair_id",
        "user_id",
        "occurrence",
        "scored_as",
        "control",
        "n_shots",
        "draw",
        "variant",
    ),
    (
        Column("run_id", pl.String, "the run that scored"),
        Column("pair_id", pl.UInt64, "the pair"),
        Column("user_id", pl.String, "who judged", nullable=True),
        Column("occurrence", pl.UInt16, "which judgement of that person"),
        Column("scored_as", pl.String, "whose reward; null is the population", nullable=True),
        Column("control", pl.Enum(CONTROLS), "null, or which sham this is", nullable=True),
        Column("n_shots", pl.UInt32, "answers adapted on; null outside `adapt`", nullable=True),
        Column("draw", pl.UInt16, "which draw of the shots; null outside `adapt`", nullable=True),
        Column("variant", pl.String, "what was scored, where it is not the whole model", True),
        Column("dataset", pl.String, "source name"),
        Column("method", pl.String, "registry name of the method"),
        Column("seed", pl.UInt64, "the run's seed"),
        Column("group", pl.String, "cluster of every interval", nullable=True),
        Column("split", pl.Enum(SPLITS), "of the pair", nullable=True),
        Column("user_split", pl.Enum(USER_SPLITS), "of the user", nullable=True),
        Column("subset", pl.String, "category inside the source", nullable=True),
        Column("label", pl.Float32, "P(user prefers response_a)", nullable=True),
        Column("margin", pl.Float64, "log-odds that response_a is preferred"),
        Column("reward_a", pl.Float64, "null for pairwise judges", nullable=True),
        Column("reward_b", pl.Float64, "null for pairwise judges", nullable=True),
    ),
)

METRICS_TABLE = TableSchema(
    "metrics",
    1,
    (
        "run_id", "dataset", "split", "user_split", "subset", "n_shots", "control", "metric",
        "average", "interval",
    ),
    (
        Column("run_id", pl.String, "the run that was measured"),
        Column("command", pl.String, "the command that measured"),
        Column("dataset", pl.String, "source name"),
        Column("method", pl.String, "registry name of the method"),
        Column("seed", pl.UInt64, "the run's seed"),
        Column("split", pl.Enum(SPLITS), "of the pairs", nullable=True),
        Column("user_split", pl.Enum(USER_SPLITS), "of the users", nullable=True),
        Column("subset", pl.String, "category; null is all", nullable=True),
        Column("n_shots", pl.UInt32, "answers adapted on", nullable=True),
        Column("control", pl.Enum(CONTROLS), "null, or which sham", nullable=True),
        Column("metric", pl.String, "registry name of the metric"),
        Column("value", pl.Float64, "null when the data cannot give it", nullable=True),
        Column("ci_low", pl.Float64, "lower end of the 95 % interval", nullable=True),
        Column("ci_high", pl.Float64, "upper end of the 95 % interval", nullable=True),
        Column("interval", pl.String, "target and kind of the interval", nullable=True),
        Column("n_users", pl.UInt32, "users behind the figure"),
        Column("n_groups", pl.UInt32, "groups behind the figure"),
        Column("n_pairs", pl.UInt32, "judgements behind the figure"),
        Column("n_ties", pl.UInt32, "judgements left out because the label is a tie"),
        Column("average", pl.Enum(("user", "pair")), "unit of the mean", nullable=True),
        Column("higher_is_better", pl.Boolean, "direction", nullable=True),
        Column("df", pl.Float64, "degrees of freedom of Student's t", nullable=True),
        Column("effective_users", pl.Float64, "Kish, by their weights here", nullable=True),
        Column("effective_groups", pl.Float64, "the same of groups", nullable=True),
        Column("adjusted_low", pl.Float64, "lower end, for all rows at once", nullable=True),
        Column("adjusted_high", pl.Float64, "upper end, for all rows at once", nullable=True),
        Column("p", pl.Float64, "two-sided, of no difference", nullable=True),
        Column("n_seeds", pl.UInt32, "training seeds behind the figure", nullable=True),
    ),
)  # fmt: skip

WRITERS = ("policy", "generic", "reference", "best-of-n", "guided")
ORDERS = ("1-first", "2-first")
VERDICTS_GIVEN = ("1", "2", "tie")

GENERATIONS = TableSchema(
    "generations",
    1,
    ("user_id", "prompt_id", "system", "control", "sample"),
    (
        Column("user_id", pl.String, "for whom it was written; null is nobody", nullable=True),
        Column("prompt_id", pl.UInt64, "hash of the prompt"),
        Column("group", pl.String, "cluster of every interval", nullable=True),
        Column("prompt", MESSAGES, "the conversation up to the answer"),
        Column("response", pl.String, "what was written; may be empty"),
        Column("system", pl.String, "method and run id, or model, that wrote"),
        Column("control", pl.Enum(WRITERS), "as whom; null for text of no policy", nullable=True),
        Column("seed", pl.UInt64, "of the sampling", nullable=True),
        Column("sample", pl.UInt16, "which of several texts for that user and prompt"),
        Column("n_tokens", pl.UInt32, "written, the end token not counted", nullable=True),
        Column("ended", pl.Boolean, "whether the model ended it itself", nullable=True),
        Column("n_words", pl.UInt32, "runs of what is no blank"),
        Column("reward", pl.Float64, "of the run that chose it, for best-of-n", nullable=True),
    ),
)

VERDICTS = TableSchema(
    "verdicts",
    1,
    ("system_1", "system_2", "judge", "user_id", "prompt_id", "sample", "order"),
    (
        Column("user_id", pl.String, "for whom it was judged; null is nobody", nullable=True),
        Column("prompt_id", pl.UInt64, "hash of the prompt"),
        Column("group", pl.String, "cluster of every interval", nullable=True),
        Column("sample", pl.UInt16, "which of several texts for that user and prompt"),
        Column("system_1", pl.String, "one system"),
        Column("system_2", pl.String, "the other system"),
        Column("judge", pl.String, "who judged: a reward run, a model, a model behind a URL"),
        Column("order", pl.Enum(ORDERS), "whose text stood first; null: no order", nullable=True),
        Column("verdict", pl.Enum(VERDICTS_GIVEN), "the better; null when none was given", True),
        Column("reason", pl.String, "why there is no verdict, or why none was asked", True),
        Column("score", pl.Float64, "log-odds that system 1 is better, where known", True),
        Column("n_tokens_in", pl.UInt32, "tokens that the judge read, where known", True),
        Column("n_tokens_out", pl.UInt32, "tokens that the judge wrote, where known", True),
    ),
)

TABLES = (PREFERENCES, USERS, SCORES, METRICS_TABLE, GENERATIONS, VERDICTS)


def same_type(found: Dtype, expected: Dtype) -> bool:
    """Whether a column of type `found` holds what the contract calls `expected`.

    Categorical is String with a dictionary, and a struct of roles and contents may list its fields
    in either order.
    """
    if expected == pl.String:
        return found in (pl.String, pl.Categorical) or isinstance(found, pl.Enum)
    if expected == MESSAGES and isinstance(found, pl.List) and isinstance(found.inner, pl.Struct):
        fields = {field.name: field.dtype for field in found.inner.fields}
        return fields == {"role": pl.String, "content": pl.String}
    return bool(found == expected)


def conform(frame: pl.DataFrame, schema: TableSchema) -> pl.DataFrame:
    """Adds absent nullable columns as null and casts what can be cast without loss.

    Integer widths, float widths, text to the contract's enumerations and user names given as
    integers are cast; anything else is left for `validate` to name. Extra columns are kept, behind
    the contract's own.
    """
    casts = []
    for column in schema.columns:
        if column.name not in frame.columns:
            if column.nullable:
                casts.append(pl.lit(None, dtype=column.dtype).alias(column.name))
            continue
        found = frame.schema[column.name]
        if same_type(found, column.dtype):
            continue
        if found == pl.Null or _castable(frame[column.name], column.dtype):
            casts.append(pl.col(column.name).cast(column.dtype))
    frame = frame.with_columns(casts)
    ours = [name for name in schema.names if name in frame.columns]
    return frame.select(*ours, *[name for name in frame.columns if name not in schema.names])


def _castable(values: pl.Series, expected: Dtype) -> bool:
    found = values.dtype
    if isinstance(expected, pl.Enum):
        if found not in (pl.String, pl.Categorical) and not isinstance(found, pl.Enum):
            return False
        known = set(expected.categories.to_list())
        return set(values.cast(pl.String).drop_nulls().unique().to_list()) <= known
    if expected == pl.String:
        return found.is_integer()
    if expected in (pl.Float32, pl.Float64):
        return found.is_numeric() or found == pl.Boolean
    if isinstance(expected, pl.Datetime):
        return isinstance(found, pl.Datetime) and found.time_zone is not None
    if found.is_integer() and expected.is_integer():
        return values.cast(expected, strict=False).null_count() == values.null_count()
    return False


def validate(frame: pl.DataFrame, schema: TableSchema, *, unique_keys: bool = True) -> list[str]:
    """Every way in which `frame` breaks `schema`, each in one sentence; empty when it fits.

    Args:
        frame: Any table. Extra columns are allowed.
        schema: The contract.
        unique_keys: Whether repeated keys are a problem; `dataset-lint` counts them itself.

    Returns:
        Sentences that name the column, what was found and the first row numbers (from 0).
    """
    problems = []
    present = []
    for column in schema.columns:
        if column.name not in frame.columns:
            if not column.nullable:
                problems.append(
                    f"column '{column.name}' ({column.doc}) is missing"
                    f" (found: {', '.join(frame.columns) or 'no columns'})"
                )
            continue
        found = frame.schema[column.name]
        if not same_type(found, column.dtype):
            problems.append(f"column '{column.name}' is {found}, expected {column.dtype}")
            continue
        present.append(column.name)
        if not column.nullable and frame[column.name].null_count():
            problems.append(
                f"column '{column.name}' is null in {_rows(frame[column.name].is_null())}"
            )
    problems += _value_problems(frame, set(present))
    if unique_keys and set(schema.key) <= set(frame.columns):
        problems += _duplicate_keys(frame, schema)
    return problems


def _value_problems(frame: pl.DataFrame, present: set[str]) -> list[str]:
    problems = []
    if "label" in present:
        label = frame["label"]
        wrong = (label.is_nan() | (label < 0) | (label > 1)).fill_null(False)
        if wrong.any():
            found = label.filter(wrong)[0]
            problems.append(f"label is a probability in [0, 1]; it is {found} in {_rows(wrong)}")
    if "strength" in present:
        strength = frame["strength"]
        wrong = (strength.is_nan() | (strength < 0) | (strength > 1)).fill_null(False)
        if wrong.any():
            found = strength.filter(wrong)[0]
            problems.append(f"strength lies in [0, 1]; it is {found} in {_rows(wrong)}")
    for name in ("margin", "reward_a", "reward_b"):
        if name in present:
            wrong = (~frame[name].is_finite()).fill_null(False)
            if wrong.any():
                problems.append(f"column '{name}' is no finite number in {_rows(wrong)}")
    if "prompt" in present:
        problems += _prompt_problems(frame)
    return problems


def _prompt_problems(frame: pl.DataFrame) -> list[str]:
    missing = frame["prompt"].list.eval(pl.element().is_null()).list.any().fill_null(False)
    if missing.any():
        return [f"column 'prompt' has null in place of a message in {_rows(missing)}"]
    messages = frame["prompt"].list.explode(empty_as_null=False, keep_nulls=False)
    if messages.len() == 0:
        return []
    roles = set(messages.struct.field("role").unique().to_list()) - {None, *ROLES}
    problems = []
    if roles:
        shown = ", ".join(repr(role) for role in sorted(roles)[:MAX_ROWS_NAMED])
        problems.append(f"column 'prompt' has the roles {shown}; known are {', '.join(ROLES)}")
    no_role = frame["prompt"].list.eval(pl.element().struct.field("role").is_null()).list.any()
    if no_role.fill_null(False).any():
        problems.append(f"column 'prompt' has messages without a role in {_rows(no_role)}")
    no_content = (
        frame["prompt"].list.eval(pl.element().struct.field("content").is_null()).list.any()
    )
    if no_content.fill_null(False).any():
        problems.append(f"column 'prompt' has messages without content in {_rows(no_content)}")
    return problems


def _duplicate_keys(frame: pl.DataFrame, schema: TableSchema) -> list[str]:
    duplicated = frame.select(schema.key).is_duplicated()
    if not duplicated.any():
        return []
    return [f"the key ({', '.join(schema.key)}) is repeated in {_rows(duplicated)}"]


def _rows(mask: pl.Series) -> str:
    """Which rows a mask marks, as 'rows 3, 8, 9 (12 in all)'; numbering starts at 0."""
    indices = mask.fill_null(False).arg_true()
    shown = ", ".join(str(index) for index in indices.head(MAX_ROWS_NAMED))
    noun = "row" if indices.len() == 1 else "rows"
    more = f" ({indices.len()} in all)" if indices.len() > MAX_ROWS_NAMED else ""
    return f"{noun} {shown}{more}"
