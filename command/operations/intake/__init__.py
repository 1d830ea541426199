"""Intake: batches from the bus become observations, tracks and alert events, one transaction a flush."""

from command.operations.intake.loop import Intake, Progress, serve
from command.operations.intake.picture import Flushed, PictureKeeper

__all__ = ["Flushed", "Intake", "PictureKeeper", "Progress", "serve"]
