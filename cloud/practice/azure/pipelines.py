"""A pipeline: its nodes run as jobs, each when the ones whose outputs it takes are done.

A node is a component with bindings: ``${{parent.inputs.x}}``, ``${{parent.jobs.n.outputs.y}}``, ``${{parent.outputs.z}}``. Command
components are practised; a node of another type is refused.
"""

from __future__ import annotations

import re
from graphlib import CycleError, TopologicalSorter
from typing import Any

from cloud.practice.azure.checks import mapping
from cloud.practice.azure.documents import Document
from cloud.practice.azure.faults import bad_request
from cloud.practice.azure.jobs import FINAL, JobCancelled, JobFailed, Jobs, Live

_BINDING = re.compile(r"\$\{\{\s*parent\.(?:(inputs|outputs)\.(\w+)|jobs\.([\w-]+)\.outputs\.(\w+))\s*\}\}")
_COMMAND = "command"
_LOOK = 0.05  # seconds


def check(jobs: Jobs, properties: Document) -> None:
    nodes = mapping(properties, "jobs")
    if not nodes:
        raise bad_request("A pipeline needs at least one job.", inner="EmptyPipeline", target="jobs")
    jobs.checks.inputs(properties)
    for name, node in nodes.items():
        _check_node(jobs, properties, name, node)
    try:
        TopologicalSorter({name: dependencies(node) for name, node in nodes.items()}).prepare()
    except CycleError as error:
        raise bad_request(f"The jobs of the pipeline form a cycle: {' -> '.join(error.args[1])}.", inner="CyclicPipeline", target="jobs") from error


def _check_node(jobs: Jobs, properties: Document, name: str, node: Document) -> None:
    if node.get("type") != _COMMAND:
        raise bad_request(
            f"Job '{name}' has the type '{node.get('type')}', which cannot be practised inside a pipeline; '{_COMMAND}' can.", target=f"jobs.{name}.type"
        )
    component = _component(jobs, name, node)
    given = mapping(node, "inputs")
    for key, each in mapping(component, "inputs").items():
        if key not in given and "default" not in each and not each.get("optional"):
            raise bad_request(f"Required input '{key}' of job '{name}' is not provided.", inner="MissingInput", target=f"jobs.{name}.inputs.{key}")
    if unknown := set(given) - set(mapping(component, "inputs")):
        raise bad_request(f"Job '{name}' gives inputs that its component does not have: {', '.join(sorted(unknown))}.", target=f"jobs.{name}.inputs")
    for each in [*given.values(), *mapping(node, "outputs").values()]:
        _check_binding(jobs, properties, name, each)
    if not _compute(properties, node):
        raise bad_request(f"Job '{name}' has no compute, and the pipeline has no default one.", inner="ComputeNotFound", target=f"jobs.{name}.computeId")
    jobs.checks.compute({"computeId": _compute(properties, node), "resources": _camel(mapping(node, "resources"))})


def _check_binding(jobs: Jobs, properties: Document, name: str, each: Document) -> None:
    found = _BINDING.fullmatch(str(each.get("value") or each.get("uri") or ""))
    if not found:
        return
    kind, key, other, output = found.groups()
    if kind and key not in mapping(properties, kind):
        raise bad_request(f"Job '{name}' refers to {found[0]}, which the pipeline does not define.", inner="InvalidExpression", target=f"jobs.{name}")
    if other:
        sibling = mapping(properties, "jobs").get(other)
        if sibling is None or output not in mapping(_component(jobs, other, sibling), "outputs"):
            raise bad_request(f"Job '{name}' refers to {found[0]}, which does not exist.", inner="InvalidExpression", target=f"jobs.{name}")


def _component(jobs: Jobs, name: str, node: Document) -> Document:
    asset = jobs.places.asset(str(node.get("componentId") or ""), "components")
    if asset is None:
        raise bad_request(f"The componentId of job '{name}' is missing or not of this workspace.", inner="ComponentNotFound", target=f"jobs.{name}.componentId")
    return mapping(asset["properties"], "componentSpec")


def dependencies(node: Document) -> set[str]:
    found = (_BINDING.fullmatch(str(each.get("value") or each.get("uri") or "")) for each in mapping(node, "inputs").values())
    return {match[3] for match in found if match and match[3]}


def _compute(properties: Document, node: Document) -> str:
    return str(node.get("computeId") or mapping(properties, "settings").get("default_compute") or "")


