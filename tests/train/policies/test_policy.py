import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

from plt.data.identity import Identity
from plt.data.run import MANIFEST, Run
from plt.data.tables.preferences import Preferences
from plt.errors import ArtifactError, DataError, UsageError
from plt.train.features.reference import reference_log_probs
from plt.train.judgements import support_view, training_view, user_profiles
from plt.train.method import Compute, Texts, TrainContext
from plt.train.models.backbone import load_language_model
from plt.train.people.words import PREFACE, with_profile
from plt.train.policies.fit import fit_policy
from plt.train.policies.policy import Policy
from plt.train.policies.settings import DpoSettings, PersonalSettings
from plt.train.registry import make_method
from plt.train.runs.fitted_run import FittedRun
from tests.contracts.population import population
from tests.contracts.smaller import STEPS, write_model
from tests.train.tiny_policies import said

CPU = Compute(device="cpu")
QUICK = {**STEPS, "max_steps": 3}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("small") / "model")


@pytest.fixture(scope="module")
def view():
    return training_view(population())


def fitted(view, small, folder, **settings):
    settings = PersonalSettings(model=str(small), **{**QUICK, "n_tokens": 4, **settings})
    return fit_policy(view, settings, TrainContext(0, folder, CPU))[0]


@pytest.fixture(scope="module")
def policy(view, small, tmp_path_factory):
    return fitted(view, small, tmp_path_factory.mktemp("fit"))


@pytest.fixture(scope="module")
def texts():
    return Texts(*said(6))


def scored(policy, texts, users, compute=CPU):
    rows = np.tile(np.arange(len(texts)), len(users))
    whose = [user for user in users for _ in range(len(texts))]
    return policy.log_probs(texts, rows, whose, compute).reshape(len(users), -1)


@pytest.mark.parametrize("users", ["individual", "cluster", "uniform"])
@pytest.mark.parametrize("tune", ["full", "lora", "soft-prompt"])
def test_load_gives_back_what_save_wrote(users, tune, view, small, texts, tmp_path):
    policy = fitted(view, small, tmp_path / "fit", users=users, tune=tune)
    policy.save(tmp_path / "model")
    again = Policy.load(tmp_path / "model")
    people = [None, *policy.users[:3]]
    assert np.array_equal(scored(again, texts, people), scored(policy, texts, people))
    assert again.users == policy.users
    assert again.losses == tuple(policy.losses)
    assert {path.suffix for path in (tmp_path / "model").iterdir()} == {".json", ".safetensors"}


@pytest.fixture
def saved(policy, tmp_path):
    policy.save(tmp_path / "saved")
    return tmp_path / "saved"


@pytest.mark.parametrize("name", ["users.shared", "language.model.embed_tokens.weight"])
def test_the_self_check_finds_changed_weights(saved, name):
    weights = load_file(saved / "policy.safetensors")
    weights[name] = weights[name] + 0.5
    save_file(weights, saved / "policy.safetensors")
    with pytest.raises(ArtifactError, match="does not score as when it was saved"):
        Policy.load(saved)


