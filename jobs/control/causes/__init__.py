"""Why something is not running: what targets report, in plain words."""

from jobs.control.causes.matching import match

__all__ = ["match"]
