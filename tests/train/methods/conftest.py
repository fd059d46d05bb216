"""One feature cache for the tests of the methods: each text is embedded once."""

import pytest

from plt.train.method import Compute, TrainContext


@pytest.fixture(scope="session")
def ctx(tmp_path_factory: pytest.TempPathFactory) -> TrainContext:
    compute = Compute(device="cpu", cache_dir=tmp_path_factory.mktemp("cache"))
    return TrainContext(0, tmp_path_factory.mktemp("work"), compute)