def test_lost_foreign_and_damaged_artifacts_are_named(saved, tmp_path):
    weights = load_file(saved / "policy.safetensors")
    save_file(
        {n: w for n, w in weights.items() if n != "users.states"}, saved / "policy.safetensors"
    )
    with pytest.raises(ArtifactError, match="does not fit"):
        Policy.load(saved)
    (saved / "policy.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ArtifactError, match="no readable policy"):
        Policy.load(saved)
    record = json.loads((saved / "policy.json").read_text())
    save_file(weights, saved / "policy.safetensors")
    (saved / "policy.json").write_text(json.dumps({**record, "version": 99}))
    with pytest.raises(ArtifactError, match="format 99"):
        Policy.load(saved)
    with pytest.raises(ArtifactError, match="no readable policy"):
        Policy.load(tmp_path / "nowhere")


def test_a_base_model_that_changed_is_found(view, tmp_path):
    base = write_model(tmp_path / "base")
    fitted(view, base, tmp_path / "fit").save(tmp_path / "saved")
    weights = load_file(base / "model.safetensors")
    weights = {name: weight + 0.1 for name, weight in weights.items()}
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    with pytest.raises(ArtifactError, match="have changed since"):
        Policy.load(tmp_path / "saved")


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_p_dpo_without_soft_tokens_is_dpo_to_the_bit(alpha, view, small, texts, tmp_path):
    """PO-02 (a), through the whole fit."""
    ctx = TrainContext(0, tmp_path / "a", CPU)
    plain, _ = fit_policy(view, DpoSettings(model=str(small), **QUICK), ctx)
    personal = fitted(view, small, tmp_path / "b", n_tokens=0, alpha=alpha)
    assert personal.losses == plain.losses
    assert plain.losses[0] != plain.losses[-1]
    assert np.array_equal(scored(personal, texts, [None]), scored(plain, texts, [None]))


def test_strangers_are_the_generic_user_and_users_differ(policy, texts):
    none, stranger, first, second = scored(policy, texts, [None, "stranger", *policy.users[:2]])
    assert np.array_equal(none, stranger)
    assert (none != first).all()
    assert (first != second).all()


def test_what_generation_needs(policy, texts):
    """log pi(y | x, u) from the public parts alone is `log_probs`."""
    user = policy.users[2]
    model, soft = policy.language_model(), policy.user_prompt(user)
    prompt = policy.prompt_ids(texts.prompts[0], user)
    end = policy.encoder.tokenizer.eos_token_id
    response = policy.encoder.tokenizer(texts.responses[0], add_special_tokens=False)["input_ids"]
    ids = torch.tensor([*prompt, *response, end])
    words = model.get_input_embeddings()(ids)
    at = policy.network.at
    with torch.no_grad():
        embeds = torch.cat([words[:at], soft, words[at:]])[None]
        logits = model(inputs_embeds=embeds).logits[0].double()
    assert soft.shape == (4, 64)
    assert prompt[0] == policy.encoder.tokenizer.bos_token_id
    begins = len(prompt) + 4
    follows = torch.log_softmax(logits, -1)[begins - 1 : -1]
    expected = float(follows.gather(1, ids[len(prompt) :, None]).sum())
    assert scored(policy, texts, [user])[0, 0] == pytest.approx(expected, rel=1e-6)
    assert torch.equal(policy.user_prompt("stranger"), policy.user_prompt(None))
    assert not torch.equal(policy.user_prompt(user), policy.user_prompt(None))


@pytest.mark.parametrize("tune", ["full", "lora", "soft-prompt"])
def test_the_reference_is_the_model_that_training_began_from(tune, view, small, texts, tmp_path):
    policy = fitted(view, small, tmp_path, tune=tune)
    untouched = load_language_model(policy.source, torch.float32)
    ids = torch.tensor([policy.prompt_ids(texts.prompts[0], None)])
    with torch.no_grad():
        expected = untouched(input_ids=ids).logits
        with policy.reference_model() as reference:
            assert torch.equal(reference(input_ids=ids).logits, expected)
        trained = policy.language_model()(input_ids=ids).logits
    assert torch.equal(trained, expected) == (tune == "soft-prompt")


def test_reference_texts_are_counted_once_and_kept(policy, texts, tmp_path):
    """Doubled texts, another batch size and other users cost nothing."""
    compute = replace(CPU, cache_dir=tmp_path)
    twice = Texts([*texts.prompts, *texts.prompts], [*texts.responses, *texts.responses])
    facts = (policy.source, policy.encoder, policy.reference_model)
    first = reference_log_probs(twice, *facts, compute)
    assert (first.n_encoded, first.n_found) == (len(texts), 0)
    assert np.array_equal(first.vectors[: len(texts)], first.vectors[len(texts) :])
    again = reference_log_probs(texts, *facts, replace(compute, batch_size=3))
    assert (again.n_encoded, again.n_found) == (0, len(texts))
    assert np.array_equal(again.vectors, first.vectors[: len(texts)])
    anew = reference_log_probs(texts, *facts, replace(CPU, batch_size=3)).vectors
    np.testing.assert_allclose(anew, again.vectors, atol=1e-4)


def test_only_rows_that_steps_reach_are_read(view, small, tmp_path):
    settings = PersonalSettings(model=str(small), **{**QUICK, "max_steps": 1, "pairs_per_step": 4})
    _, notes = fit_policy(view, settings, TrainContext(0, tmp_path, CPU))
    (note,) = [note for note in notes if note.startswith("reference")]
    assert int(note.split(" of ")[1].split()[0]) <= 8


def test_scoring_does_not_depend_on_the_batch(policy, texts):
    people = [None, *policy.users]
    expected = scored(policy, texts, people)
    np.testing.assert_allclose(
        scored(policy, texts, people, replace(CPU, batch_size=3)), expected, atol=1e-4
    )
    alone = scored(policy, texts, policy.users[:1])
    assert np.array_equal(alone[0], expected[1])


def with_profiles(prefs: Preferences) -> Preferences:
    kinds = pl.col("user_id").cast(pl.String).str.slice(5).cast(pl.Int32, strict=False) < 6
    said = pl.when(kinds).then(pl.lit("I like it warm.")).otherwise(pl.lit("Keep it dry."))
    mute = pl.col("user_id") == "user 03"
    votes = prefs.votes.with_columns(pl.when(~mute).then(said).alias("profile"))
    return replace(prefs, votes=votes)


def test_profiles_stand_in_the_prompt_of_both_branches_and_not_in_the_reference(
    view, small, texts, tmp_path
):
    """Where T_u is 0, two users with the same profile are the same."""
    settings = DpoSettings(model=str(small), use_profile=True, **QUICK)
    policy, _ = fit_policy(with_profiles(view), settings, TrainContext(0, tmp_path, CPU))
    assert "user 03" not in policy.users
    assert policy.user_prompt("user 00") is None
    told = policy.encoder.tokenizer.decode(policy.prompt_ids(texts.prompts[0], "user 00"))
    assert PREFACE + "I like it warm." in told
    assert PREFACE not in policy.encoder.tokenizer.decode(policy.prompt_ids(texts.prompts[0], None))
    none, warm, warm_too, dry = scored(policy, texts, [None, "user 00", "user 01", "user 08"])
    assert np.array_equal(warm, warm_too)
    assert (warm != dry).all()
    assert (warm != none).all()
    rows = np.arange(len(texts))
    ratio = policy.log_ratios(texts, rows, ["user 00"] * len(texts), CPU)
    reference = warm - ratio
    other = dry - policy.log_ratios(texts, rows, ["user 08"] * len(texts), CPU)
    np.testing.assert_allclose(reference, other, atol=1e-9)


@pytest.mark.parametrize("name", ["sft", "dpo"])
def test_a_newcomer_is_heard_where_profiles_are_read(name, view, small, texts, tmp_path):
    ctx = TrainContext(0, tmp_path, CPU)
    settings = {"model": str(small), "use_profile": True, **QUICK}
    method = make_method(name, settings).fit(with_profiles(view), ctx)
    newcomer = with_profiles(population()).filter(pl.col("user_split") == "unseen")
    adapted = method.adapt(support_view(newcomer), ctx)
    assert adapted.users == (*method.users, "user 12")
    rows, people = np.arange(len(texts)), ["user 12"] * len(texts)
    like = ["user 08"] * len(texts)
    assert np.array_equal(adapted.reward(texts, rows, people), method.reward(texts, rows, like))
    adapted.save(tmp_path / "model")
    again = type(method).load(tmp_path / "model", CPU)
    assert np.array_equal(again.reward(texts, rows, people), adapted.reward(texts, rows, people))


def test_a_stranger_is_scored_with_the_words_that_a_table_of_people_has(
    view, small, texts, tmp_path
):
    """Nothing that they judged is read: every label turned round leaves the scores as they are."""
    ctx = TrainContext(0, tmp_path, CPU)
    settings = {"model": str(small), "use_profile": True, **QUICK}
    method = make_method("dpo", settings).fit(with_profiles(view), ctx)
    run = FittedRun(Run(tmp_path, Identity("train", "dpo", {}, 0, {})), method)
    stranger = population().filter(pl.col("user_split") == "unseen")
    people = pl.DataFrame({"user_id": ["user 12", "x"], "profile": ["Keep it dry.", "-"]})
    told = run.introduced(stranger, people, tmp_path / "work")
    assert run.strangers(stranger) == ["user 12"]
    assert told.strangers(stranger) == []
    assert told.users == (*method.users, "user 12")
    found = told.score(stranger).frame["margin"]
    as_told = run.score(stranger, "user 08").frame["margin"]
    assert found.equals(as_told)
    assert not found.equals(run.score(stranger).frame["margin"])
    flipped = replace(stranger, votes=stranger.votes.with_columns(label=1 - pl.col("label")))
    again = run.introduced(flipped, people, tmp_path / "work")
    assert again.score(stranger).frame["margin"].equals(found)


@pytest.mark.parametrize("tune", ["full", "lora"])
def test_bfloat16_trains_saves_and_loads(tune, view, small, texts, tmp_path):
    settings = PersonalSettings(model=str(small), **{**QUICK, "tune": tune})
    half = replace(CPU, dtype="bfloat16")
    policy, _ = fit_policy(view, settings, TrainContext(0, tmp_path / "fit", half))
    policy.save(tmp_path / "model")
    again = Policy.load(tmp_path / "model")
    rows, people = np.arange(len(texts)), ["user 01"] * len(texts)
    expected = policy.log_ratios(texts, rows, people, CPU)
    assert np.array_equal(again.log_ratios(texts, rows, people, CPU), expected)
    assert np.isfinite(expected).all()


def test_profiles_that_nobody_has_are_an_error(view, small, tmp_path):
    settings = DpoSettings(model=str(small), use_profile=True, **QUICK)
    with pytest.raises(DataError, match="nobody says anything"):
        fit_policy(view, settings, TrainContext(0, tmp_path, CPU))


def test_a_profile_joins_the_system_message():
    turn = {"role": "user", "content": "Hi"}
    assert with_profile([turn], None) == [turn]
    system = {"role": "system", "content": "Be kind."}
    (first, second) = with_profile([system, turn], "I am tall.")
    assert first == {"role": "system", "content": f"{PREFACE}I am tall.\n\nBe kind."}
    assert second == turn


def test_a_table_of_users_wins_over_the_judgements(view):
    people = pl.DataFrame({"user_id": ["user 00", "user 03"], "profile": ["other", "mine"]})
    found = user_profiles(with_profiles(view), people)
    assert (found["user 00"], found["user 01"], found["user 03"]) == (
        "other", "I like it warm.", "mine",
    )  # fmt: skip


@pytest.mark.parametrize("name", ["p-dpo", "p-ipo"])
@pytest.mark.slow
def test_an_adapted_newcomer_is_found_and_saved(name, view, small, tmp_path):
    """A cluster model too: the mixture of a newcomer moves towards their kind."""
    settings = {"model": str(small), **STEPS, "users": "cluster", "users_learning_rate": "0.05"}
    settings["max_steps"] = 30
    ctx = TrainContext(0, tmp_path / "work", CPU)
    method = make_method(name, settings).fit(view, ctx)
    newcomer = population().filter(pl.col("user_split") == "unseen")
    adapted = method.adapt(support_view(newcomer), ctx)
    assert adapted.users == (*method.users, "user 12")
    adapted.save(tmp_path / "model")
    again = type(method).load(tmp_path / "model", CPU)
    assert again.users == adapted.users
    texts = Texts(*said(2))
    rows = np.arange(4)
    people = ["user 12"] * 4
    assert np.array_equal(again.reward(texts, rows, people), adapted.reward(texts, rows, people))
    assert not np.array_equal(
        adapted.reward(texts, rows, people), adapted.reward(texts, rows, [None] * 4)
    )


def test_an_sft_run_is_a_model_to_begin_from(view, small, texts, tmp_path):
    sft = make_method("sft", {"model": str(small), **STEPS}).fit(
        view, TrainContext(0, tmp_path / "work", CPU)
    )
    assert sft.policy.losses[0] > 1.5 * sft.policy.losses[-1]
    run = tmp_path / "run"
    sft.save(run / "model")
    finished(run)
    policy = fitted(view, run, tmp_path / "fit")
    with policy.reference_model() as reference:
        ids = torch.tensor([policy.prompt_ids(texts.prompts[0], None)])
        assert torch.equal(
            reference(input_ids=ids).logits, sft.policy.language_model()(input_ids=ids).logits
        )
    finished(tmp_path / "other")
    with pytest.raises(ArtifactError, match="none that wrote a whole language model"):
        fitted(view, tmp_path / "other", tmp_path / "fit")
    finished(run, status="started")
    with pytest.raises(ArtifactError, match="did not finish"):
        fitted(view, run, tmp_path / "fit")


def finished(folder, status="success"):
    """Makes a folder the run that says so of itself."""
    folder.mkdir(exist_ok=True)
    run = Run(folder, Identity("train", "sft", {}, 0, {}), {"status": status})
    (folder / MANIFEST).write_text(run.manifest())


@pytest.mark.parametrize("tune", ["full", "lora"])
def test_sft_learns_what_was_chosen_and_merges_its_adapters(tune, view, small, texts, tmp_path):
    settings = {"model": str(small), **STEPS, "tune": tune}
    method = make_method("sft", settings).fit(view, TrainContext(0, tmp_path / "work", CPU))
    assert not hasattr(method.policy.language_model(), "peft_config")
    rows = np.arange(len(texts))
    sums = method.reward(texts, rows, [None] * len(texts))
    a_token = replace(method, config=replace(method.config, length_normalize=True))
    lengths = method.policy.n_tokens(texts, rows)
    means = a_token.reward(texts, rows, [None] * len(texts))
    assert means == pytest.approx(sums / lengths)
    method.save(tmp_path / "model")
    again = type(method).load(tmp_path / "model", CPU)
    assert np.array_equal(again.reward(texts, rows, [None] * len(texts)), sums)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": "2", "max_steps": "3"}, "both given"),
        ({"alpha": "1.5"}, "'alpha' is 1.5"),
        ({"beta": "0"}, "'beta' is 0.0"),
        ({"tune": "soft-prompt", "n_tokens": "0"}, "nothing would be trained"),
        ({"loss": "exo_pair"}, "'label_smoothing' is 0"),
        ({"label_smoothing": "0.2"}, "which loss=sigmoid does not have"),
        ({"learning_rate": "inf"}, "'learning_rate' is inf"),
        ({"beta": "nan"}, "'beta' is nan"),
        ({"n_clusters": "0", "n_tokens": "-1"}, "'n_tokens' is -1"),
    ],
)
def test_settings_that_make_no_sense_are_refused_at_once(settings, message):
    with pytest.raises(UsageError) as error:
        make_method("pdpo", settings)
    assert message in "\n".join(error.value.problems)


def test_defaults_are_the_papers_except_for_the_embedded_model():
    paper = PersonalSettings(model="some/model")
    assert (paper.tuned, paper.rate, paper.users_rate) == ("lora", 5e-5, 5e-4)
    assert (paper.alpha, paper.n_tokens, paper.lora_rank, paper.lora_alpha) == (0.5, 10, 8, 16)
    assert paper.steps(23_299) == 2_914
    small, tiny = PersonalSettings(), PersonalSettings(model="builtin:tiny")
    for embedded in (small, tiny):
        assert (embedded.tuned, embedded.rate, embedded.users_rate) == ("full", 1e-3, 1e-2)
    assert (small.steps(23_299), small.window) == (200, None)
    assert (tiny.steps(23_299), tiny.window) == (50, 256)
    real = PersonalSettings(model="builtin:smollm2")
    assert (real.tuned, real.rate, real.steps(23_299)) == ("lora", 5e-5, 2_914)
    assert make_method("pipo", {}).config.loss == "ipo"
