"""Every report is what its schema and its documentation say, and its parts add up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.machine.report import FIELDS, LATER
from mho.network.graph import Network
from tests.strategies import ALONE, GREEDY, chips, networks

few = settings(max_examples=20)
names = st.sampled_from(ALONE)
residencies = st.sampled_from(["auto", "never"])
SCHEMA = json.loads((files("mho.report") / "report.schema.json").read_text(encoding="utf-8"))


def content_of(network: Network, chip: Chip | str, schedule: str, residency: str = "auto") -> dict[str, Any]:
    return mho.simulate(mho.compile(network, chip, GREEDY.with_(schedule=schedule, residency=residency))).to_dict()


def checked(content: Any) -> Any:
    """Validate as a reader of report.json would, after a round trip through JSON."""
    data = json.loads(json.dumps(content, allow_nan=False))
    jsonschema.Draft202012Validator(SCHEMA).validate(data)
    return data


def objects(schema: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every record of a schema with the path of its fields."""
    if schema.get("properties"):
        yield prefix, schema
        for name, field in schema["properties"].items():
            yield from objects(field, f"{prefix}{name}.")
            yield from objects(field.get("items", {}), f"{prefix}{name}[].")


@few
@given(networks, chips(), names, residencies)
def test_every_report_fits_the_schema(network: Network, chip: Chip, schedule: str, residency: str) -> None:
    checked(content_of(network, chip, schedule, residency))


@few
@given(networks, chips(), names, residencies)
def test_energies_by_kind_by_component_and_by_layer_each_sum_to_the_total(
    network: Network, chip: Chip, schedule: str, residency: str
) -> None:
    content = content_of(network, chip, schedule, residency)
    energy = content["energy_j"]
    assert energy["total"] > 0
    assert sum(energy["by_kind"].values()) == pytest.approx(energy["total"], rel=1e-9)
    assert sum(energy["by_component"].values()) == pytest.approx(energy["total"], rel=1e-9)
    assert sum(layer["energy_j"] for layer in content["layers"]) == pytest.approx(energy["total"], rel=1e-9)
    area = content["area_m2"]
    assert sum(area["by_component"].values()) == pytest.approx(area["total"], rel=1e-9)


@few
@given(networks, chips(), names, residencies)
def test_headline_numbers_agree_with_each_other(network: Network, chip: Chip, schedule: str, residency: str) -> None:
    content = content_of(network, chip, schedule, residency)
    # A stream's inferences follow one another at its interval.
    period = content.get("stream", {}).get("interval_s", content["latency_s"])
    assert content["throughput_per_s"] * period == pytest.approx(network.batch, rel=1e-9)
    assert content["lower_bound_s"] == max(content["bound_arguments_s"].values())
    assert content["bound_ratio"] >= 1 - 1e-9
    assert content["groups"]["peak"] <= content["groups"]["total"] == chip.groups
    assert 0 <= content["groups"]["mean_occupancy"] <= content["groups"]["peak"] / chip.groups + 1e-9
    ends = [layer["compute_end_s"] for layer in content["layers"] if layer["compute_end_s"] is not None]
    assert max(ends) <= content["latency_s"] * (1 + 1e-12)


def test_networks_known_by_shape_alone_fit_the_schema_and_say_so() -> None:
    content = checked(content_of(mho.zoo.load("resnet20"), "aras", "overlap"))
    assert content["model"]["weights_origin"] == "none (shapes only)"
    assert any("shapes alone" in note for note in content["notes"])


def test_the_result_of_a_verification_is_told() -> None:
    program = mho.compile(mho.zoo.load("resnet20"), "aras", GREEDY.with_(schedule="overlap"))
    content = checked(mho.simulate(program, verified="bit-exact on 1 sample").to_dict())
    assert content["verified"] == "bit-exact on 1 sample"
    assert any("bit-exact on 1 sample" in note for note in content["notes"])


def test_every_field_is_required_but_later_ones_and_no_other_is_allowed() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert list(SCHEMA["properties"]) == list(FIELDS)
    for path, schema in objects(SCHEMA):
        later = LATER if not path else frozenset()
        assert schema["required"] == [name for name in schema["properties"] if name not in later], path
        assert schema["additionalProperties"] is False, path


@pytest.mark.parametrize("broken", ["latency_s", "energy_j", "layers"])
def test_the_schema_refuses_a_report_that_lacks_a_field(broken: str) -> None:
    content = content_of(mho.zoo.load("resnet20"), "aras", "naive")
    del content[broken]
    with pytest.raises(jsonschema.ValidationError, match=broken):
        checked(content)


def test_the_schema_refuses_a_field_that_is_not_documented() -> None:
    content = content_of(mho.zoo.load("resnet20"), "aras", "naive")
    content["layers"][0]["colour"] = "blue"
    with pytest.raises(jsonschema.ValidationError, match="colour"):
        checked(content)


def test_every_field_is_documented_with_the_words_of_the_schema() -> None:
    text = (Path(__file__).parent.parent / "docs" / "report.md").read_text(encoding="utf-8")
    for path, schema in objects(SCHEMA):
        for name, field in schema["properties"].items():
            assert f"| `{path}{name}` |" in text
            assert field["description"] in text


def test_same_program_same_report() -> None:
    network = mho.zoo.load("resnet20")
    first, second = (content_of(network, "aras", "overlap") for _ in range(2))
    assert json.dumps(first) == json.dumps(second)
    assert content_of(replace(network, name="other"), "aras", "overlap")["model"]["name"] == "other"
