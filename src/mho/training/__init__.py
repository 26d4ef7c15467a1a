"""Training for the chip: matrix layers of a torch module that compute as crossbars do, ADC and noise included.

model = mho.training.prepare(module, "isaac", analog, images)   # a copy; train it as any module
trained = mho.training.finish(model)                            # plain nn.Linear and nn.Conv2d with the trained weights
program = mho.compile(mho.training.quantise(model, images), "isaac")  # with the input ranges of training

Or with weights on a grid of integers, such as windows of few bits (`mho.training.window`):

model = mho.training.constrain(module, mho.number.Grid.window(8, 3))   # a copy; train it as any module
plain = mho.training.release(model)                             # plain layers, weights = scale x integers of the grid
quantised = mho.training.keep_codes(model, quantised)           # a quantised `plain` with exactly these integers

Or on a basis that all layers share (`mho.training.basis`, `mho.training.tuning`):

model = mho.training.combine(module, fitted)                    # fitted = mho.number.fit_basis(network of this module, samples)
mho.training.Tuning(model, images, teacher=module).run()        # epochs, with checkpoints; or a loop of your own
quantised = mho.training.keep_basis(model)                      # integers, exactly as trained

Or a network itself, from whatever importer or builder, at bits of its layers (`mho.training.graph`):

graph = mho.training.Graph(network, bits="4/8")                 # a torch module of the network's layers and weights
quantised = graph.quantise(samples)                             # integers, with the ranges of training
"""

from __future__ import annotations

from mho.training.basis import combine, contention, keep_basis, settle
from mho.training.graph import Graph
from mho.training.prepare import calibrate, clip_weights, finish, prepare
from mho.training.quantised import quantise
from mho.training.tuning import Settings, Tuning, moved
from mho.training.window import constrain, keep_codes, release

__all__ = [
    "Graph", "Settings", "Tuning", "calibrate", "clip_weights", "combine", "constrain", "contention", "finish", "keep_basis",
    "keep_codes", "moved", "prepare", "quantise", "release", "settle",
]  # fmt: skip
