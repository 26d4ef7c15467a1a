"""What stands between the levels in the cells and the integers of the digital side: converters, devices, wires.

An `Analog` is read from a YAML file of schema mho.analog/1, or built in Python; whatever is left out takes the value that
stands below, and `to_dict` shows all values in effect. Sums are in *level x input steps*: 1 is what a cell one level above
off adds where its row is driven with the smallest step of the DAC.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from mho.errors import AnalogError, MhoError, choices
from mho.files.text import read_yaml
from mho.machine.analog.devices import Device
from mho.quantity import Document, Part, one_line, part_of

SCHEMA = "mho.analog/1"
DEVICE = "device."
"""Prefix of the keys of the device."""

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Adc(Part):
    """The converter behind the columns of an array.

    `bits`: a number, `chip` (what the chip file says), or `ideal` (neither rounds nor clips). It has 2^bits codes: 0 to
    2^bits - 1, or for differential pairs -2^(bits-1) + 1 to 2^(bits-1) - 1. `range` says which sum the highest code stands for:

    - `full`: the largest sum that the fullest column of a layer can give (`Blocks.fullest`). Where all sums are whole
      levels, steps are never below 1, so that an ADC with bits to spare is exact; so too for `calibrated`.
    - `fixed`: `limit`; a 6-bit ADC with limit 63 has steps of 1 and clips above 63.
    - `calibrated`: the given percentile of the magnitudes seen on samples (`mho.machine.calibrate`), for each layer, or for
      each slice of its weights (`per`).

    `gain_error` and `offset_error` (in steps) are the spreads of what differs from one ADC to the next; `effective_bits` (ENOB)
    below `bits` adds noise to each conversion, so that noise and rounding together are those of an ideal ADC of so many bits:
    variance step^2 (4^(bits - effective_bits) - 1) / 12 (IEEE Std 1241, effective number of bits).
    """

    bits: Annotated[int, Field(ge=1, le=24)] | Literal["chip", "ideal"] = Field(
        "chip", description="a number, chip (what the chip's file says), or ideal (neither rounds nor clips)"
    )
    range: Literal["full", "fixed", "calibrated"] = Field(
        "full",
        description="what the highest code stands for: the largest sum there can be, `limit`, or one seen on samples",
    )
    limit: Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)] | None = Field(
        None, description="of range fixed: the sum of the highest code, in levels x input steps"
    )
    percentile: Annotated[float, Field(gt=0, le=100)] | None = Field(
        None, description="of range calibrated: the share of sums in % that are within; 100, all, where it is not given"
    )
    per: Literal["layer", "slice"] = Field(
        "layer", description="of range calibrated: one range a layer, or one for each slice of its weights"
    )
    gain_error: Share = Field(0.0, description="spread of the gain from one ADC to the next, 0 to 1")
    offset_error: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] = Field(
        0.0, description="spread of the offset from one ADC to the next, in steps"
    )
    effective_bits: Annotated[float, Field(ge=0.5, le=24)] | None = Field(
        None, description="ENOB, below bits: noise that makes the ADC as good as an ideal one of so many bits"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Adc:
        if (self.limit is not None) != (self.range == "fixed"):
            raise ValueError("a limit goes with range fixed, and only with it")
        if self.percentile is not None and self.range != "calibrated":
            raise ValueError("a percentile goes with range calibrated only")
        if self.per == "slice" and self.range != "calibrated":
            raise ValueError("per goes with range calibrated only")
        if self.bits == "ideal" and (
            self.range != "full" or self.effective_bits or self.gain_error or self.offset_error
        ):
            raise ValueError("an ideal ADC has neither range nor errors")
        if isinstance(self.bits, int) and self.effective_bits is not None and self.effective_bits > self.bits:
            raise ValueError(f"effective_bits is at most bits, {self.bits}")
        return self

    @property
    def share(self) -> float:
        """The percentile that a calibrated range takes: 100, all that was seen, where none is given."""
        return 100.0 if self.percentile is None else self.percentile


class Wires(Part):
    """Resistance in ohm of one segment of a row and of a column, and the ends that are driven and sensed.

    `method`: `exact` solves for every array, `fast` approximates (docs/wires.md states its error).
    """

    row_ohm: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False, description="ohm of a segment of a row")]
    column_ohm: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False, description="ohm of a segment of a column")]
    drive: Literal["left", "right", "both"] = Field("left", description="ends at which rows are driven")
    sense: Literal["top", "bottom", "both"] = Field("bottom", description="ends at which columns are sensed")
    method: Literal["exact", "fast"] = Field("fast", description="solved for every array, or approximated")


class Analog(Part):
    """The analog side of a chip.

        Analog()                                       the chip's ADCs at full range, ideal devices, no wires
        Analog.load("six-bits.yaml")                   a file
        analog.override({"adc.bits": 6, "device.programming.sigma": 0.1})

    `device`: a preset, a device file or a device's own keys; `generic` is ideal until one of its keys is set.
    `age_s`: time since programming. `writes`: how often each cell was written before (end of endurance). `pedestal`:
    what is done about the current of cells at level 0 where the on/off ratio is finite: `analog`, an exact reference
    takes it away before the ADC; `reference`, a column of cells of the array does, as noisy as the others; `digital`, the ADC
    converts it too, and its expected value is subtracted after.
    `wires`: None for wires without resistance. `seed`: all that is drawn follows from it. `limits`: the limits found
    by calibration: layer to one for each slice.
    """

    name: str = "analog"
    adc: Adc = Adc()
    device: Device = Field(
        default_factory=lambda: Device.load("generic"),
        description="a preset (mho devices), a device's file, or a device's own keys; generic is ideal until set",
    )
    age_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(0.0, description="seconds since programming")
    writes: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        None, description="how often each cell was written before; where it is not given, wear is not looked at"
    )
    pedestal: Literal["analog", "reference", "digital"] = Field(
        "analog",
        description="what takes away the current of cells at level 0: an exact reference, a column of the array, or digital logic",
    )
    wires: Wires | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(0, description="all that is drawn follows from it")
    limits: dict[str, tuple[Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)], ...]] | None = None

    def __repr__(self) -> str:
        """Say what it is in a line; `to_dict` tells all values."""
        wires = "none" if self.wires is None else f"{self.wires.row_ohm:g} and {self.wires.column_ohm:g} ohm"
        return f"Analog({self.name!r}, ADC of {self.adc.bits} bits at range {self.adc.range}, {self.device!r}, wires {wires})"

    __str__ = __repr__

    @model_validator(mode="after")
    def _consistent(self) -> Analog:
        if self.limits is not None and self.adc.range != "calibrated":
            raise ValueError("limits go with range calibrated only")
        return self

    @classmethod
    def load(cls, path: str | Path) -> Analog:
        """Read a file. AnalogError naming file and key where it is wrong, DeviceError for its device."""
        raw = read_yaml(Path(path), AnalogError)
        return cls.from_dict(raw, str(path), Path(path).parent)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], file: str = "analog", beside: Path | None = None) -> Analog:
        """Build from `to_dict`, or from the keys of a file; device files are looked for beside it."""
        document = Document(file, AnalogError, {})
        raw = dict(content)
        if raw.pop("schema", None) != SCHEMA:
            raise document.fail("schema", f"must be {SCHEMA}")
        document.check_keys("", raw, (), cls.model_fields)
        if raw.get("adc") == "ideal":
            raw["adc"] = {"bits": "ideal"}
        for key, model in _PARTS.items():
            if raw.get(key) is not None and not isinstance(raw[key], model):
                if not isinstance(raw[key], Mapping):
                    raise document.fail(key, f"must be a mapping of its keys, not {raw[key]!r}")
                document.check_keys(key, raw[key], (), model.model_fields)
        if isinstance(raw.get("limits"), Mapping):
            raw["limits"] = {name: tuple(v) if isinstance(v, list) else v for name, v in raw["limits"].items()}
        if "device" in raw:
            raw["device"] = _device(raw["device"], file, beside)
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            raise AnalogError(f"{file}: {one_line(error)}") from None

    def to_dict(self) -> dict[str, Any]:
        """Return all values in effect, safe for JSON; `from_dict` takes them back."""
        content = self.model_dump(mode="json", exclude={"device"})
        return {"schema": SCHEMA, **content, "device": self.device.to_dict()}

    def override(self, values: Mapping[str, Any]) -> Analog:
        """Return a variant, checked anew; keys are dotted: "adc.bits", "seed", "device.programming.sigma"."""
        device = {key.removeprefix(DEVICE): value for key, value in values.items() if key.startswith(DEVICE)}
        content = self.to_dict()
        for key, value in values.items():
            if key in self.keys():
                head, _, tail = key.partition(".")
                if tail:
                    # Wires that are not there yet start without resistance.
                    content[head] = {**(content[head] or {"row_ohm": 0.0, "column_ohm": 0.0}), tail: value}
                else:
                    content[head] = value
            elif key in _PARTS:
                content[key] = value
            elif not key.startswith(DEVICE):
                raise AnalogError(f"override: unknown key {key!r}; {choices(key, self.keys())}")
        if values.get("adc.range", "calibrated") != "calibrated":
            content["limits"] = None
        changed = Analog.from_dict(content, "override")
        if device:
            changed = changed.model_copy(update={"device": changed.device.override(device)})
        return changed

    @staticmethod
    def keys() -> tuple[str, ...]:
        """Return the dotted keys that `override` takes, those of devices left out."""
        plain = [key for key in Analog.model_fields if key not in (*_PARTS, "limits", "name")]
        return (*plain, *(f"{part}.{key}" for part, model in _PARTS.items() for key in model.model_fields))


_PARTS = {name: part for name, field in Analog.model_fields.items() if (part := part_of(field)) is not None}


def _device(raw: Any, file: str, beside: Path | None) -> Device:
    """Read the device that an analog file names or describes."""
    if isinstance(raw, Device):
        return raw
    if isinstance(raw, Mapping):
        return Device.from_dict(dict(raw), f"{file}: device")
    if not isinstance(raw, str):
        raise AnalogError(f"{file}: device: must be a preset, a file or a mapping, not {raw!r}")
    path = (beside or Path()) / raw
    try:
        return Device.load(path if path.is_file() else raw)
    except MhoError as error:
        raise type(error)(f"{file}: device: {error}") from None
