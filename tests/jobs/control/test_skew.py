"""Version skew as the backends' ``check`` reports it."""

from __future__ import annotations

from jobs.control import skew
from jobs.control.backend import Cause

HERE = {"seatrial": "0.1.0", "python": "3.11.9", "ray": "2.60.0"}
THERE = {"seatrial": "0.1.0", "python": "3.12.1", "ray": "2.58.0"}


def test_only_what_must_be_changed_is_a_cause() -> None:
    hint = 'use an image with ray 2.60.0 there, or pip install "ray==2.58.0" here'
    assert skew.compare(HERE, THERE, there_name="the cluster") == [Cause("version-skew", "the client has ray 2.60.0, the cluster 2.58.0", hint)]
    assert skew.compare(HERE, HERE) == []


def test_another_python_is_a_warning() -> None:
    (warning,) = skew.warnings(HERE, THERE)
    assert warning.startswith("the client has python 3.11.9, the target 3.12.1: ")
    assert skew.warnings(HERE, HERE) == []
