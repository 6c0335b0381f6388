"""A sweep: trials of one command over a search space, at most so many at once; the best by a metric that each logs to MLflow.

Grid and random sampling are as documented. Bayesian sampling draws at random here, and the sweep's log says so.
"""

from __future__ import annotations

import itertools
import json
import math
import random
from typing import Any

from cloud.practice.azure.addresses import address
from cloud.practice.azure.checks import mapping
from cloud.practice.azure.documents import Document
from cloud.practice.azure.durations import seconds
from cloud.practice.azure.faults import bad_request
from cloud.practice.azure.jobs import FINAL, JobCancelled, JobFailed, Jobs, Live

_ALGORITHMS = ("Grid", "Random", "Bayesian")
_POLICIES = ("Bandit", "MedianStopping", "TruncationSelection")
_LOOK = 0.1  # seconds


def check(jobs: Jobs, properties: Document) -> None:
    space = mapping(properties, "searchSpace")
    if not space:
        raise bad_request("The searchSpace field is required.", target="searchSpace")
    for name, given in space.items():
        _check_distribution(name, given)
    kind = _algorithm(properties)
    if kind not in _ALGORITHMS:
        raise bad_request(f"The sampling algorithm '{kind}' is unknown; there are {', '.join(_ALGORITHMS)}.", target="samplingAlgorithm")
    if kind == "Grid" and any(given[0] != "choice" for given in space.values()):
        raise bad_request("Grid sampling supports 'choice' only.", target="searchSpace")
    objective = mapping(properties, "objective")
    if _goal(properties) not in ("Minimize", "Maximize") or not objective.get("primaryMetric"):
        raise bad_request("The objective needs a primaryMetric and a goal, Minimize or Maximize.", target="objective")
    policy = mapping(properties, "earlyTermination")
    if policy and policy.get("policyType") not in _POLICIES:
        raise bad_request(f"The early termination policy '{policy.get('policyType')}' is unknown.", target="earlyTermination")
    limits = mapping(properties, "limits")
    for field in ("maxTotalTrials", "maxConcurrentTrials"):
        if limits.get(field) is not None and not 1 <= limits[field] <= 1000:
            raise bad_request(f"limits.{field} must be from 1 to 1000, and is {limits[field]}.", target=f"limits.{field}")
    trial = mapping(properties, "trial")
    if not trial.get("command"):
        raise bad_request("The trial's command field is required.", target="trial.command")
    jobs.checks.trial(trial, trial["command"])
    jobs.checks.inputs(properties)
    jobs.checks.expressions(trial["command"], properties, space)
    jobs.checks.compute(properties)
    jobs.checks.timeout(properties)


def _check_distribution(name: str, given: Any) -> None:
    lengths = {
        "choice": 1,
        "uniform": 2,
        "randint": 1,
        "loguniform": 2,
        "normal": 2,
        "lognormal": 2,
        "quniform": 3,
        "qloguniform": 3,
        "qnormal": 3,
        "qlognormal": 3,
    }
    if (
        not isinstance(given, list)
        or len(given) != 2
        or given[0] not in lengths
        or len(given[1]) != lengths[given[0]]
        or (given[0] == "choice" and not given[1][0])
    ):
        raise bad_request(f"The distribution of '{name}' is invalid: {json.dumps(given)}.", target=f"searchSpace.{name}")


def run(jobs: Jobs, live: Live, properties: Document, search: dict[str, Any] | None) -> None:
    jobs.state(live.name, "Running")
    limits = mapping(properties, "limits")
    most, together = int(limits.get("maxTotalTrials") or 20), int(limits.get("maxConcurrentTrials") or 2)
    points = samples(properties, most)
    over = _Clock(seconds(limits["timeout"]) if limits.get("timeout") else math.inf)
    running, done = list[str](), list[str]()
    for index, point in enumerate(points):
        while len(running) >= together:
            running, done = _settle(jobs, live, properties, running, done, over)
        running.append(_start(jobs, live, properties, index, point))
    while running:
        running, done = _settle(jobs, live, properties, running, done, over)
    _choose(jobs, live, properties, done)


def _algorithm(properties: Document) -> str:
    return str(mapping(properties, "samplingAlgorithm").get("samplingAlgorithmType") or "").capitalize()


def _goal(properties: Document) -> str:
    return str(mapping(properties, "objective").get("goal") or "").capitalize()


class _Clock:
    def __init__(self, limit: float) -> None:
        import time

        self._now, self._end = time.monotonic, time.monotonic() + limit

    @property
    def is_over(self) -> bool:
        return self._now() > self._end


