"""The inputs of one step that is submitted by itself: given by the user, made by an earlier finished run, or as in the job file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from jobs.contracts import storage
from jobs.contracts.bundle import BUNDLE, Bundle
from jobs.contracts.dataset import MANIFEST
from jobs.contracts.errors import InputError, RequestError
from jobs.contracts.states import JobState
from jobs.control import model_inputs, runs, watching
from jobs.control.backend import Backend
from jobs.control.binding import Binding
from jobs.control.home import Home
from jobs.control.plan import Source
from jobs.control.promotion import champion_source
from jobs.control.registry import CHAMPION, registry_of
from jobs.control.spec import Kind
from jobs.control.staging import is_on_this_machine, source_of

LOCAL = "local"


@dataclass(frozen=True)
class StepInputs:
    binding: Binding
    home: Home
    backend: Backend
    target: str
    file: Path

    def of(self, step: str, given: Mapping[str, str]) -> dict[str, Source]:
        """Name -> source. ``given``: locations that stand in for what the job file says.

        Errors: RequestError for an input that nobody has made yet, or a name that the step does not have.
        """
        spec, sources = self.binding.pipeline.steps[step], self.binding.pipeline.sources(step)
        known = [*spec.inputs, *([CHAMPION] if spec.kind == Kind.EVALUATE else [])]
        if unknown := [name for name in given if name not in known]:
            raise RequestError(f"no input {unknown[0]!r}", where=f"{self.file}: step {step}", hint=f"its inputs: {', '.join(known) or 'none'}")
        found = {name: self._given(uri) for name, uri in given.items()}
        for name, (source, output) in sources.items():
            if name not in given:
                found[name] = self._made(step, name, source, output)
        as_written = {name: value for name, value in spec.inputs.items() if name not in found}
        found |= {name: self.binding.located(value) for name, value in as_written.items()}
        return found | self._champion(spec.kind, found)

    def _champion(self, kind: Kind, found: Mapping[str, Source]) -> dict[str, Source]:
        """What an evaluation must be better than, as in a whole run."""
        if kind != Kind.EVALUATE or CHAMPION in found:
            return {}
        champion = champion_source(self.home, self.binding.pipeline.name, registry_of(self.backend))
        bundle = found.get("bundle")
        return {} if champion is None or (bundle and champion.fingerprint == bundle.fingerprint) else {CHAMPION: champion}

    def _made(self, step: str, name: str, source: str, output: str) -> Source:
        digest = self.binding.job(source, self.of(source, {})).fingerprint
        under_way = self._look_at(digest)
        if found := runs.finished_step(self.home, digest, self.target, self.backend.exists):
            product = found[1].outputs[output]
            return Source(product.uri, product.fingerprint)
        if self.target != LOCAL and (found := runs.finished_step(self.home, digest, LOCAL)):
            product = found[1].outputs[output]  # with its size: it is brought to the target's store from here
            return replace(source_of(product.uri), fingerprint=product.fingerprint)
        raise RequestError(
            f"the input {name!r} is made by the step {source!r}, which {'is still under way' if under_way else 'has not finished with these settings'}",
            where=f"{self.file}: step {step}",
            hint=f"`seatrial status {under_way} --wait`, then this again"
            if under_way
            else f"`seatrial run {self.file} --on {self.target}` makes everything in order (--detach: without this terminal); "
            f"or give a location: --input {name}=URI",
        )

    def _look_at(self, digest: str) -> str:
        """Whether a step that was submitted has ended is known once somebody looks. Returns the handle of one under way, or nothing."""
        for record in runs.list_runs(self.home):
            for step in record.steps.values():
                if (step.fingerprint, record.target) == (digest, self.target) and step.handle and not step.state.is_final:
                    state = watching.look(self.home, step.handle, self.backend)
                    if not state.is_final and state != JobState.UNKNOWN:
                        return step.handle
        return ""

    def _given(self, uri: str) -> Source:
        """A dataset or bundle keeps the fingerprint that it carries; anything else is known by its content."""
        if model_inputs.is_model(uri):
            return self.binding.located(uri)
        if ":" not in uri:
            uri = str(Path(uri).resolve())
        digest = self._carried(uri)
        if is_on_this_machine(uri) and digest and self.target == LOCAL:
            return Source(uri, digest)
        if is_on_this_machine(uri) or not digest:
            content = source_of(uri)
            return replace(content, fingerprint=digest or content.fingerprint)
        return Source(uri, digest)

    def _carried(self, uri: str) -> str:
        read = storage.read_bytes if is_on_this_machine(uri) else self.backend.read
        for name in (MANIFEST, BUNDLE):
            try:
                data = read(storage.join(uri, name))
                return Bundle.model_validate_json(data).fingerprint if name == BUNDLE else str(json.loads(data)["fingerprint"])
            except (InputError, NotADirectoryError):
                continue
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(f"{name} cannot be read: {error}", where=uri, hint="is this a dataset or a bundle of Seatrial's?") from error
        return ""
