"""The law of the house: an executed program equals the integer reference, bit for bit."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

import mho
from mho.chip import Chip
from mho.errors import ProgramError
from mho.network.samples import synthetic
from mho.program import Activate, Write
from tests.strategies import GREEDY, Sketch


@pytest.fixture
def small() -> mho.Program:
    sketch = Sketch(1, (1, 12, 30))
    sketch.linear(sketch.linear(sketch.layers[0], 20), 10)
    network = sketch.network()
    chip = Chip.load("aras").override(
        {
            "array.rows": 8,
            "array.columns": 16,
            "array.adcs": 1,
            "group.arrays": 2,
            "tile.groups": 1,
            "tiles": 3,
        },
        source="law",
    )
    return mho.compile(mho.number.quantise(network, synthetic(network, 2).inputs), chip, GREEDY)


def altered(program: mho.Program, place: int, **operands: object) -> mho.Program:
    instructions = list(program.instructions)
    instructions[place] = replace(instructions[place], **operands)
    return replace(program, instructions=tuple(instructions))


def turned(write: Write) -> tuple[tuple[int, int], ...]:
    """Return the groups of a write in reverse order, one by one."""
    groups = [group for first, last in write.groups for group in range(first, last)]
    assert len(groups) > 1
    return tuple((group, group + 1) for group in reversed(groups))


def test_executing_reads_what_the_writes_put_into_cells(small: mho.Program) -> None:
    """A program whose write puts blocks into each other's groups computes something else."""
    place = next(i for i, each in enumerate(small.instructions) if isinstance(each, Write))
    write = small.instructions[place]
    assert isinstance(write, Write)
    inputs = synthetic(small.network, 1).inputs
    (name,) = small.network.outputs
    wrong = mho.execute(altered(small, place, groups=turned(write)), inputs)[name]
    assert np.any(wrong != mho.execute(small, inputs)[name])


def test_verify_refuses_a_write_into_other_groups(small: mho.Program) -> None:
    place = next(i for i, each in enumerate(small.instructions) if isinstance(each, Write))
    write = small.instructions[place]
    assert isinstance(write, Write)
    result = mho.verify(altered(small, place, groups=turned(write)), synthetic(small.network, 1).inputs)
    assert not result.exact
    assert not result.ok
    assert any("does not hold" in each.text for each in result.illegal)


def test_executing_computes_with_the_programs_own_codes(small: mho.Program) -> None:
    """The program is legal, but its weights are not those of the reference it is compared with."""
    assert small.quantised is not None
    (name, *_) = small.quantised.matrices
    matrix = small.quantised.matrices[name]
    other = replace(
        small.quantised, matrices={**small.quantised.matrices, name: replace(matrix, codes=matrix.codes ^ 1)}
    )
    inputs = synthetic(small.network, 1).inputs
    keep = [layer.name for layer in small.network.matrix_layers]
    got, wanted = mho.execute(replace(small, quantised=other), inputs, keep=keep), mho.execute(small, inputs, keep=keep)
    assert np.any(got[name] != wanted[name])


def test_verify_finds_windows_left_out(small: mho.Program) -> None:
    place = next(i for i, each in enumerate(small.instructions) if isinstance(each, Activate))
    result = mho.verify(altered(small, place, windows=(0, 1)), synthetic(small.network, 1).inputs)
    assert not result.exact
    assert any("not each of 12 once" in each.text for each in result.illegal)


def test_verify_finds_windows_served_twice(small: mho.Program) -> None:
    """An activation is repeated by another of the same operands, before the layer is combined."""
    place = next(i for i, each in enumerate(small.instructions) if isinstance(each, Activate))
    old = small.instructions[place]
    assert isinstance(old, Activate)
    moved = [
        replace(
            each,
            after=tuple(sorted({j + (j >= place) for j in each.after} | ({place} if place in each.after else set()))),
        )
        for each in small.instructions[place + 1 :]
    ]
    again = replace(old, after=tuple(sorted({*old.after, place})))
    once = replace(old, release=False)
    twice = replace(small, instructions=(*small.instructions[:place], once, again, *moved))
    result = mho.verify(twice, synthetic(small.network, 1).inputs)
    assert not result.exact
    assert result.illegal
    assert all("not each of 12 once" in each.text for each in result.illegal)


def test_outputs_do_not_depend_on_what_is_run_together(small: mho.Program) -> None:
    inputs = synthetic(small.network, 4, seed=5).inputs[0]
    (name,) = small.network.outputs
    together = mho.execute(small, inputs)[name]
    alone = np.concatenate([mho.execute(small, inputs[i : i + 1])[name] for i in range(4)])
    assert np.array_equal(together, alone)


