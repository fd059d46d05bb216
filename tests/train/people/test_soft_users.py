import pytest
import torch
from torch.nn.functional import one_hot

from plt.errors import UsageError
from plt.train.people.shape import UserModelShape
from plt.train.people.soft_users import GENERIC, UserModel, make_user_model, starting_rows

D = 6
SHAPES = {
    "uniform": UserModelShape("uniform", 3),
    "individual": UserModelShape("individual", 3),
    "no e_0": UserModelShape("individual", 3, generic_offset=False),
    "cluster": UserModelShape("cluster", 3, n_clusters=2),
    "any weights": UserModelShape("cluster", 3, n_clusters=2, simplex=False),
}


def words(n=50, seed=0):
    torch.manual_seed(seed)
    return torch.nn.Embedding(n, D)


def made(shape, n_users=4, start="vocabulary", seed=0):
    generator = torch.Generator().manual_seed(seed)
    rows, _ = starting_rows(words(), shape.n_prompts(n_users) * shape.n_tokens, start, generator)
    return make_user_model(shape, n_users, rows, generator)


def gradients(model, users):
    model.zero_grad()
    weights = torch.arange(1.0, len(users) * 3 * D + 1).reshape(len(users), 3, D)
    (model(torch.tensor(users)) * weights).sum().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("name", SHAPES)
def test_the_table_has_a_row_for_everybody_and_the_generic_user(name):
    model = made(SHAPES[name])
    table = model.table()
    assert table.shape == (5, 3, D)
    users = torch.tensor([3, 0, 3, 1])
    assert torch.equal(model(users), table[users])
    different = len({tuple(row.flatten().tolist()) for row in table})
    assert different == (1 if name == "uniform" else 5)


def test_an_individual_begins_as_the_sum_of_two_words_and_no_word_serves_twice():
    model, table = made(SHAPES["individual"]), words().weight.detach()
    drawn = torch.cat([model.shared[None], model.states]).detach().reshape(-1, D)
    which = (drawn[:, None] == table[None]).all(-1)
    assert which.sum(1).tolist() == [1] * 15
    assert which.any(0).sum() == 15
    assert torch.equal(model.table()[2], model.shared + model.states[1])


def test_more_soft_tokens_than_words_do_not_fail_and_are_said():
    rows, note = starting_rows(words(7), 20, "vocabulary", torch.Generator().manual_seed(0))
    which = (rows[:, None] == words(7).weight[None]).all(-1).float()
    assert which.sum(1).tolist() == [1] * 20
    assert set(which.sum(0).tolist()) == {2, 3}
    assert note == (
        "20 soft tokens began as the 7 words of the vocabulary, which are fewer: words stand up to"
        " 3 times"
    )


def test_uniform_start_lies_in_the_unit_cube():
    rows, note = starting_rows(words(), 400, "uniform", torch.Generator().manual_seed(0))
    assert note is None
    assert rows.abs().max() <= 0.5
    assert abs(rows.var().item() - 1 / 12) < 0.01


def test_clusters_without_simplex_and_one_hot_weights_are_individuals():
    """RM-05 (b): K = U + 1, W = identity."""
    alone = made(SHAPES["no e_0"])
    table = alone.table().detach()
    shape = UserModelShape("cluster", 3, n_clusters=5, simplex=False)
    weights = torch.eye(5)
    clusters = UserModel(shape, table, weights[0], weights[1:])
    assert torch.equal(clusters.table(), table)
    users = [1, 4, 0, 1]
    found, expected = gradients(clusters, users)["shared"], gradients(alone, users)
    assert torch.equal(found[1:], expected["states"])
    assert torch.equal(found[0], expected["shared"])


def test_simplex_weights_are_a_convex_mixture():
    model = made(SHAPES["cluster"])
    with torch.no_grad():
        model.states[0] = 100 * one_hot(torch.tensor(1), 2)
        model.states[1] = 0
    assert torch.allclose(model.table()[1], model.shared[1])
    assert torch.allclose(model.table()[2], model.shared.mean(0))


@pytest.mark.parametrize("name", ["no e_0", "cluster", "any weights"])
def test_without_the_generic_branch_its_row_does_not_move(name):
    """RM-05 (d) at alpha = 1."""
    found = gradients(made(SHAPES[name]), [1, 2, 3, 4])
    row = found["shared" if name == "no e_0" else "generic"]
    assert not row.any()
    assert found["states"].flatten(1).any(1).all()


def test_e_0_moves_through_individuals():
    """RM-05 (d): non-zero on e_0 when e_i = e_0 + o_i."""
    assert gradients(made(SHAPES["individual"]), [1, 2, 3, 4])["shared"].any()


@pytest.mark.parametrize("name", ["individual", "no e_0", "cluster"])
def test_without_the_users_branch_no_user_moves(name):
    """RM-05 (d) at alpha = 0; the gradient is there, and zero, for processes to agree on."""
    assert not gradients(made(SHAPES[name]), [GENERIC] * 4)["states"].any()


def test_users_without_offset_are_the_generic_user():
    """RM-05 (e)."""
    model = made(SHAPES["individual"])
    model = model.with_states(torch.zeros_like(model.states))
    assert torch.equal(model.table(), model.table()[:1].expand(5, -1, -1))


@pytest.mark.parametrize("name", SHAPES)
def test_a_newcomer_begins_as_the_generic_user(name):
    model = made(SHAPES[name])
    state = model.newcomer_state()
    table = model.with_states(torch.stack([state, state])).table()
    assert torch.equal(table, model.table()[:1].expand(3, -1, -1))


@pytest.mark.parametrize("kind", ["uniform", "individual", "cluster"])
def test_no_soft_tokens_are_an_empty_table_that_nothing_trains(kind):
    model = made(UserModelShape(kind, 0))
    assert model.table().shape == (5, 0, D)
    assert not model.shape.personal
    trained = [p.numel() for p in model.parameters() if p.requires_grad]
    assert 0 not in trained


def test_impossible_user_models_are_refused_with_every_problem():
    with pytest.raises(UsageError) as caught:
        UserModelShape("tribe", -1, 0)
    assert len(caught.value.problems) == 3
    assert caught.value.hint == "--set users=individual --set n_tokens=10"