def run(jobs: Jobs, live: Live, properties: Document, search: dict[str, Any] | None) -> None:
    jobs.state(live.name, "Running")
    nodes = mapping(properties, "jobs")
    order = TopologicalSorter({name: dependencies(node) for name, node in nodes.items()})
    order.prepare()
    running, failed, made = dict[str, str](), list[str](), dict[str, Document]()
    keep_on = bool(mapping(properties, "settings").get("continue_on_step_failure"))
    while running or (order.is_active() and not (failed and not keep_on)):
        for name in order.get_ready() if not failed or keep_on else ():
            child = f"{live.name}_{name}"
            made[name] = jobs.submit(child, as_job(jobs, properties, name, made), parent=live.name)["properties"]
            running[name] = child
        if live.cancelled.wait(_LOOK):
            for child in running.values():
                jobs.wait(child)
            raise JobCancelled
        for name in [name for name, child in running.items() if jobs.wait(child, 0)["properties"]["status"] in FINAL]:
            if jobs.wait(running.pop(name))["properties"]["status"] == "Completed":
                order.done(name)
            else:
                failed.append(name)
        if failed and not running and not order.is_active():
            break
        if failed and keep_on and not running:
            break  # what is left waits for a node that failed
    if failed:
        raise JobFailed(
            f"Pipeline has failed child jobs. Failed nodes: {', '.join(f'/{name}' for name in failed)}. See the logs of the child jobs.", "PipelineChildFailed"
        )
    jobs.state(live.name, "Finalizing")


def as_job(jobs: Jobs, properties: Document, name: str, made: dict[str, Document]) -> Document:
    """The command job that a node is, with every binding replaced by what it names."""
    node = mapping(properties, "jobs")[name]
    component = _component(jobs, name, node)
    given = mapping(node, "inputs")
    inputs = {key: _input(properties, made, each, given.get(key)) for key, each in mapping(component, "inputs").items() if key in given or "default" in each}
    outputs = {
        key: _output(properties, live_name=name, each=each, given=mapping(node, "outputs").get(key) or {})
        for key, each in mapping(component, "outputs").items()
    }
    distribution = _camel(mapping(node, "distribution") or mapping(component, "distribution"))
    if "type" in distribution:
        distribution["distributionType"] = {"pytorch": "PyTorch", "mpi": "Mpi", "ray": "Ray", "tensorflow": "TensorFlow"}.get(distribution.pop("type").lower())
    return {
        "jobType": "Command",
        "command": component["command"],
        "codeId": component.get("code"),
        "environmentId": node.get("environmentId") or component["environment"],
        "computeId": _compute(properties, node),
        "inputs": inputs,
        "outputs": outputs,
        "distribution": distribution,
        "resources": _camel(mapping(node, "resources") or mapping(component, "resources")),
        "limits": _limits(node),
        "environmentVariables": mapping(node, "environment_variables") or mapping(node, "environmentVariables") or mapping(component, "environment_variables"),
        "experimentName": properties.get("experimentName"),
        "displayName": node.get("display_name") or name,
        "tags": mapping(node, "tags"),
    }


def _input(properties: Document, made: dict[str, Document], declared: Document, given: Any) -> Document:
    if given is None:
        return {"jobInputType": "literal", "value": str(declared["default"])}
    given = given if isinstance(given, dict) else {"value": given}
    text = str(given.get("uri") or given.get("value") or "")
    found = _BINDING.fullmatch(text)
    kind = declared.get("type", "string")
    if not found:
        return {"jobInputType": "literal", "value": text} if "uri" not in given else {"jobInputType": kind, "uri": text, "mode": _mode(given)}
    if found[3]:
        return {"jobInputType": kind, "uri": made[found[3]]["outputs"][found[4]]["uri"], "mode": _mode(given)}
    return dict(mapping(properties, "inputs")[found[2]])


def _mode(given: Document) -> str | None:
    return given.get("mode")


def _output(properties: Document, *, live_name: str, each: Document, given: Document) -> Document:
    found = _BINDING.fullmatch(str(given.get("value") or given.get("uri") or ""))
    if found and found[1] == "outputs":
        return {"jobOutputType": each["type"], **{key: value for key, value in mapping(properties, "outputs")[found[2]].items() if value is not None}}
    return {"jobOutputType": each["type"], "uri": None if found else given.get("uri"), "mode": given.get("mode"), "description": live_name}


def _limits(node: Document) -> Document:
    timeout = mapping(node, "limits").get("timeout")
    return {"timeout": f"PT{timeout}S" if isinstance(timeout, int | float) else timeout} if timeout else {}


def _camel(given: Document) -> Document:
    """A node's fields are written as in YAML, a job's as in the REST interface."""
    return {re.sub(r"_(\w)", lambda found: found[1].upper(), key): value for key, value in given.items()}
