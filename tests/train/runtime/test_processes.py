"""Two processes share the texts and end with what one process has."""

import numpy as np
import pytest

from plt.train.features.frozen import features
from plt.train.method import Compute
from plt.train.runtime.processes import agreed, leads, mine, summed, world_size
from tests.train.features.test_frozen import some_texts
from tests.train.launched import run_in_two


def test_alone_nothing_is_shared():
    assert world_size() == 1
    assert leads()
    assert all(mine(number) for number in range(5))
    part = np.arange(3.0)
    assert summed(part, "cpu") is part
    assert agreed("value", "cpu") == "value"


@pytest.mark.slow
def test_two_processes_give_the_bits_of_one_and_encode_each_text_once(tmp_path):
    run_in_two(
        """
import os
import numpy as np
import plt.train.models.backbone as backbone
from plt.train.features.frozen import encode_features
from plt.train.method import Compute
from tests.train.features.test_frozen import some_texts

embedded = []
original = backbone.Backbone.embed
backbone.Backbone.embed = lambda self, ids: embedded.extend(ids) or original(self, ids)
compute = Compute(device="cpu", batch_size=4, cache_dir=FOLDER / "cache")
rank = os.environ["RANK"]
first = encode_features(some_texts(37), "builtin:minilm", compute)
again = encode_features(some_texts(50), "builtin:minilm", compute)
assert (again.n_encoded, again.n_found) == (13, 37)
np.savez(FOLDER / f"{rank}.npz", first=first.vectors, again=again.vectors, n=len(embedded))
""",
        tmp_path,
    )
    one, other = (np.load(tmp_path / f"{rank}.npz") for rank in "01")
    assert np.array_equal(one["first"], other["first"])
    assert np.array_equal(one["again"], other["again"])
    assert int(one["n"]) + int(other["n"]) == 50
    assert min(int(one["n"]), int(other["n"])) >= 20
    alone = features(some_texts(37), "builtin:minilm", Compute(device="cpu", batch_size=4))
    assert np.array_equal(one["first"], alone)
    assert len(list((tmp_path / "cache").rglob("*.safetensors"))) == 2
