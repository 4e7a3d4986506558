"""How far long work is: what every long operation reports to, and the one that reports to nobody."""

from typing import Protocol


class Progress(Protocol):
    """Told how far long work has come."""

    def __call__(self, stage: str, done: int, total: int, loss: float | None = None, /) -> None:
        """Hear of one step.

        Args:
            stage: What the work is busy with, in words: the same words at each of its steps.
            done: How many of the stage's steps are done.
            total: Of how many; 0 if nobody knows.
            loss: How wrong the model was on what it learnt from at this step, smaller is better; none where it was not
                measured. Its unit is the family's own, so losses are compared within one run only.
        """


def silent(stage: str, done: int, total: int, loss: float | None = None, /) -> None:
    """Report progress to nobody."""
