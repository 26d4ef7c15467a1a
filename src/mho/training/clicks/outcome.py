"""What a training on clicks came to: its epochs, and what the model is worth in real numbers and in integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mho.machine.recommender.recommender import RealRecommender, Recommender
from mho.number.bits import BYTES
from mho.shown import Columns, Shown
from mho.training.clicks.judge import Worth, judge
from mho.training.clicks.train import Training
from mho.version import __version__

SCHEMA = "mho.clicks/1"
JUDGED = ("valid", "test")


@dataclass(frozen=True, eq=False, repr=False)
class Outcome(Shown):
    """A training that ended. `worth`: of each fold of JUDGED and each of "float" and "integers"; `seconds` of the processor."""

    training: Training
    real: RealRecommender
    recommender: Recommender
    worth: Mapping[tuple[str, str], Worth]
    seconds: float

    @classmethod
    def of(cls, training: Training, seconds: float = 0.0) -> Outcome:
        """Judge the best epoch of a training on the records to choose by, and once on those that judge."""
        real, recommender = training.real(), training.recommender()
        worth = {
            (fold, how): judge(each, training.clicks, fold)
            for fold in JUDGED
            for how, each in (("float", real), ("integers", recommender))
        }
        return cls(training, real, recommender, worth, seconds)

    def headline(self) -> str:
        """Say what was trained on what."""
        training = self.training
        mark = ", SYNTHETIC" if training.clicks.synthetic else ""
        return f"{training.part.model.name} trained on {training.clicks.origin}{mark}"

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Return epochs, weights and what the model is worth."""
        training, quantised = self.training, self.recommender.dense
        rows, width = sum(training.clicks.rows), training.part.width
        bits = {str(quantised.bits.get(name, BYTES)) for name in quantised.matrices}
        judged = (
            (f"{fold}, {how}", f"log loss {each.log_loss:.4f}, AUC {each.auc:.4f}")
            for (fold, how), each in self.worth.items()
        )
        return (
            ("epochs", f"{training.done}, the best is {training.best_epoch}"),
            ("tables", f"{rows} rows of {width} numbers, 8 bits"),
            (
                "weights",
                f"{quantised.network.weights} in {len(quantised.matrices)} matrices, bits {', '.join(sorted(bits))}",
            ),
            *judged,
        )

    def frames(self) -> Mapping[str, Callable[[], Columns]]:
        """Name the tables: what the model is worth, and the epochs."""
        training = self.training
        return {
            "worth": lambda: {
                "fold": [fold for fold, _ in self.worth],
                "numbers": [how for _, how in self.worth],
                "log_loss": [each.log_loss for each in self.worth.values()],
                "auc": [each.auc for each in self.worth.values()],
            },
            "epochs": lambda: {
                "epoch": list(range(1, training.done + 1)),
                "train": list(training.losses),
                "valid": list(training.valid),
            },
        }

    def to_dict(self) -> dict[str, Any]:
        """Return everything, as JSON has it. Losses are in nats a record."""
        training, clicks, quantised = self.training, self.training.clicks, self.recommender.dense
        return {
            "schema": SCHEMA,
            "version": __version__,
            "data": {
                "origin": clicks.origin,
                "synthetic": clicks.synthetic,
                "records": {"train": len(clicks.train.y), "valid": len(clicks.valid.y), "test": len(clicks.test.y)},
                "fields": dict(zip(clicks.names, clicks.rows, strict=True)),
            },
            "model": training.part.model.record(),
            "settings": training.settings.record(),
            "bits": {name: str(quantised.bits.get(name, BYTES)) for name in quantised.matrices},
            "epochs": self.frame("epochs"),
            "best_epoch": training.best_epoch,
            "worth": {f"{fold}_{how}": asdict(each) for (fold, how), each in self.worth.items()},
            "cpu_s": self.seconds,
        }


__all__ = ["Outcome"]
