"""What a step says is shown as it is, whatever it looks like."""

from __future__ import annotations

import pytest

from jobs.contracts.states import JobState
from jobs.control.progress import Terminal


def test_a_programs_words_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Terminal(["load"])
    progress.update("load", JobState.RUNNING, "#7 [/builder 2/9] RUN [bold]")
    progress.note("see [/tmp/log]")
    progress.close()
    shown = capsys.readouterr().err
    assert "#7 [/builder 2/9] RUN [bold]" in shown
    assert "see [/tmp/log]" in shown
