"""Training for the chip: matrix layers of a torch module that compute as crossbars do, ADC and noise included.

model = mho.training.prepare(module, "isaac", analog, images)   # a copy; train it as any module
trained = mho.training.finish(model)                            # plain nn.Linear and nn.Conv2d with the trained weights
program = mho.compile(mho.training.quantise(model, images), "isaac")  # with the input ranges of training

Or with weights on a grid of integers, such as windows of few bits (`mho.training.window`):

model = mho.training.constrain(module, mho.number.Grid.window(8, 3))   # a copy; train it as any module
plain = mho.training.release(model)                             # plain layers, weights = scale x integers of the grid
quantised = mho.training.keep_codes(model, quantised)           # a quantised `plain` with exactly these integers
"""

from __future__ import annotations

from mho.training.prepare import calibrate, clip_weights, finish, prepare
from mho.training.quantised import quantise
from mho.training.window import constrain, keep_codes, release

__all__ = ["calibrate", "clip_weights", "constrain", "finish", "keep_codes", "prepare", "quantise", "release"]
