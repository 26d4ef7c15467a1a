"""From a plain module to one whose matrix layers compute as crossbars do, and back."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mho.chip import Chip
from mho.errors import NetworkError, OptionError
from mho.machine.analog.spec import Analog
from mho.training.cells import Chain
from mho.training.layers import CrossbarLayer
from mho.training.modules import DIGITAL, MATRICES, check_module, fold, require, swapped

SAMPLED = 2**20
"""At most so many sums a slice and pass of a layer enter the percentile of a calibrated ADC."""


def prepare(
    module: nn.Module,
    chip: Chip | str,
    analog: Analog,
    example: Any,
    *,
    gradient: str = "unclipped",
    momentum: float = 0.0,
    seed: int | None = None,
) -> nn.Module:
    """Return a copy of `module` in which every nn.Linear and nn.Conv2d computes as the crossbars of `chip` do.

    model = prepare(module, "isaac", Analog(adc=Adc(bits=5)), images)

    In training mode each forward pass programs the cells anew and draws noise anew, from `seed` (default: that of `analog`) and the
    number of the pass. In eval mode cells are ideal, the ADC is not. Inputs and weights are 8-bit codes as `quantise` chooses
    them; the inputs' ranges are those seen on `example` (a tensor or a tuple: a batch of real samples); with a `momentum`
    above 0, at most 1, they follow the batches of training by a moving average. `gradient`: "unclipped" or "plain"
    (`mho.training.crossbar`). Batch normalisation is folded into the layer before it, as on the chip.

    Raises NetworkError for a module without a matrix layer, with weights that training does not follow, or that does not take
    `example`; AnalogError naming what of `analog` is not followed (wires, errors of single ADCs); OptionError for options.
    """
    check_module(module)
    if not isinstance(analog, Analog):
        raise OptionError(f"analog must be an mho.machine.Analog, not {type(analog).__name__}")
    if not 0.0 <= momentum <= 1.0:
        raise OptionError(f"momentum is from 0 to 1, not {momentum}")
    seed = analog.seed if seed is None else seed
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise OptionError(f"seed is a whole number from 0 to 2^63 - 1, not {seed!r}")
    hardware = chip if isinstance(chip, Chip) else Chip.load(chip)
    chain = Chain(hardware, analog, gradient, seed)
    if any(isinstance(layer, CrossbarLayer) for layer in module.modules()):
        raise NetworkError("the module is prepared already; give back a plain one with mho.training.finish first")
    _followed(module)
    model = fold(copy.deepcopy(module))
    matrices = {id(layer): (name, layer) for name, layer in model.named_modules() if type(layer) in MATRICES}
    if not matrices:
        raise NetworkError(
            f"{type(module).__name__} has no nn.Linear and no nn.Conv2d: there is nothing for crossbars to compute"
        )
    replacements = {
        key: CrossbarLayer(layer, chain, index, name, momentum)
        for index, (key, (name, layer)) in enumerate(matrices.items())
    }
    model = swapped(model, replacements)
    calibrate(model, example)
    return model


def finish(model: nn.Module) -> nn.Module:
    """Return a copy of a prepared module as a plain one, nn.Linear and nn.Conv2d with the trained float weights.

    It can be imported like any other module; `quantise` does that and keeps the input ranges of training.
    """
    prepared(model)
    plain = copy.deepcopy(model)
    return swapped(plain, {id(layer): layer.plain() for layer in prepared(plain)})


def calibrate(model: nn.Module, samples: Any) -> None:
    """Set the ranges of a prepared module from `samples` (a tensor, or a tuple of them), all in one batch.

    Inputs take every value that the float network shows them, as in mho.number.quantise(network, samples); calibrated ADCs then the
    percentile of the magnitudes of the sums seen on these codes, with ideal cells. Raises NetworkError where the samples do not fit
    or a layer is never reached.
    """
    layers = prepared(model)
    arguments = samples if isinstance(samples, tuple) else (samples,)
    _calibrate_inputs(model, layers, arguments)
    if layers[0].chain.calibrates:
        _calibrate_adcs(model, layers, arguments)


def clip_weights(model: nn.Module, deviations: float) -> None:
    """Clip the weights of every crossbar layer to so many standard deviations of their own, in place.

    To be called after each step of the optimiser: a code spends its levels on the range of the weights, and the spread of
    programming is a share of that range, so fewer outliers mean less noise (Joshi et al., Nature Communications 11, 2473,
    2020, Methods). Raises OptionError for a number that is not above 0.
    """
    if not deviations > 0:
        raise OptionError(f"deviations must be above 0, not {deviations}")
    with torch.no_grad():
        for layer in prepared(model):
            bound = float(deviations * layer.weight.std())
            layer.weight.clamp_(-bound, bound)


def _calibrate_inputs(model: nn.Module, layers: list[CrossbarLayer], arguments: tuple[Any, ...]) -> None:
    """Run the float network and take the extremes of the inputs of each matrix layer."""
    # A shallow swap: the plain layers hold the very parameters of the crossbars, and nothing is copied.
    plain: dict[int, nn.Module] = {id(layer): layer.plain() for layer in layers}
    seen: dict[int, list[float]] = {}
    for layer in layers:

        def look(_: nn.Module, given: tuple[Tensor, ...], key: int = id(layer)) -> None:
            seen.setdefault(key, []).extend((float(given[0].min()), float(given[0].max())))

        plain[id(layer)].register_forward_pre_hook(look)
    floats = swapped(model, plain)
    try:
        _run(floats, arguments)
    finally:
        swapped(floats, {id(plain[id(layer)]): layer for layer in layers})
    for layer in layers:
        if id(layer) not in seen:
            raise NetworkError(f"layer {layer.name!r} is not reached when the module is called on the samples")
        values = [*seen[id(layer)], 0.0]
        if not np.isfinite(values).all():
            raise NetworkError(f"the inputs of layer {layer.name!r} are not finite on the samples")
        layer.low.fill_(float(np.float32(min(values))))
        layer.high.fill_(float(np.float32(max(values))))


def _calibrate_adcs(model: nn.Module, layers: list[CrossbarLayer], arguments: tuple[Any, ...]) -> None:
    """Take the percentile of the magnitudes of each layer's sums, layer by layer, so that each sees what the ones before give."""
    for layer in layers:
        samples: list[Tensor] = []

        def look(sums: Tensor, samples: list[Tensor] = samples) -> None:
            flat = sums.detach().abs().transpose(0, 3).flatten(1)
            samples.append(flat[:, :: max(1, flat.shape[1] // SAMPLED)])

        layer.observe = look
        try:
            _run(model, arguments)
        finally:
            layer.observe = None
        values = torch.cat(samples, dim=1).double().cpu().numpy()
        adc = layer.chain.analog.adc
        percentiles = np.percentile(values, adc.share, axis=1 if adc.per == "slice" else None)
        limits = np.broadcast_to(np.maximum(percentiles, np.finfo(np.float32).tiny), (layer.chain.sensing.slices,))
        layer.limits.copy_(torch.from_numpy(np.array(limits)))


def _run(model: nn.Module, arguments: tuple[Any, ...]) -> None:
    """Run a module in eval mode without gradients, leaving modes as they were."""
    modes = {layer: layer.training for layer in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            model(*arguments)
    except (RuntimeError, TypeError, ValueError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise NetworkError(f"{type(model).__name__} cannot be called on the samples: {lines[0]}") from error
    finally:
        for layer, mode in modes.items():
            layer.training = mode


def prepared(model: nn.Module) -> list[CrossbarLayer]:
    """Return the crossbar layers of a prepared module."""
    return list(require(model, CrossbarLayer, "prepared", "prepare").values())


def _unfollowed(module: nn.Module) -> Iterator[tuple[str, nn.Module, str]]:
    """Find modules of torch.nn whose weights would sit in cells, or be used unseen."""
    for name, layer in module.named_modules():
        if type(layer) is nn.Conv2d:
            if layer.padding_mode != "zeros":
                yield name, layer, f"padding_mode {layer.padding_mode!r} is not followed; allowed: zeros"
            elif isinstance(layer.padding, str) and (layer.padding == "same"):
                yield name, layer, "padding 'same' is not followed; give it as numbers"
        elif type(layer) is nn.Linear or isinstance(layer, DIGITAL):
            continue
        elif isinstance(layer, nn.Linear | nn.Conv2d):
            yield name, layer, "only nn.Linear and nn.Conv2d themselves are followed, no classes made of them"
        elif type(layer).__module__.startswith("torch.nn.") and layer._parameters:
            yield name, layer, "training follows the weights of nn.Linear and nn.Conv2d only"


def _followed(module: nn.Module) -> None:
    """Refuse modules with weights that would be computed otherwise than on the chip."""
    for name, layer, why in _unfollowed(module):
        raise NetworkError(f"module {name or 'the top level'!r} ({type(layer).__name__}): {why}")
    parameters = (*module.parameters(), *module.buffers())
    if any(parameter.is_meta for parameter in parameters):
        raise NetworkError(f"{type(module).__name__} is on the meta device and has no weights to train")


__all__ = ["calibrate", "clip_weights", "finish", "prepare", "prepared"]
