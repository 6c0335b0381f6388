"""The version guard: what counts as a difference, what is said about it, and what only warrants a warning."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import platform
import subprocess
import sys

import pytest

from jobs.contracts import versions
from jobs.contracts.errors import RequestError, SetupError

HERE = {"seatrial": "0.1.0", "python": "3.11.9", "ray": "2.60.0", "spark": "4.2.1", "torch": "2.13.0+cpu"}


def test_installed_says_what_the_metadata_say() -> None:
    found = versions.installed()
    assert found["seatrial"] == importlib.metadata.version("seatrial")
    assert found["spark"] == importlib.metadata.version("pyspark")
    assert found["python"] == platform.python_version()


def test_asking_for_versions_imports_no_engine() -> None:
    program = "import sys; from jobs.contracts import versions; versions.installed(); print({'ray', 'torch', 'pyspark'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == "set()"


def test_what_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(versions.DISTRIBUTIONS, "ray", "no-such-distribution")
    assert "ray" not in versions.installed()


@pytest.mark.parametrize(
    ("name", "there", "differs"),
    [
        ("seatrial", "0.1.1", True),
        ("seatrial", "0.1.0+local", True),
        ("ray", "2.60.1", True),
        ("ray", "2.60.0+abc", False),
        ("spark", "4.2.9", False),
        ("spark", "4.1.1", True),
        ("torch", "2.13.1+cu128", False),
        ("torch", "2.12.0+cpu", True),
        ("python", "3.11.2", False),
        ("python", "3.12.9", True),
    ],
)
def test_each_name_has_its_own_precision(name: str, there: str, differs: bool) -> None:
    found = versions.differences(HERE, HERE | {name: there})
    assert [each.name for each in found] == ([name] if differs else [])
    assert all(each.is_fatal == (name != "python") for each in found)


def test_what_one_side_lacks_is_not_compared() -> None:
    assert versions.differences(HERE, {"seatrial": "0.1.0"}) == versions.differences({}, HERE) == []


def test_a_difference_says_who_has_what_and_which_side_to_change() -> None:
    ray, torch = versions.differences(HERE, HERE | {"ray": "2.58.0", "torch": "2.11.0"}, there_name="the cluster")
    assert ray.what == "the client has ray 2.60.0, the cluster 2.58.0"
    assert ray.hint == 'use an image with ray 2.60.0 there, or pip install "ray==2.58.0" here'
    assert torch.hint == 'use an image with torch 2.13.0 there, or pip install "torch==2.11.*" here'


def test_a_job_that_expects_other_versions_is_refused_with_every_difference() -> None:
    expected = versions.installed() | {"seatrial": "0.0.1", "ray": "1.0.0"}
    with pytest.raises(SetupError, match=r"the client has seatrial 0\.0\.1.*; the client has ray 1\.0\.0") as caught:
        versions.check({versions.EXPECT: json.dumps(expected)})
    assert caught.value.exit_code == 2
    assert 'pip install "ray==' in caught.value.hint


def test_another_python_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        versions.check({versions.EXPECT: json.dumps({"python": "3.1.0"})})
    assert f"the client has python 3.1.0, the target {platform.python_version()}" in caplog.text


@pytest.mark.parametrize("text", ["", json.dumps(versions.installed())])
def test_equal_versions_or_no_expectation_say_nothing(text: str, caplog: pytest.LogCaptureFixture) -> None:
    versions.check({versions.EXPECT: text})
    assert not caplog.records


@pytest.mark.parametrize("text", ["{", "[1]", "2"])
def test_an_expectation_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(RequestError, match="no JSON object") as caught:
        versions.check({versions.EXPECT: text})
    assert caught.value.where == versions.EXPECT
