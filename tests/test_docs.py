"""Documents that cannot rot: links lead somewhere, commands exist, examples in them are run by tests/e2e."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest

from jobs.control.cli import seatrial

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    missing = [link for link in links if not link.startswith("http") and not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist(page: Path) -> None:
    for line in re.findall(r"(?:^|`)(?:\.venv/bin/)?seatrial ([a-z]+(?: [a-z-]+)*)", page.read_text(), re.MULTILINE):
        words = shlex.split(line)
        command: click.Command | None = seatrial
        for word in words:
            if not isinstance(command, click.Group):
                break
            command = command.get_command(click.Context(command), word)
            assert command is not None, f"seatrial {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_make_targets_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    wanted = set(re.findall(r"(?:^|`|[A-Z_]+=\S+ )make ([a-z-]+)", page.read_text(), re.MULTILINE))
    assert not {target for target in wanted if not re.search(rf"^{target}:", makefile, re.MULTILINE)}


def test_every_command_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for name, command in ((name, seatrial.get_command(click.Context(seatrial), name)) for name in seatrial.list_commands(click.Context(seatrial))):
        assert f"seatrial {name}" in readme
        for inner in command.list_commands(click.Context(command)) if isinstance(command, click.Group) else ():
            assert re.search(rf"`(seatrial {name} )?{inner}\b", readme), f"{name} {inner}"


def test_make_help_lists_the_two_commands() -> None:
    answer = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"run", "test"} <= {line.split()[0] for line in answer.stdout.splitlines()}


def test_the_project_names_no_machine() -> None:
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    pattern = re.compile("/" + "work/|/" + "root/|files\\.pythonhosted|" + "pypi" + "\\.org")
    named = [file for file in files if (ROOT / file).is_file() and pattern.search((ROOT / file).read_text(errors="ignore"))]
    assert not named
