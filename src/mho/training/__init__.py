"""Training for the chip: matrix layers of a torch module that compute as crossbars do, ADC and noise included.

model = mho.training.prepare(module, "isaac", analog, images)   # a copy; train it as any module
trained = mho.training.finish(model)                            # plain nn.Linear and nn.Conv2d with the trained weights
program = mho.compile(mho.training.quantise(model, images), "isaac")  # with the input ranges of training
"""

from __future__ import annotations

from mho.training.prepare import calibrate, clip_weights, finish, prepare
from mho.training.quantised import quantise

__all__ = ["calibrate", "clip_weights", "finish", "prepare", "quantise"]
