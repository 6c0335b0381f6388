"""A program of the documentation's kind, unmodified, led here by ``practice env``'s variables alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from cloud.practice import environment
from cloud.practice.settings import GROUP, SUBSCRIPTION, WORKSPACE
from tests.cloud.practice.azure.workspace import IMAGE, Workspace

SCRIPT = Path(__file__).with_name("plain_script.py")


def test_a_plain_azure_ai_ml_program_goes_all_the_way(workspace: Workspace, tmp_path: Path) -> None:
    assert not [line for line in SCRIPT.read_text().splitlines() if line.startswith(("import cloud", "from cloud", "import jobs", "from jobs"))]
    record = {"aws": workspace.practice.aws_url, "azure": workspace.practice.azure_url}
    variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)} | environment.variables(record, workspace.practice.folder)
    command = [sys.executable, "-W", "ignore", str(SCRIPT), SUBSCRIPTION, GROUP, WORKSPACE, IMAGE, str(tmp_path / "work")]
    done = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert done.stdout.strip().endswith("all done")