def test_shapes_alone_cannot_be_executed() -> None:
    program = mho.compile(mho.zoo.load("resnet20"), "aras", GREEDY)
    with pytest.raises(ProgramError, match="shapes alone"):
        mho.execute(program, np.zeros((1, 3, 32, 32)))


def test_weights_without_calibration_cannot_be_executed() -> None:
    program = mho.compile(mho.zoo.load("resnet20", weights="seeded"), "aras", GREEDY)
    with pytest.raises(ProgramError, match="not calibrated"):
        mho.execute(program, np.zeros((1, 3, 32, 32)))


def test_a_saved_program_is_the_same_program(small: mho.Program, tmp_path: Path) -> None:
    first, second = tmp_path / "a.mho", tmp_path / "b.mho"
    small.save(str(first))
    loaded = mho.Program.load(str(first))
    loaded.save(str(second))
    assert first.read_bytes() == second.read_bytes()
    assert loaded.listing() == small.listing()
    inputs = synthetic(small.network, 2, seed=9).inputs
    for name, values in mho.execute(small, inputs).items():
        assert np.array_equal(values, mho.execute(loaded, inputs)[name])
    assert mho.simulate(loaded).to_dict() == mho.simulate(small).to_dict()


@pytest.mark.parametrize("keep", [0, 10, 100, 1000])
def test_a_truncated_program_file_is_refused(small: mho.Program, tmp_path: Path, keep: int) -> None:
    path = tmp_path / "x.mho"
    small.save(str(path))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ProgramError, match="not a whole program file"):
        mho.Program.load(str(path))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, str]:
    """A saved program of a few instructions, and its listing."""
    sketch = Sketch(1, (1, 3), integers=True)
    sketch.linear(sketch.embedding(sketch.layers[0], 4, 5), 3)
    network = sketch.network()
    program = mho.compile(
        mho.number.quantise(network, synthetic(network, 2).inputs), "aras", GREEDY.with_(residency="never")
    )
    path = tmp_path_factory.mktemp("saved") / "x.mho"
    program.save(str(path))
    return path.read_bytes(), program.listing()


def refused_or_loaded(content: bytes, path: Path) -> str:
    """Load a file that may be damaged and return its listing, or "" where it is refused; another error is the loader's."""
    path.write_bytes(content)
    try:
        program = mho.Program.load(str(path))
    except ProgramError as error:
        assert "\n" not in str(error)
        return ""
    assert program.listing()
    return program.listing()


def damaged(content: bytes, generator: np.random.Generator) -> bytes:
    """Flip one to three bits, or set one to three bytes to others."""
    held = bytearray(content)
    bits = generator.random() < 0.5
    for place in generator.integers(0, len(held), generator.integers(1, 4)):
        held[place] = held[place] ^ (1 << generator.integers(8)) if bits else generator.integers(256)
    return bytes(held)


def test_a_file_with_flipped_bits_is_refused_or_loads_as_it_was(saved: tuple[bytes, str], tmp_path: Path) -> None:
    content, listing = saved
    generator = np.random.default_rng(0)
    loaded = 0
    for _ in range(300):
        if refused_or_loaded(damaged(content, generator), tmp_path / "x.mho"):
            loaded += 1
            assert mho.Program.load(str(tmp_path / "x.mho")).listing() == listing
    assert loaded < 300


@pytest.mark.parametrize("every", [pytest.param(8, marks=pytest.mark.nightly), 1], ids=["every bit", "a bit a byte"])
def test_bits_of_the_archive_s_directory_may_be_flipped(saved: tuple[bytes, str], tmp_path: Path, every: int) -> None:
    """Among them the method of compression: other decompressors raise errors of their own."""
    content, listing = saved
    first = content.index(b"PK\x01\x02")
    place = content.index(b"arrays/0.npy", first)
    for at in (*range(first, first + 46), *range(place - 46, place), *range(len(content) - 22, len(content))):
        for bit in range(8) if every == 8 or at in (first + 10, place - 36) else [at % 8]:
            flipped = content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]
            assert refused_or_loaded(flipped, tmp_path / "x.mho") in ("", listing)


@pytest.mark.parametrize("method", [1, 6, 9, 12, 14, 93, 95, 99])
def test_another_method_of_compression_is_refused(saved: tuple[bytes, str], tmp_path: Path, method: int) -> None:
    content, _ = saved
    at = content.index(b"PK\x01\x02") + 10
    assert not refused_or_loaded(content[:at] + bytes([method]) + content[at + 1 :], tmp_path / "x.mho")


