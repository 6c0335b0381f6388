"""One step as a plan for Kubernetes. Pure, but for reading the code that travels inside it.

Code of little text goes as a ConfigMap, and everything else that lies on this machine as an upload to the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cluster.handles import Handle
from cluster.rendering import CODE, Places, losses, main_object, object_name, render
from cluster.volume import in_pod, is_on_volume
from jobs.contracts import fingerprint, storage
from jobs.contracts.errors import RequestError, from_os_error
from jobs.contracts.job import Job
from jobs.control.plan import Plan, Request, Source, Upload
from jobs.control.spec import KubernetesTarget, Step
from jobs.control.staging import place, place_of_output

CODE_LIMIT = 700_000  # bytes; a ConfigMap holds 1 MiB, keys and labels included


def plan_step(
    settings: KubernetesTarget, cluster: str, step: Step, job: Job, inputs: Mapping[str, Source], code: Source, context: Mapping[str, str], attempt: int
) -> Plan:
    """``cluster``: the context's name, for the handle.

    Errors: RequestError for code that neither fits a ConfigMap nor has a volume to lie on.
    """
    store = settings.store.rstrip("/")
    folder = storage.join(store, "runs", job.run, job.step)
    outputs = {name: place_of_output(store, folder, job, name, kind) for name, kind in step.outputs.items()}
    placed = {name: place(source, store) for name, source in inputs.items()}
    code_files, code_uri, code_uploads = _code(code, store)
    places = Places(
        folder=in_pod(folder, store),
        inputs={name: in_pod(uri, store) for name, (uri, _) in placed.items()},
        outputs={name: in_pod(uri, store) for name, uri in outputs.items()},
        context={name: in_pod(value, store) for name, value in context.items()},
        code=in_pod(code_uri, store),
        code_files=code_files,
        attempt=attempt,
    )
    uploads = [upload for _, uploads in placed.values() for upload in uploads]
    return Plan(
        target="kubernetes",
        run=job.run,
        step=job.step,
        handle=str(Handle(cluster, settings.namespace, main_object(step)[1], object_name(job, attempt))),
        folder=folder,
        requests=tuple(Request(str(body["kind"]), body) for body in render(settings, step, job, places)),
        outputs=outputs,
        uploads=(*code_uploads, *uploads),
        losses=tuple(losses(step, settings)),
    )


def _code(code: Source, store: str) -> tuple[dict[str, str] | None, str, tuple[Upload, ...]]:
    """(files for a ConfigMap, where the code lies, what has to be brought for that)."""
    if (files := _small_text(code)) is not None:
        return files, CODE, ()
    uri, uploads = place(code, store, "code")
    if not is_on_volume(uri):
        hint = f"keep it below {CODE_LIMIT // 1000} kB of text, put it into the image, or use a pvc:// store"
        raise RequestError(f"this code is too large for a ConfigMap and {store} cannot be mounted", where=code.uri, hint=hint)
    return None, uri, uploads


def _small_text(code: Source) -> dict[str, str] | None:
    """Relative path to text; None when that is too much for a ConfigMap, or not text."""
    if code.bytes > CODE_LIMIT:
        return None
    root = Path(code.uri)
    try:
        return {path.relative_to(root).as_posix(): path.read_bytes().decode() for path in fingerprint.code_files(root)}
    except UnicodeDecodeError:
        return None
    except OSError as error:
        raise from_os_error(error, code.uri) from error
