"""A resistive cell: what it conducts after it was written, and what each read adds to that."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import DeviceError
from mho.files.text import read_yaml
from mho.machine.analog.devices.curve import FloatArray, Window
from mho.machine.analog.devices.law import STUCK_OFF, STUCK_ON, WORKS, Cells, Draws, Law, Writes, check_key
from mho.machine.analog.devices.reader import read_device, values, varied
from mho.machine.analog.devices.validity import Validity
from mho.plugins import Presets
from mho.shown import Columns, Shown, columns

_PRESETS = Presets(Path(__file__).parent / "presets", "device", DeviceError)


@dataclass(frozen=True, repr=False)
class Device(Shown):
    """One kind of cell, as a file of schema mho.device/1 describes it (docs/devices.md).

        Device.load("neurram")                                  a preset; Device.presets() lists them
        Device.load("cells/ours.yaml")                          a file
        device.override({"programming.sigma": 0.1})             a variant, checked anew
        device.program(levels, 2, (group, instruction), seed=0) what the cells conduct

    Conductances are in *level units*, (g_on - g_off) / (2^cell_bits - 1): level l conducts l + pedestal. `laws` are what the file
    describes, by the name of its part; what it leaves out does nothing.
    """

    name: str
    description: str
    window: Window
    laws: Mapping[str, Law]
    validity: Validity
    content: dict[str, Any] = field(repr=False, compare=False)

    def headline(self) -> str:
        """Say what it is in a line."""
        return f"Device({self.name!r}, {1e6 * self.g_off_s:.4g} to {1e6 * self.g_on_s:.4g} uS)"

    def frames(self) -> Mapping[str, Callable[[], Columns]]:
        """Name the tables: `values`, each as the file gives it, with its source."""
        return {"values": lambda: columns(values(self.content))}

    @classmethod
    def presets(cls) -> tuple[str, ...]:
        """Return the names of the devices that come with mho, sorted."""
        return _PRESETS.names()

    @classmethod
    def load(cls, name_or_path: str | Path) -> Device:
        """Read a preset by name, or a file by path; raise DeviceError for an unknown name and for what is wrong in a file."""
        path = _PRESETS.path(name_or_path)
        return cls.from_dict(read_yaml(path, DeviceError), str(path))

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], file: str = "device") -> Device:
        """Build from the keys of a file, or from `to_dict`; DeviceError naming `file` and key."""
        return cls(**read_device(file, content), content=copy.deepcopy(dict(content)))

    def to_dict(self) -> dict[str, Any]:
        """Return the content of a file that describes this device, safe for JSON and YAML; `from_dict` takes it back."""
        return copy.deepcopy(self.content)

    def override(self, values: Mapping[str, Any], source: str = "set by override") -> Device:
        """Return a variant, checked anew: dotted keys to numbers or words, or to whole quantities and curves.

        {"programming.sigma": 0.1} is 10 % of the range; a number for `g_on_s` is in siemens, for times in seconds. `source` is what
        the new numbers cite. Raises DeviceError for an unknown key and for what the values make inconsistent or invalid.
        """
        return Device.from_dict(varied(self.content, values, source), f"{self.name} (override)")

    @property
    def on_off(self) -> float:
        """The ratio g_on / g_off, infinite where g_off is 0."""
        return self.g_on_s / self.g_off_s if self.g_off_s else float("inf")

    @property
    def g_on_s(self) -> float:
        """Return the conductance of a cell at the highest level, in siemens."""
        return self.window.on_s

    @property
    def g_off_s(self) -> float:
        """Return the conductance of a cell at level 0, in siemens."""
        return self.window.off_s

    @property
    def exact(self) -> bool:
        """True if every cell conducts level + pedestal for sure, at any age and after any number of writes."""
        return all(law.exact for law in self.laws.values())

    @property
    def quiet(self) -> bool:
        """True if reads add nothing to what cells conduct."""
        return all(law.quiet for law in self.laws.values())

    def differs(self, age_s: float, writes: Writes) -> bool:
        """Return True if chips of this device differ at an age and after so many writes."""
        return any(law.differs(age_s, writes) for law in self.laws.values())

    @property
    def assumptions(self) -> tuple[str, ...]:
        """The sources that are assumptions of whoever wrote the file, sorted."""
        texts = (" ".join(text.split()) for text in self.content["sources"].values())
        return tuple(sorted({text for text in texts if text.startswith("assumption:")}))

    def pedestal(self, cell_bits: int, steps: int | None = None) -> float:
        """Return what a cell at level 0 conducts, in level units: (2^cell_bits - 1) / (on_off - 1); `steps` as in `program`."""
        return float((steps or 2**cell_bits - 1) * self.window.pedestal)

    def check(
        self, cell_bits: int, *, age_s: float = 0.0, writes: Writes = None, temperature_k: float | None = None
    ) -> None:
        """Raise DeviceError where the device says nothing about such cells, ages, writes or temperatures."""
        self.validity.check(self.name, cell_bits, age_s, writes, temperature_k)

    def program(
        self,
        levels: npt.ArrayLike,
        cell_bits: int,
        key: tuple[int, ...],
        *,
        seed: int,
        age_s: float = 0.0,
        writes: Writes = None,
        faults: npt.NDArray[np.uint8] | None = None,
        steps: int | None = None,
    ) -> FloatArray:
        """Return what cells conduct `age_s` seconds after they were written, in level units, pedestal included, at least 0.

        levels: integers below 2^cell_bits, of any shape, which is that of the result. key: where this is (group, instruction,
        ...); all draws follow from seed and key. writes: how often each cell was written before, None for fresh cells.
        faults: the cells that are stuck; where None, those of `faults(levels.shape, key, ...)`. Give it for cells that are
        written more than once, for a cell that is stuck stays so. steps: the highest level, where bits name levels that cells do
        not have; None for 2^cell_bits - 1.
        """
        self.check(cell_bits, age_s=age_s, writes=writes)
        check_key(seed, key)
        given = np.asarray(levels)
        steps = steps or 2**cell_bits - 1
        if given.dtype.kind not in "iu":
            raise DeviceError(f"levels: must be integers, not {given.dtype}")
        if given.size and (int(given.min()) < 0 or int(given.max()) > steps):
            raise DeviceError(f"levels: must be from 0 to {steps}, not {int(given.min())} to {int(given.max())}")
        draws = Draws(seed, key, given.shape)
        cells = Cells(self.name, given, steps, self.window, draws, age_s, self.laws)
        conductance = cells.targets[given]
        for law in self.laws.values():
            conductance = law.conducts(conductance, cells)
        stuck = self.faults(given.shape, key, seed=seed, writes=writes) if faults is None else np.asarray(faults)
        if stuck.shape != given.shape:
            raise DeviceError(f"faults: must have the shape of levels, {given.shape}, not {stuck.shape}")
        if stuck.size and stuck.any():
            low, high = cells.targets[0], cells.targets[-1]
            conductance = np.where(stuck == STUCK_ON, high, np.where(stuck == STUCK_OFF, low, conductance))
        return np.asarray(conductance)

    def faults(
        self, shape: tuple[int, ...], key: tuple[int, ...], *, seed: int, writes: Writes = None
    ) -> npt.NDArray[np.uint8]:
        """Return which cells are stuck: 0 for those that work, 1 stuck off, 2 stuck on.

        key: the place of the cells, the same for all writes of them. writes: how often each was written, a number or an array that
        broadcasts to the shape; None for fresh cells. Cells that were stuck from the beginning stay what they are.
        """
        check_key(seed, key)
        faults = np.full(shape, WORKS, dtype=np.uint8)
        for law in self.laws.values():
            faults = law.breaks(faults, Draws(seed, key, shape), writes)
        return faults

    def read_sigma(self, conductance: npt.ArrayLike, cell_bits: int, steps: int | None = None) -> FloatArray:
        """Return the standard deviation of the noise of one read of each cell, in level units, of the conductances' shape.

        conductance: what the cells conduct, in level units, pedestal included. Noise is new at each read. `steps` as in `program`.
        """
        given = np.asarray(conductance, dtype=np.float64)
        steps = steps or 2**cell_bits - 1
        states = given / steps - self.window.pedestal
        sigmas = [sigma for law in self.laws.values() if (sigma := law.read_sigma(states, self.window)) is not None]
        if not sigmas:
            return np.broadcast_to(0.0, given.shape)
        total = sigmas[0] if len(sigmas) == 1 else np.sqrt(sum(np.square(sigma) for sigma in sigmas))
        return np.asarray(total * steps)