def rezipped(content: bytes, path: Path, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """Change what one entry of the archive holds, sums of check made anew, so that the readers behind it see it."""
    with zipfile.ZipFile(BytesIO(content)) as old, zipfile.ZipFile(path, "w") as new:
        for entry in old.namelist():
            held = old.read(entry)
            new.writestr(entry, change(held) if entry == name else held)
    return path.read_bytes()


@pytest.mark.parametrize("entry", ["program.json", "arrays/0.npy"])
def test_damage_behind_the_archive_s_checksums_is_refused_or_loads(
    saved: tuple[bytes, str], tmp_path: Path, entry: str
) -> None:
    content, _ = saved
    generator = np.random.default_rng(1)
    for _ in range(200):
        flipped = rezipped(content, tmp_path / "new.zip", entry, lambda held: damaged(held, generator))
        refused_or_loaded(flipped, tmp_path / "x.mho")


def test_damage_to_what_stands_before_an_array_is_refused_or_loads(saved: tuple[bytes, str], tmp_path: Path) -> None:
    """The shape, type and order of an array: some of what they may say asks for more memory than there is."""
    content, _ = saved
    generator = np.random.default_rng(2)
    for _ in range(200):
        flipped = rezipped(
            content, tmp_path / "new.zip", "arrays/1.npy", lambda held: damaged(held[:80], generator) + held[80:]
        )
        refused_or_loaded(flipped, tmp_path / "x.mho")


def test_an_array_larger_than_any_memory_is_refused(saved: tuple[bytes, str], tmp_path: Path) -> None:
    content, _ = saved

    def vast(held: bytes) -> bytes:
        start = held.index(b"'shape': (")
        end = held.index(b")", start)
        header = held[:start] + b"'shape': (99999999999999, 99" + held[end:]
        return header

    flipped = rezipped(content, tmp_path / "new.zip", "arrays/0.npy", vast)
    assert not refused_or_loaded(flipped, tmp_path / "x.mho")


EVERYWHERE: list[tuple[str | int, ...]] = [
    (), ("chip",), ("network",), ("network", "layers", 0), ("network", "layers", 1), ("network", "layers", 2),
    ("network", "layers", 1, "table"), ("quantised",), ("quantised", "matrices", "linear2"),
    ("quantised", "tables", "embedding1"), ("quantised", "codes", "embedding1"), ("strategy",),
    ("instructions", 0),
]  # fmt: skip


@pytest.mark.parametrize("where", EVERYWHERE, ids=str)
def test_an_unknown_key_is_refused(saved: tuple[bytes, str], tmp_path: Path, where: tuple[str | int, ...]) -> None:
    content, _ = saved

    def added(held: bytes) -> bytes:
        record = json.loads(held)
        here = record
        for key in where:
            here = here[key]
        here["surplus"] = 1
        return json.dumps(record).encode()

    assert refused_or_loaded(
        rezipped(content, tmp_path / "a.zip", "program.json", lambda held: held), tmp_path / "x.mho"
    )
    assert not refused_or_loaded(rezipped(content, tmp_path / "b.zip", "program.json", added), tmp_path / "x.mho")


@pytest.mark.parametrize("where", EVERYWHERE, ids=str)
def test_a_missing_key_is_refused(saved: tuple[bytes, str], tmp_path: Path, where: tuple[str | int, ...]) -> None:
    content, _ = saved
    with zipfile.ZipFile(BytesIO(content)) as archive:
        record = json.loads(archive.read("program.json"))
    here = record
    for key in where:
        here = here[key]
    for gone in here:
        text = json.loads(json.dumps(record))
        inside = text
        for key in where:
            inside = inside[key]
        del inside[gone]
        changed = rezipped(content, tmp_path / "a.zip", "program.json", lambda _, text=text: json.dumps(text).encode())
        if refused_or_loaded(changed, tmp_path / "x.mho"):
            # Keys of a layer that have a default, and descriptions, may be left out.
            assert where[:2] == ("network", "layers") or (where, gone) == (("chip",), "description"), gone


def test_the_rules_on_what_is_written_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that is legal as written is judged by its times alone after it has been executed."""
    from mho.program import legality

    judged: list[mho.Program] = []
    shape_rules = legality.shape_rules
    monkeypatch.setattr(legality, "shape_rules", lambda facts: judged.append(facts.program) or shape_rules(facts))
    network = mho.zoo.load("resnet20", weights="seeded", input_size=8)
    samples = np.random.default_rng(0).random((1, 3, 8, 8))
    program = mho.compile(mho.number.quantise(network, samples), "aras", "overlap")
    assert mho.verify(program, samples)
    assert len(judged) == 1
    late = (legality.Violation(0, "too early"),)
    monkeypatch.setattr(sys.modules["mho.machine.verify"], "time_violations", lambda program, times: late)
    assert mho.verify(program, samples).illegal == late
