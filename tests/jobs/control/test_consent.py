"""Nothing goes to a real account by half-set variables: the account is named, and --real must be said."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from jobs.control.cli import main
from jobs.control.cli import run as run_command
from jobs.control.cli import submit as submit_command
from tests.workloads.tiny_data import write_points

TINY = Path(__file__).parents[2] / "workloads" / "tiny" / "pipeline.yaml"
SETTINGS = {
    "sagemaker": ("targets.sagemaker.role=arn:aws:iam::111122223333:role/jobs", "targets.sagemaker.region=us-east-1"),
    "azureml": ("targets.azureml.subscription=11111111-2222-3333-4444-555555555555", "targets.azureml.workspace=team"),
}
NAMED = {"sagemaker": ("account 111122223333", "region us-east-1"), "azureml": ("subscription 11111111-2222", "workspace team")}


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEATRIAL_HOME", str(tmp_path / "home"))
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def words(cloud: str, command: str, *more: str) -> list[str]:
    step = ("--step", "prepare") if command == "submit" else ()
    return [command, str(TINY), *step, "--on", cloud, *(word for each in SETTINGS[cloud] for word in ("--set", each)), *more]


@pytest.mark.parametrize("command", ["run", "submit"])
@pytest.mark.parametrize("cloud", list(SETTINGS))
def test_a_real_account_needs_a_word(cloud: str, command: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(words(cloud, command)) == 2
    told = capsys.readouterr().err
    assert all(part in told for part in ("this would go to a real account", *NAMED[cloud], "--real", "seatrial practice env"))
    assert not (tmp_path / "home" / "runs").exists() or not list((tmp_path / "home" / "runs").iterdir())


def test_with_the_word_the_account_is_named_first(tmp_path: Path) -> None:
    """And then the missing credentials end it: nothing was sent."""
    raw = write_points(tmp_path / "raw").parent
    result = CliRunner().invoke(submit_command.command, words("sagemaker", "submit", "--real", "--input", f"raw={raw}")[1:])
    assert result.stderr.startswith("real: Amazon SageMaker, account 111122223333, region us-east-1")
    assert "no AWS credentials" in str(result.exception)


def test_both_commands_say_what_real_means() -> None:
    for command in (run_command.command, submit_command.command):
        assert any(option.name == "real" and "account" in (option.help or "") for option in command.params)  # type: ignore[attr-defined]
