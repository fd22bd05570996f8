"""`medianest doctor`: looks at everything that must work, and says of each thing that does not what to do."""

from cli.doctor.command import configure, run

__all__ = ["configure", "run"]
