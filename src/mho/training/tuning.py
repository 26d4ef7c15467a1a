"""Training a classifier, or tuning one on a basis: epochs, each of which depends on the seed and its number alone.

tuning = Tuning(mho.training.combine(module, fitted), images, teacher=module, change=moved)
tuning.run(print, path="tuning.safetensors")        # Ctrl-C at will; what is done of an epoch is lost, epochs are kept
tuning.resume("tuning.safetensors")                 # in a new process, of the same arguments: goes on to the very same numbers
quantised = mho.training.keep_basis(tuning.model)

The teacher's outputs are the aim (Hinton et al., arXiv 1503.02531, 2015), labels, or both. The loss of the basis' and the
coefficients' turns is the same. On one thread the same arguments give the same numbers.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from mho.errors import OptionError, WeightError
from mho.files.tensors import read_tensors, write_tensors
from mho.files.text import parse_json
from mho.training.basis import BasisLayer, OnBasis, SharedBasis, contention, settle
from mho.training.epochs import Progress, trained
from mho.training.modules import check_module

FORMAT = "mho.tuning/1"
Change = Callable[[Tensor, torch.Generator], Tensor]
"""What is done to the images of a batch (B, ...) before they are used, as a generator draws it."""
TURNS = ("together", "alternating")
OPTIMISERS = ("adam", "sgd")
GROUPS = ("coefficients", "elements", "others")
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Settings:
    """Settings. Raises OptionError out of range.

    `coefficients`, `elements`, `others`: rates of learning, of coefficients and elements of a basis in their integers' units, of
    everything else; they rise over the first `warm` of all steps in a line, and fall as half a cosine to 0. `optimiser`: adam
    (Kingma and Ba 2015) or sgd (momentum 0.9, Nesterov's). `decay`: weight decay of `others`.
    `turns`: basis and coefficients "together", or "alternating", an epoch each, coefficients first. `settle`: what coefficients
    outside the support lose in a step. `contention`: weight of `mho.training.contention` in the loss. `labels`: their share in
    the loss, the rest is the teacher's at `temperature`. `mix`: images are mixed with others of the batch by up to this share
    (Zhang et al., ICLR 2018, mixup). `follow`: normalisation takes the statistics of batches, as where a network is
    trained from nothing. `half`: products in bfloat16, weights are still composed in float32.
    """

    epochs: int = 10
    batch: int = 100
    coefficients: float = 0.03
    elements: float = 0.005
    others: float = 0.003
    warm: float = 0.0
    optimiser: str = "adam"
    decay: float = 0.0
    turns: str = "together"
    settle: float = 0.0
    contention: float = 0.0
    labels: float = 0.0
    temperature: float = 4.0
    mix: float = 0.0
    follow: bool = False
    half: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every value."""
        for name, low, high in (("epochs", 1, 10_000), ("batch", 1, 1 << 20), ("seed", 0, 2**31 - 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise OptionError(f"{name} must be a whole number from {low} to {high}, not {value!r}")
        for name, most in (
            *((name, 10.0) for name in GROUPS), ("warm", 1.0), ("decay", 1.0), ("settle", 1.0), ("contention", 1e6),
            ("labels", 1.0), ("temperature", 1e3), ("mix", 1.0),
        ):  # fmt: skip
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
                raise OptionError(f"{name} must be a number from 0 to {most:g}, not {value!r}")
        for name, known in (("turns", TURNS), ("optimiser", OPTIMISERS)):
            if getattr(self, name) not in known:
                raise OptionError(f"{name} must be {' or '.join(known)}, not {getattr(self, name)!r}")
        if self.temperature == 0:
            raise OptionError("temperature must be above 0")

    def rate(self, share: float) -> float:
        """Return what rates are multiplied by when so much of all steps is done."""
        if share < self.warm:
            return share / self.warm
        return 0.5 * (1 + math.cos(math.pi * (share - self.warm) / (1 - self.warm)))


class Tuning:
    """A training in progress: model, the optimiser's moments, and the epochs that are done.

    `images` (samples, ...), real or integers, `labels` whole numbers (samples,); `teacher` a module that gives what the model
    should; `change` what is done to images when they are used, `moved` say.
    """

    def __init__(
        self,
        model: nn.Module,
        images: Array,
        settings: Settings | None = None,
        *,
        labels: Array | None = None,
        teacher: nn.Module | None = None,
        change: Change | None = None,
    ) -> None:
        """Build the optimiser. Raises OptionError where neither labels nor a teacher say what is wanted, or lengths differ."""
        check_module(model)
        self.model, self.settings, self.change = model, settings or Settings(), change
        self.images, self.labels = images, labels
        if labels is None and (teacher is None or self.settings.labels):
            raise OptionError("training needs a teacher, or labels; a share of labels in the loss needs labels")
        if labels is not None and len(labels) != len(images):
            raise OptionError(f"{len(images)} images have {len(labels)} labels")
        self.teacher = None if teacher is None else teacher.eval()
        self.combined = any(isinstance(part, OnBasis) for part in model.modules())
        self.optimiser = self._optimiser()
        self.start = self._start()
        self.losses: list[float] = []

    @property
    def done(self) -> int:
        """Epochs that are done."""
        return len(self.losses)

    def run(
        self, progress: Progress | None = None, *, epochs: int | None = None, path: str | Path | None = None
    ) -> None:
        """Train to the end, or at most `epochs` epochs more; write a checkpoint after each where there is a `path`.

        An epoch that is interrupted leaves the model of the one before.
        """
        last = self.settings.epochs if epochs is None else min(self.settings.epochs, self.done + epochs)
        for done, loss in trained(last, self.losses, self._epoch, self.state, self._restore):
            if path is not None:
                self.save(path)
            if progress is not None:
                progress(done, loss)

    def save(self, path: str | Path) -> None:
        """Write a checkpoint whole or not at all. Raises OutputError where the file cannot be written."""
        about = {"settings": asdict(self.settings), "losses": self.losses, "data": self._digest(), "start": self.start}
        arrays = {name: tensor.numpy() for name, tensor in self.state().items()}
        write_tensors(path, arrays, {"format": FORMAT, "tuning": json.dumps(about)})

    def resume(self, path: str | Path) -> None:
        """Take up the state of a checkpoint of a training of the same arguments. Raises WeightError for any other file."""
        arrays, metadata = read_tensors(path)
        if metadata.get("format") != FORMAT:
            raise WeightError(f"{path}: not a checkpoint of mho.training.Tuning")
        about = parse_json(metadata["tuning"])
        for key, own, what in (
            ("settings", asdict(self.settings), "of other settings"),
            ("data", self._digest(), "on other images or labels"),
            ("start", self.start, "from another start"),
        ):
            if about[key] != own:
                raise WeightError(f"{path}: a training {what}")
        self._restore({name: torch.from_numpy(array.copy()) for name, array in arrays.items()})
        self.losses = [float(loss) for loss in about["losses"]]

    def state(self) -> dict[str, Tensor]:
        """Return copies of the model's tensors and of the optimiser's, by name."""
        tensors = {f"model.{name}": tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        for index, parameter in enumerate(self.model.parameters()):
            for key, value in self.optimiser.state.get(parameter, {}).items():
                if value is not None:
                    tensors[f"optimiser.{index}.{key}"] = torch.as_tensor(value).detach().clone()
        return tensors

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        """Restore a state that was kept."""
        self.model.load_state_dict({name: tensors[f"model.{name}"] for name in self.model.state_dict()})
        for index, parameter in enumerate(self.model.parameters()):
            start = f"optimiser.{index}."
            moments = {key.removeprefix(start): tensors[key].clone() for key in tensors if key.startswith(start)}
            self.optimiser.state.pop(parameter, None)
            if moments:
                self.optimiser.state[parameter] = moments

    def _optimiser(self) -> torch.optim.Optimizer:
        """Build the optimiser of the parameters that train."""
        groups: dict[str, list[nn.Parameter]] = {name: [] for name in GROUPS}
        for part in self.model.modules():
            for name, parameter in part.named_parameters(recurse=False):
                if parameter.requires_grad:
                    special = isinstance(part, BasisLayer | SharedBasis) and name in GROUPS
                    groups[name if special else "others"].append(parameter)
        made = [
            {"params": own, "name": name, "lr": 0.0, "weight_decay": self.settings.decay if name == "others" else 0.0}
            for name, own in groups.items()
            if own
        ]
        if not made:
            raise OptionError("the model has nothing to train")
        if self.settings.optimiser == "sgd":
            return torch.optim.SGD(made, momentum=0.9, nesterov=True)
        return torch.optim.AdamW(made)

    def _epoch(self, number: int) -> float:
        """Train on every image once; return the mean loss."""
        settings = self.settings
        generator = torch.Generator().manual_seed(settings.seed * 10_007 + number)
        order = torch.randperm(len(self.images), generator=generator).numpy()
        starts = range(0, len(order), settings.batch)
        self.model.train(settings.follow)
        resting = set() if settings.turns == TURNS[0] else {"elements" if number % 2 == 0 else "coefficients"}
        total = 0.0
        try:
            for place, start in enumerate(starts):
                share = (number + (place + 0.5) / len(starts)) / settings.epochs
                for group in self.optimiser.param_groups:
                    group["lr"] = getattr(settings, group["name"]) * settings.rate(share)
                rows = order[start : start + settings.batch]
                total += self._step(rows, generator, resting) * len(rows)
        finally:
            self.model.eval()
        return total / len(order)

    def _step(self, rows: Array, generator: torch.Generator, resting: set[str]) -> float:
        """Train on a batch of images; return its mean loss."""
        settings = self.settings
        x = torch.from_numpy(self.images[rows])
        x = x.float() if self.change is None else self.change(x, generator).float()
        labels = None if self.labels is None else torch.from_numpy(self.labels[rows].astype(np.int64))
        shares, partners = torch.ones(len(x)), torch.arange(len(x))
        if settings.mix:
            shares = 1 - settings.mix * torch.rand(len(x), generator=generator)
            partners = torch.randperm(len(x), generator=generator)
            own = shares.reshape(-1, *[1] * (x.ndim - 1))
            x = own * x + (1 - own) * x[partners]
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.half):
            aim = None
            if self.teacher is not None:
                with torch.no_grad():
                    aim = self.teacher(x).float()
            found = self.model(x).float()
        loss = self._loss(found, aim, labels, shares, partners)
        if settings.contention:
            loss = loss + settings.contention * contention(self.model)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        for group in self.optimiser.param_groups:
            if group["name"] in resting:
                for parameter in group["params"]:
                    parameter.grad = None
        self.optimiser.step()
        if self.combined:
            settle(self.model, settings.settle)
        return float(loss.detach())

    def _loss(
        self, found: Tensor, aim: Tensor | None, labels: Tensor | None, shares: Tensor, partners: Tensor
    ) -> Tensor:
        """Return the loss of outputs: what they differ from the teacher's, and from the labels of both images of a mixture."""
        weight = 1.0 if aim is None else self.settings.labels
        loss = torch.zeros(())
        if labels is not None and weight:
            each = functional.cross_entropy(found, labels, reduction="none") * shares
            each = each + functional.cross_entropy(found, labels[partners], reduction="none") * (1 - shares)
            loss = loss + weight * each.mean()
        if aim is not None and weight < 1:
            heat = self.settings.temperature
            wanted = functional.log_softmax(aim / heat, dim=1)
            given = functional.log_softmax(found / heat, dim=1)
            loss = loss + (1 - weight) * heat**2 * functional.kl_div(
                given, wanted, reduction="batchmean", log_target=True
            )
        return loss

    def _start(self) -> str:
        """Say which model this is, as it is now, and what it was fitted to."""
        digest = hashlib.sha256()
        for name, tensor in self.model.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().numpy().data)
        for part in self.model.modules():
            if isinstance(part, BasisLayer):
                digest.update(repr((part.scale.tolist(), part.code)).encode())
        return digest.hexdigest()[:16]

    def _digest(self) -> str:
        """Say which images and labels these are."""
        digest = hashlib.sha256(str((self.images.shape, self.images.dtype)).encode())
        for array in (self.images, self.labels):
            if array is not None:
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:16]


def moved(images: Tensor, generator: torch.Generator, by: int = 4) -> Tensor:
    """Return images (B, C, H, W), half of them mirrored, each shifted by up to `by` pixels both ways; what comes in is 0."""
    count, _, height, width = images.shape
    mirrored = torch.rand(count, generator=generator) < 0.5
    places = torch.randint(0, 2 * by + 1, (count, 2), generator=generator).tolist()
    images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    wide = functional.pad(images, (by, by, by, by))
    return torch.stack(
        [each[:, top : top + height, left : left + width] for each, (top, left) in zip(wide, places, strict=True)]
    )


__all__ = ["GROUPS", "OPTIMISERS", "TURNS", "Change", "Progress", "Settings", "Tuning", "moved"]
