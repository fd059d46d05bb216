"""What `dataset-convert` prints, refuses and leaves alone."""

import json
from pathlib import Path

import pytest

from plt.cli import main
from plt.data.tables.preferences import read_preferences

CORPUS = Path(__file__).parents[2] / "data" / "reading" / "corpus"


def run(capfd: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main(["dataset-convert", *map(str, words)])
    return code, *capfd.readouterr()


def test_a_look_reads_and_writes_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capfd, CORPUS / "multipref.jsonl", "--look")
    assert code == 0
    assert list(tmp_path.iterdir()) == []
    assert "recognised as MultiPref" in out
    told = [line for line in out.splitlines() if line.startswith("annotator ")]
    assert len({line.split(",")[0] for line in told}) == len(told) == 3
    assert told[2].startswith("annotator e1, prompt 'Name a bird.': finds ")
    # Which of the two is `a` is the hash's choice; who is preferred is not.
    assert set(told[:2]) <= {
        "annotator n1, prompt 'Name a bird.': prefers 'A wren.' to 'A robin, which sings.'",
        "annotator n2, prompt 'Name a bird.': prefers 'A robin, which sings.' to 'A wren.'",
        "annotator n1, prompt 'Name a fish.': prefers 'A roach.' to 'A tench.'",
    }
    assert "few values: source" in out
    assert "--map 'user_id=normal_worker_annotations.*.evaluator," in err


def test_a_look_as_json_names_fields_shares_and_what_is_left_out(
    capfd: pytest.CaptureFixture[str],
) -> None:
    code, out, _ = run(capfd, CORPUS / "alpaca_eval.json", "--look", "--json")
    seen = json.loads(out)
    assert (code, seen["schema"], seen["recognised"]) == (0, "look/1", "AlpacaEval")
    fields = {role["field"]: role for role in seen["roles"]}
    assert fields["label"]["source"] == "preference"
    assert fields["label"]["filled"] == pytest.approx(5 / 6)
    assert fields["user_id"]["distinct"] == 2
    assert len(seen["examples"]) == 3
    assert len(seen["set"]) == 16
    assert seen["n_judgements"] == 5


def test_a_conversion_says_one_judgement_and_the_digest_of_its_set(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    digests = set()
    for name in ("trl.conversational.jsonl", "trl.jsonl"):
        table = tmp_path / f"{name}.parquet"
        code, out, err = run(capfd, CORPUS / name, "-o", table, "--json")
        assert code == 0
        assert "prompt '" in err
        assert ": prefers '" in err
        assert json.loads(out)["set"] in err
        digests.add(json.loads(out)["set"])
    assert len(digests) == 2


def test_pairs_without_labels_are_no_judgements(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    raw, table = tmp_path / "x.jsonl", tmp_path / "x.parquet"
    raw.write_text('{"prompt": "q", "response_a": "x", "response_b": "y", "label": null}\n')
    assert run(capfd, raw, "-o", table)[0] == 2
    code, out, _ = run(capfd, raw, "--unlabelled", "-o", table, "--json")
    assert code == 0
    assert (json.loads(out)["n_judgements"], json.loads(out)["n_unlabelled"]) == (0, 1)
    assert read_preferences(table).votes["label"].to_list() == [None]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("personalllm", "--pairs", "best-worst"), "--pairs belong to generic"),
        (("prism", "--unlabelled", "--look"), "--unlabelled and --look belong to generic"),
        ((CORPUS / "trl.jsonl", "--pairs", "best-worst"), "--pairs has no use"),
        ((CORPUS / "trl.jsonl", "--tie-below", "1"), "--tie-below has no use"),
        ((CORPUS / "trl.jsonl", "--label-values", "a=1,b=2"), "--label-values has no use"),
        ((CORPUS / "arena.jsonl", "--pairs", "random:2"), "--pairs has no use"),
    ],
)
def test_a_flag_that_nothing_uses_is_refused(
    words: tuple[object, ...], why: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capfd, *words, "-o", tmp_path / "x.parquet")
    assert code == 2
    assert why in err
    assert list(tmp_path.iterdir()) == []
