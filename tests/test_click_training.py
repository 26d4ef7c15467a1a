"""Training on clicks: resumed is as if never interrupted, integers are what a chip computes, files are whole recommenders."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mho
from mho.errors import NumberError, OptionError, TraceError, WeightError
from mho.files.tensors import read_tensors, write_tensors
from mho.machine.recommender import load, open_real, open_recommender, save
from mho.machine.recommender.joined import joined
from mho.network.trace.padded import padded
from mho.network.zoo.interaction import MODELS, Genotype
from mho.network.zoo.interaction.description import Dense, Sparse
from mho.network.zoo.interaction.handmade import HAND_MADE
from mho.number.bits import BYTES
from mho.number.reference import run_reference
from mho.training.clicks import Settings, Training, judge, scores
from tests.click_logs import synthetic_clicks
from tests.test_handmade import SMALL

CLICKS = synthetic_clicks(1500)
QUICK = Settings(dimension=3, epochs=3, batch=128, rate=0.02, decay=1e-4, drop=0.1)


def states(training: Training) -> dict[str, np.ndarray]:
    """Return everything that a training goes on from."""
    return {name: tensor.numpy() for name, tensor in training.state()[0].items()}


def same(one: Training, other: Training) -> bool:
    first, second = states(one), states(other)
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a training."""
    path = tmp_path_factory.mktemp("kept") / "model.safetensors"
    trained("deepfm", epochs=1, bits="4/8").save(path)
    return path


def trained(kind: str = "fm", **changes: object) -> Training:
    training = Training(CLICKS, SMALL[kind], replace(QUICK, **changes))  # type: ignore[arg-type]
    training.run()
    return training


@pytest.mark.parametrize(("kind", "bits"), [("dlrm", None), ("deepfm", "4/8"), ("autoint", "deep.*=2/4,*=8")])
def test_a_training_that_goes_on_from_its_file_ends_as_one_that_never_stopped(kind, bits, tmp_path):
    whole, path = trained(kind, bits=bits), tmp_path / "model.safetensors"
    part = Training(CLICKS, SMALL[kind], replace(QUICK, bits=bits))
    part.run(epochs=1)
    part.save(path)
    again = Training.resume(CLICKS, path)
    assert again.done == 1 and same(again, part)
    again.run()
    assert same(again, whole) and again.losses == whole.losses


def test_an_epoch_that_is_interrupted_leaves_the_one_before():
    training, before = Training(CLICKS, SMALL["fm"], QUICK), Training(CLICKS, SMALL["fm"], QUICK)
    for each in (training, before):
        each.run(epochs=1)
    step, steps = training.optimiser.step, []

    def interrupted(*given: object, **named: object) -> None:
        steps.append(step(*given, **named))
        if len(steps) == 3:
            raise KeyboardInterrupt

    training.optimiser.step = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        training.run()
    assert same(training, before)
    training.optimiser.step = step  # type: ignore[method-assign]
    training.run()
    assert same(training, trained("fm"))


def test_training_learns_what_pairs_of_ids_say():
    first, pairs = (judge(trained(kind, epochs=8).recommender(), CLICKS, "test") for kind in ("lr", "fm"))
    assert 0.6 < first.auc < pairs.auc and pairs.log_loss < first.log_loss < np.log(2)


@pytest.mark.parametrize("kind", SMALL)
def test_integers_of_a_trained_model_are_what_a_chip_computes(kind):
    recommender = trained(kind, epochs=1, bits="4/8").recommender()
    records = CLICKS.test.x[:6]
    reduced = recommender.reduce(CLICKS.trace("test"))[:6]
    program = mho.compile(recommender.for_batch(3), "isaac")
    vectors = recommender.vectors(reduced)
    executed = np.concatenate([mho.execute(program, vectors[at : at + 3])["score"][:, 0] for at in (0, 3)])
    np.testing.assert_array_equal(executed, scores(recommender, records))
    assert all(matrix.bits == 4 for matrix in recommender.dense.matrices.values())


