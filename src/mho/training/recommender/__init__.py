"""Training a deep recommender on real interactions: data, model, training, checkpoints.

data = Interactions.load("ml1m.npz", seed=0)
training = Training(data, Settings(epochs=5))       # or Training.resume(data, "dlrm.safetensors")
training.run(progress)                              # epoch after epoch; `training.save(path)` between any two
recommender = training.real().quantise(data.calibration())
"""

from mho.training.recommender.checkpoint import read_checkpoint, write_checkpoint
from mho.training.recommender.data import Interactions, Queries
from mho.training.recommender.model import Dense, Dlrm
from mho.training.recommender.train import Settings, Training

Training.save, Training.resume = write_checkpoint, read_checkpoint

__all__ = ["Dense", "Dlrm", "Interactions", "Queries", "Settings", "Training"]