def _start(jobs: Jobs, live: Live, properties: Document, index: int, point: dict[str, Any]) -> str:
    trial, name = mapping(properties, "trial"), f"{live.name}_{index}"
    own = {**trial, "jobType": "Command", "inputs": properties.get("inputs") or {}, "computeId": properties.get("computeId")}
    outputs = {key: {field: value for field, value in each.items() if field != "uri"} for key, each in (properties.get("outputs") or {}).items()}
    shared = {key: properties.get(key) for key in ("experimentName", "queueSettings")}
    limit = {"timeout": mapping(properties, "limits").get("trialTimeout")}
    tags = {"hyperparameters": json.dumps(point)}
    jobs.submit(name, {**own, **shared, "outputs": outputs, "limits": limit, "tags": tags, "displayName": name}, parent=live.name, search=point)
    jobs.tracking.params(name, {key: str(value) for key, value in point.items()})
    return name


def _settle(jobs: Jobs, live: Live, properties: Document, running: list[str], done: list[str], over: _Clock) -> tuple[list[str], list[str]]:
    """Wait for a moment; cancel what a policy, the time limit or the user ends."""
    if live.cancelled.wait(_LOOK) or over.is_over:
        for name in running:
            jobs.cancel(name)
        for name in running:
            jobs.wait(name)
        raise JobCancelled("" if live.cancelled.is_set() else "The sweep ran longer than its limit and was canceled.")
    for name in early(jobs, properties, running, done):
        jobs.cancel(name)
    ended = [name for name in running if (body := jobs.documents.get(address("jobs", name))) and body["properties"]["status"] in FINAL]
    return [name for name in running if name not in ended], [*done, *ended]


def early(jobs: Jobs, properties: Document, running: list[str], done: list[str]) -> list[str]:
    """The running trials that the policy ends: Bandit by slack to the best, median stopping and truncation by rank."""
    policy = mapping(properties, "earlyTermination")
    if not policy:
        return []
    objective = mapping(properties, "objective")
    sign = 1 if _goal(properties) == "Maximize" else -1
    histories = {name: [sign * each["value"] for each in jobs.tracking.history(name, objective["primaryMetric"])] for name in [*running, *done]}
    interval, delay = max(int(policy.get("evaluationInterval") or 1), 1), int(policy.get("delayEvaluation") or 0)
    ends = []
    for name in running:
        count = len(histories[name])
        others = [max(history[:count]) for other, history in histories.items() if other != name and history[:count]]
        if not count or count < delay or count % interval or not others:
            continue
        mine = max(histories[name])
        if mine < _least(policy, others):
            ends.append(name)
    return ends


def _least(policy: Document, others: list[float]) -> float:
    """What a trial's best value must reach, given the others' at the same age."""
    match policy["policyType"]:
        case "Bandit":
            best = max(others)
            return best - (float(policy.get("slackAmount") or 0) or abs(best) * float(policy.get("slackFactor") or 0))
        case "MedianStopping":
            return sorted(others)[len(others) // 2]
        case _:
            share = int(policy.get("truncationPercentage") or 10)
            return sorted(others)[len(others) * share // 100]


def samples(properties: Document, most: int) -> list[dict[str, Any]]:
    """The points to try; the same for the same seed."""
    space, algorithm = mapping(properties, "searchSpace"), mapping(properties, "samplingAlgorithm")
    if _algorithm(properties) == "Grid":
        product = itertools.product(*(given[1][0] for given in space.values()))
        return [dict(zip(space, values, strict=True)) for values in itertools.islice(product, most)]
    source = random.Random(algorithm.get("seed"))  # noqa: S311 # a search, no secret
    return [{name: _draw(source, *given) for name, given in space.items()} for _ in range(most)]


def _draw(source: random.Random, kind: str, given: list[Any]) -> Any:
    if kind == "choice":
        return source.choice(given[0])
    if kind == "randint":
        return source.randrange(int(given[0]))
    plain = kind.removeprefix("q") if kind.startswith("q") else kind
    low, high = float(given[0]), float(given[1])
    value = source.uniform(low, high) if plain in ("uniform", "loguniform") else source.gauss(low, high)
    value = math.exp(value) if plain.startswith("log") else value
    return round(value / given[2]) * given[2] if kind.startswith("q") else value


def _choose(jobs: Jobs, live: Live, properties: Document, done: list[str]) -> None:
    objective = mapping(properties, "objective")
    values = {name: [each["value"] for each in jobs.tracking.history(name, objective["primaryMetric"])] for name in done}
    scored = {name: (max if _goal(properties) == "Maximize" else min)(history) for name, history in values.items() if history}
    if not scored:
        states = [str(jobs.wait(name)["properties"]["status"]) for name in done]
        raise JobFailed(f"No trial logged the primary metric '{objective['primaryMetric']}' (trials: {', '.join(states)}).")
    best = (max if _goal(properties) == "Maximize" else min)(scored, key=lambda name: scored[name])
    found = {"score": str(scored[best]), "best_child_run_id": best, "best_metric_status": "Succeeded"}
    jobs.documents.change(address("jobs", live.name), lambda properties: properties["properties"].update(found))
    jobs.tracking.log(live.name, [{"key": objective["primaryMetric"], "value": scored[best]}])