@pytest.mark.parametrize("kind", ["lr", "deepfm", "dlrm"])
def test_tables_and_dense_part_are_one_network(kind):
    recommender, trace = trained(kind, epochs=1, bits="4/8").recommender(), CLICKS.trace("test")
    some = trace.select(slice(0, 12 * CLICKS.fields))
    whole = joined(recommender, 4, [1] * CLICKS.fields)
    np.testing.assert_array_equal(
        run_reference(whole, padded(some))["score"][:, 0], recommender.predict(recommender.reduce(some))
    )


@pytest.mark.parametrize("kind", ["dlrm", "deepfm"])
def test_vectors_of_tables_reach_the_dense_part_without_an_error(kind):
    recommender = trained(kind, epochs=1).recommender()
    reduced = recommender.reduce(CLICKS.trace("valid"))
    code = recommender.dense.codes["vectors"]
    np.testing.assert_array_equal(np.rint(recommender.vectors(reduced) / code.scale), reduced)


@pytest.mark.parametrize("kind", SMALL)
def test_a_file_is_the_recommender_whatever_its_model(kind, tmp_path):
    training, path = trained(kind, epochs=1, bits="3/7"), tmp_path / "a.safetensors"
    training.save(path)
    recommender, opened, real = training.recommender(), open_recommender(path), open_real(path)
    assert opened.part == recommender.part == real.part and opened.dense.bits == recommender.dense.bits
    x = CLICKS.valid.x[:50]
    np.testing.assert_array_equal(scores(opened, x), scores(recommender, x))
    np.testing.assert_array_equal(scores(real, x), scores(training.real(), x))
    save(opened, tmp_path / "b.safetensors")
    np.testing.assert_array_equal(scores(load(tmp_path / "b.safetensors"), x), scores(opened, x))


def test_training_ends_where_nothing_gets_better_and_keeps_the_best():
    training = trained("deepfm", epochs=40, patience=2, rate=0.05)
    assert training.done < 40 and training.done - training.best_epoch == 2
    assert training.valid[training.best_epoch - 1] == min(training.valid)
    assert judge(training.real(), CLICKS, "valid").log_loss == pytest.approx(min(training.valid), rel=1e-5)


def test_epochs_in_real_numbers_come_first_and_none_of_them_is_kept():
    coded, real = trained("deepfm", epochs=5, bits="4/8", real=0.4), trained("deepfm", epochs=5)
    assert (coded.real_epochs, real.real_epochs) == (2, 0)
    assert coded.losses[:2] == real.losses[:2] and coded.valid[:2] == real.valid[:2]
    assert coded.losses[2] != real.losses[2] and coded.best_epoch > 2
    assert trained("deepfm", epochs=2, bits="4/8", real=0.0).losses[0] != real.losses[0]
    assert trained("deepfm", epochs=2, bits="4/8", real=1.0).real_epochs == 1


def test_real_numbers_end_where_they_bring_nothing_better_and_bits_begin_with_the_best_of_them():
    training = Training(CLICKS, SMALL["deepfm"], replace(QUICK, epochs=40, patience=2, rate=0.05, bits="4/8"))
    while not training.valid or training.real_epochs == 20:
        training.run(epochs=1)
    assert training.done == training.real_epochs < 20 and training.done - training.best_epoch == 2
    best, begun = training.best, {}

    def step(*given: object, **named: object) -> None:
        begun.update({name: parameter.detach().clone() for name, parameter in training.parameters.items()})
        raise KeyboardInterrupt

    training.optimiser.step = step  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        training.run(epochs=1)
    assert all(np.array_equal(begun[name], best[name]) for name in begun)


def test_tables_without_quantised_training_have_eight_bits():
    training = trained("deepfm")
    real, integers = (judge(each, CLICKS, "test") for each in (training.real(), training.recommender()))
    assert abs(real.log_loss - integers.log_loss) < 5e-3


