"""templates/retraining"""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from jobs.control import spec_file
from jobs.control.spec import KubernetesTarget
from tests.cluster import rendered
from tests.helm import chart

JOB = "apiVersion: seatrial/v1\nname: flights\nsteps:\n  judge: {kind: evaluate, inputs: {dataset: data}}\n"


def cron(values: chart.Object = {}, *, profile: str = "", namespace: str = "seatrial", **of: object) -> chart.Object:  # noqa: B006
    whole = {**values, "retraining": {"enabled": True, "jobFile": JOB, **of}}
    return chart.find(chart.render(whole, profile=profile, namespace=namespace), "CronJob")


def pod(body: chart.Object) -> chart.Object:
    return body["spec"]["jobTemplate"]["spec"]["template"]["spec"]  # type: ignore[no-any-return]


def overrides(body: chart.Object) -> list[str]:
    return [each for each in pod(body)["containers"][0]["args"] if each != "--set"]


def target(body: chart.Object, folder: Path) -> KubernetesTarget:
    """What the driver reads from the job file with the chart's overrides."""
    (folder / "pipeline.yaml").write_text(JOB)
    return spec_file.load(folder / "pipeline.yaml", overrides(body)).targets.kubernetes


def test_should_not_be_there_unless_it_is_on() -> None:
    assert not chart.names(chart.render(), "CronJob")


def test_should_run_on_its_schedule_one_at_a_time() -> None:
    spec = cron(schedule="5 4 * * *", timeZone="Europe/Berlin", suspend=True)["spec"]
    assert (spec["schedule"], spec["timeZone"], spec["suspend"], spec["concurrencyPolicy"]) == ("5 4 * * *", "Europe/Berlin", True, "Forbid")


def test_should_run_as_a_driver_with_its_rights() -> None:
    found = pod(cron())
    assert (found["serviceAccountName"], found["automountServiceAccountToken"], found["restartPolicy"]) == ("seatrial-driver", True, "Never")
    assert rendered.env(found)["SEATRIAL_HOME"] == "/seatrial/store"


def test_the_command_is_one_that_the_command_line_knows() -> None:
    from jobs.control.cli import seatrial

    command = pod(cron())["containers"][0]["command"]
    assert command[:3] == ["python", "-m", "jobs.control.cli"]
    answer = CliRunner().invoke(seatrial, [*command[3:], "--set", "a=b", "--help"])
    assert answer.exit_code == 0, answer.output


def test_should_tell_a_job_file_where_it_is(tmp_path: Path) -> None:
    defaults = KubernetesTarget()
    assert target(cron(), tmp_path) == defaults, "with the chart's own names nothing changes"
    values = {
        "fullnameOverride": "second",
        "images": {"ray": "r.example/ray:1", "spark": "r.example/spark:1", "pullPolicy": "Always", "pullSecrets": ["a", "b"]},
        "serviceAccounts": {"jobs": {"create": True, "name": "workers"}, "spark": {"name": "etl"}},
        "queue": "team",
    }
    found = target(cron(values, namespace="ml"), tmp_path)
    assert (found.namespace, found.store, found.queue) == ("ml", "pvc://second-data", "team")
    assert (found.images.ray, found.images.pull_policy, found.images.pull_secrets) == ("r.example/ray:1", "Always", ("a", "b"))
    assert (found.service_account, found.spark_service_account) == ("workers", "etl")
    assert (found.service, found.tracking_uri) == ("second-serve-svc", "http://second-mlflow:5000")


def test_should_pass_overrides_if_set_is_set() -> None:
    assert overrides(cron(set=["steps.train.params.seed=8"]))[-1] == "steps.train.params.seed=8"


def test_should_keep_its_home_to_itself_if_the_store_is_an_object_store(tmp_path: Path) -> None:
    body = cron(profile="s3")
    assert rendered.env(pod(body))["SEATRIAL_HOME"] == "/tmp/seatrial"
    assert target(body, tmp_path).store == "s3://seatrial-store/main"


def test_should_lay_code_beside_the_job_file_if_code_is_set() -> None:
    code = {"shop/__init__.py": "", "shop/model.py": "def build(): ...\n", "other/__init__.py": "x = '''a\n\nb'''\n"}
    objects = chart.render({"retraining": {"enabled": True, "jobFile": JOB, "code": code}})
    data = chart.find(objects, "ConfigMap", "seatrial-retraining")["data"]
    volume = next(each for each in pod(chart.find(objects, "CronJob"))["volumes"] if each["name"] == "pipeline")
    laid = {item["path"]: data[item["key"]] for item in volume["configMap"]["items"]}
    assert {path: text.strip() for path, text in laid.items()} == {path: text.strip() for path, text in ({"pipeline.yaml": JOB} | code).items()}
