"""Training recommenders of any model on clicks: settings, training, checkpoints, and what they are worth.

clicks = Clicks.load("census_income.npz")
training = Training(clicks, MODELS["dlrm"](), Settings(bits="4/8"))    # or Training.resume(clicks, "dlrm.safetensors")
training.run(progress)                                                 # epoch after epoch; `training.save(path)` between any two
judge(training.recommender(), clicks, "test")                          # by integers; judge(training.real(), ...) in real numbers
"""

from mho.training.clicks.checkpoint import read_checkpoint, write_checkpoint
from mho.training.clicks.judge import Worth, judge, scores, worth
from mho.training.clicks.outcome import Outcome
from mho.training.clicks.train import Settings, Training

Training.save, Training.resume = write_checkpoint, read_checkpoint

__all__ = ["Outcome", "Settings", "Training", "Worth", "judge", "scores", "worth"]