def test_a_searched_model_is_trained_at_its_own_bits_and_kept(tmp_path):
    model = Genotype(
        dense=(Dense("fc", 6, (0,), (4, 4)), Dense("dot", 5, (0, 1), (2, 8), vectors=(0, 1))),
        sparse=(Sparse("attention", 3, (0,), (4, 8)),),
        ends=(2, 1),
        wide=True,
    )
    training, path = Training(CLICKS, model, replace(QUICK, epochs=1)), tmp_path / "model.safetensors"
    training.run()
    training.save(path)
    assert same(Training.resume(CLICKS, path), training)
    recommender, x = open_recommender(path), CLICKS.test.x[:4]
    given = {name: recommender.dense.bits.get(name, BYTES) for name in recommender.dense.matrices}
    assert {name: str(each) for name, each in given.items()} == model.layer_bits(CLICKS.fields, QUICK.dimension)
    program = mho.compile(recommender.for_batch(4), "isaac")
    vectors = recommender.vectors(recommender.reduce(CLICKS.trace("test"))[:4])
    np.testing.assert_array_equal(mho.execute(program, vectors)["score"][:, 0], scores(recommender, x))


def test_every_hand_made_model_trains():
    assert {model.kind for model in HAND_MADE} == set(SMALL)


def test_what_cannot_be_trained_is_refused(tmp_path):
    for changes, kind in (({"epochs": 0}, OptionError), ({"drop": 1.0}, OptionError), ({"bits": "4/9"}, NumberError)):
        with pytest.raises(kind):
            replace(QUICK, **changes)
    with pytest.raises(OptionError, match="unknown settings 'rat'"):
        Settings.of({"rat": 1})
    alone = replace(CLICKS, y=np.where(CLICKS.fold == 1, 0, CLICKS.y).astype(np.uint8))
    with pytest.raises(TraceError, match="fold valid are not of both labels"):
        Training(alone, MODELS["lr"](), QUICK)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": {"model": "deepfm", "hidden": [60000, 60000]}}, "has shape"),
        ({"model": {"model": "deepmf"}}, "did you mean deepfm"),
        ({"settings": {"dimension": 4}}, "has shape"),
        ({"settings": {"rates": 1}}, "unknown settings 'rates'"),
        ({"losses": [0.5, 0.4]}, "2 epochs, but losses"),
        ({"losses": None}, "not as mho writes it"),
        ({"digest": "none"}, "trained on other clicks"),
    ],
)
def test_a_file_that_says_other_things_of_itself_is_refused(changes, said, kept, tmp_path):
    arrays, metadata = read_tensors(kept)
    about = {**json.loads(metadata["training"]), **changes}
    write_tensors(tmp_path / "other.safetensors", arrays, {**metadata, "training": json.dumps(about)})
    with pytest.raises(WeightError, match=f"other.safetensors: .*{said}"):
        Training.resume(CLICKS, tmp_path / "other.safetensors")


def test_a_tensor_of_another_shape_is_refused(kept, tmp_path):
    arrays, metadata = read_tensors(kept)
    for name in (
        "state.best.tables",
        "state.adam.exp_avg.top.weight",
        "state.graph.ranges",
        "state.valid",
        "codes.top",
    ):
        path = tmp_path / "other.safetensors"
        write_tensors(path, {**arrays, name: np.zeros((3, 7), dtype=arrays[name].dtype)}, metadata)
        with pytest.raises(WeightError, match=r"other\.safetensors"):
            open_recommender(path) if name.startswith("codes") else Training.resume(CLICKS, path)


def test_a_file_of_other_clicks_is_refused(tmp_path: Path):
    path = tmp_path / "model.safetensors"
    trained("lr").save(path)
    with pytest.raises(WeightError, match=r"model.safetensors: trained on other clicks"):
        Training.resume(synthetic_clicks(1500, seed=1), path)
    with pytest.raises(WeightError, match="not a recommender"):
        save(trained("lr").recommender(), path)
        Training.resume(CLICKS, path)
    assert Training.resume.__name__ == "read_checkpoint"
