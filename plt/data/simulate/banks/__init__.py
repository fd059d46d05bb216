"""The texts that simulators are made of, as JSON; all of it was written for plt."""

import json
from functools import cache
from importlib import resources
from typing import Any


@cache
def bank(name: str) -> Any:
    """The content of one JSON file of this folder; do not change what it returns."""
    text = resources.files(__name__).joinpath(f"{name}.json").read_text(encoding="utf-8")
    return json.loads(text)
