"""localyun in a test: a server of its own, what it recorded, what it told, and its clock.

The fixtures are in `localyun.plugin`, which pytest loads by itself where this package is installed."""

from .cloud import Cloud, File, Refused, Sink, TimedOut
from .program import CannotStart, program, start

__all__ = ["CannotStart", "Cloud", "File", "Refused", "Sink", "TimedOut", "program", "start"]
