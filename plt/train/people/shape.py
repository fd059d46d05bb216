"""Which user model: the choice alone, which needs no torch; `soft_users` builds it."""

from dataclasses import dataclass
from typing import Literal

from plt.errors import UsageError

UserKind = Literal["uniform", "individual", "cluster"]


@dataclass(frozen=True)
class UserModelShape:
    """What a user model is made of (Li et al. 2024, P-RLHF, section 4.3).

    Attributes:
        kind: ``uniform``: the same tokens for everybody. ``individual``: e_u = e_0 + o_u.
            ``cluster``: e_u = sum_k w_uk V_k, the generic user's weights included.
        n_tokens: T_u, soft tokens a person.
        n_clusters: K, only for ``cluster``.
        simplex: Whether w_u is a softmax, as in the reference code; the paper has any weights.
        generic_offset: Whether an individual is an offset from the generic user; without, e_u
            stands alone (the ablation "without e_0").
    """

    kind: UserKind = "individual"
    n_tokens: int = 10
    n_clusters: int = 5
    simplex: bool = True
    generic_offset: bool = True

    def __post_init__(self) -> None:
        problems = []
        if self.kind not in ("uniform", "individual", "cluster"):
            problems.append(f"users is {self.kind!r}, not uniform, individual or cluster")
        if self.n_tokens < 0:
            problems.append(f"n_tokens is {self.n_tokens}; it must be 0 or more")
        if self.n_clusters < 1:
            problems.append(f"n_clusters is {self.n_clusters}; it must be 1 or more")
        if problems:
            raise UsageError(
                "the user model is not possible",
                problems=problems,
                hint="--set users=individual --set n_tokens=10",
            )

    @property
    def personal(self) -> bool:
        """Whether the tokens depend on the person."""
        return self.kind != "uniform" and self.n_tokens > 0

    def n_prompts(self, n_users: int) -> int:
        """Soft prompts, of `n_tokens` rows each, that are drawn to begin with."""
        return {"uniform": 1, "individual": n_users + 1, "cluster": self.n_clusters}[self.kind]
