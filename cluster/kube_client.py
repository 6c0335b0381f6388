"""The one client of the Kubernetes API: plain dictionaries in and out, every failure translated here.

An :class:`Api` speaks to one namespace of one cluster. Absence is a value (``None``, an empty list), refusal an error:

    no kubeconfig, no answer, 401, no such API or namespace   SetupError
    403 and everything that admission refuses                 RequestError
    a server that is busy or a stream that breaks             RunError
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from cluster.exec_stream import converse
from cluster.kube_errors import Absent, Exists, NotReady, Refused, message_of, of_status, unreachable
from jobs.contracts.errors import SetupError, missing_extra

Object = dict[str, Any]

IN_CLUSTER, CURRENT = "in-cluster", "current"  # contexts that no kubeconfig names
_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_TIMEOUT = (5, 30)  # seconds to connect, and between two answers
_LOG_SILENCE = 60  # seconds without a line after which a followed log is asked for anew: a dead connection looks the same
_KINDS = {
    "ConfigMap": "api/v1/namespaces/{}/configmaps",
    "Event": "api/v1/namespaces/{}/events",
    "Job": "apis/batch/v1/namespaces/{}/jobs",
    "Pod": "api/v1/namespaces/{}/pods",
    "RayJob": "apis/ray.io/v1/namespaces/{}/rayjobs",
    "Service": "api/v1/namespaces/{}/services",
    "Workload": "apis/kueue.x-k8s.io/{kueue}/namespaces/{}/workloads",
}
NO_QUERY: Mapping[str, str] = {}
MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"


def current_context() -> str:
    """The cluster that is meant when none is named: the pod's own, or the kubeconfig's current context.

    Reads files only, and needs no client. ``current`` where there is neither.
    """
    if "KUBERNETES_SERVICE_HOST" in os.environ and _TOKEN.exists():
        return IN_CLUSTER
    for path in _kubeconfig().split(os.pathsep):
        try:
            content = yaml.safe_load(Path(path).expanduser().read_bytes())
        except (OSError, yaml.YAMLError):
            continue
        if isinstance(content, dict) and content.get("current-context"):
            return str(content["current-context"])
    return CURRENT


def _kubeconfig() -> str:
    return os.environ.get("KUBECONFIG") or "~/.kube/config"


def connect(context: str, namespace: str) -> Api:
    """An API of this context; ``current`` or nothing = :func:`current_context`. Sends nothing yet.

    Errors: SetupError when the package, the kubeconfig or the context is missing.
    """
    context = context if context not in ("", CURRENT) else current_context()
    return Api(_client(context), context, namespace)


def _client(context: str) -> Any:
    try:
        from kubernetes import client, config, dynamic
    except ImportError as error:
        raise missing_extra("kubernetes", "kubernetes") from error
    from urllib3.util.retry import Retry

    settings = client.Configuration()
    # Only requests that may be repeated are: a busy server asks for it by 429 or 503, a restarting one refuses connections.
    settings.retries = Retry(3, backoff_factor=0.2, status_forcelist=(429, 502, 503, 504), allowed_methods=("GET",), raise_on_status=False)
    try:
        if context == IN_CLUSTER:
            config.load_incluster_config(client_configuration=settings)
        else:
            config.load_kube_config(_kubeconfig(), context if context != CURRENT else None, client_configuration=settings, persist_config=False)
    except config.ConfigException as error:
        hint = "`kubectl config get-contexts` lists them; set targets.kubernetes.context or KUBECONFIG, or make a cluster first"
        raise SetupError(f"no way to the cluster {context!r}: {error}", where=_kubeconfig(), hint=hint) from error
    # Kinds and paths are known here, so the dynamic client needs no discovery: no request before the first one.
    return dynamic.DynamicClient(client.ApiClient(settings), discoverer=lambda *_: None)


class Api:
    """One namespace of one cluster."""

    def __init__(self, client: Any, context: str, namespace: str) -> None:
        self._client, self.context, self.namespace = client, context, namespace

    @property
    def server(self) -> str:
        return str(self._client.configuration.host)

    def _path(self, kind: str, name: str = "") -> str:
        path = "/" + _KINDS[kind].format(self.namespace, kueue=self._kueue if kind == "Workload" else "")
        return f"{path}/{name}" if name else path

    @cached_property
    def _kueue(self) -> str:
        """The version of Kueue's API: it is still a beta, and old ones go away."""
        group = self._found("get", "/apis/kueue.x-k8s.io") or {}
        return str(group.get("preferredVersion", {}).get("version", "v1beta1"))

    def _send(self, method: str, path: str, body: Object | None = None, query: Mapping[str, str] = NO_QUERY, content_type: str = "application/json") -> Object:
        with self._translated():
            options: Object = {"query_params": list(query.items()), "content_type": content_type, "_request_timeout": _TIMEOUT}
            response = self._client.request(method, path, body, serialize=False, **options)
            return dict(json.loads(response.data))

    def version(self) -> str:
        return str(self._send("get", "/version").get("gitVersion", ""))

    def serves(self, group: str) -> bool:
        """Whether the cluster knows an API group, such as ``ray.io/v1``."""
        return self._found("get", f"/apis/{group}") is not None

    def has_namespace(self) -> bool:
        """Also true where one may not ask: a namespace's user need not see namespaces."""
        try:
            return self._found("get", f"/api/v1/namespaces/{self.namespace}") is not None
        except Refused:
            return True

    def get(self, kind: str, name: str) -> Object | None:
        return self._found("get", self._path(kind, name))

    def list(self, kind: str, labels: str = "") -> list[Object]:
        """Objects by label selector; none of a kind that the cluster does not know."""
        answer = self._found("get", self._path(kind), query={"labelSelector": labels} if labels else NO_QUERY) or {}
        return list(answer.get("items", ()))

    def create(self, body: Object, *, dry_run: bool = False) -> Object | None:
        """The object as created, or None when one of this name is there already."""
        try:
            return self._send("post", self._path(str(body["kind"])), body, {"dryRun": "All"} if dry_run else NO_QUERY)
        except Exists:
            return None

    def patch(self, kind: str, name: str, changes: Object, how: str = MERGE) -> Object | None:
        """The object as changed, or None when it is not there."""
        return self._found("patch", self._path(kind, name), changes, content_type=how)

    def delete(self, kind: str, name: str) -> None:
        """Harmless when it is not there; what it owns goes with it."""
        self._found("delete", self._path(kind, name), {"propagationPolicy": "Background"})

    def _found(
        self, method: str, path: str, body: Object | None = None, query: Mapping[str, str] = NO_QUERY, content_type: str = "application/json"
    ) -> Object | None:
        try:
            return self._send(method, path, body, query, content_type)
        except Absent:
            return None

    def log(self, pod: str, container: str, *, since: str = "", follow: bool = False) -> Iterator[str]:
        """Lines of a container as ``<RFC 3339 time> <text>``, without line ends; nothing when it has none yet.

        A followed log ends with the container, or silently when the connection breaks: ask again with ``since``.
        """
        query = {"container": container, "timestamps": "true"} | ({"sinceTime": since} if since else {}) | ({"follow": "true"} if follow else {})
        import urllib3

        try:
            with self._translated():
                timeout = (_TIMEOUT[0], _LOG_SILENCE)
                path = self._path("Pod", f"{pod}/log")
                response = self._client.request("get", path, serialize=False, query_params=list(query.items()), _request_timeout=timeout)
                yield from _lines(response.stream(1 << 16))
        except (Absent, NotReady):
            return
        except (urllib3.exceptions.ProtocolError, urllib3.exceptions.ReadTimeoutError):
            return

    def run(self, pod: str, command: Sequence[str], data: Iterable[bytes] = (), keep: Callable[[bytes], object] = bytes) -> tuple[int, str]:
        """Run a command in a pod's only container: its exit code and what it said on standard error.

        ``data`` goes to its standard input, which is not closed (the v4 channel protocol cannot): a reader must know where to end.
        ``keep`` receives its standard output piece by piece.
        """
        from kubernetes.stream import ws_client

        query = [("command", each) for each in command] + [(name, "true") for name in ("stdin", "stdout", "stderr")]
        settings = self._client.configuration
        auth = settings.auth_settings().get("BearerToken")
        headers = {"authorization": auth["value"]} if auth else {}
        url = f"{self.server}{self._path('Pod', f'{pod}/exec')}"
        with self._translated():
            stream = ws_client.websocket_call(settings, "GET", url, query_params=query, headers=headers, _preload_content=False, capture_all=False, binary=True)
            return converse(stream, data, keep)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Every failure of the client as an error of ours."""
        import urllib3
        from kubernetes.client.exceptions import ApiException

        try:
            yield
        except ApiException as error:
            raise of_status(int(error.status or 0), message_of(error), self._where) from error
        except urllib3.exceptions.MaxRetryError as error:
            raise unreachable(str(error.reason), self._where) from error
        except (urllib3.exceptions.TimeoutError, ConnectionError) as error:
            raise unreachable(str(error), self._where) from error

    @property
    def _where(self) -> str:
        return f"{self.context} ({self.server})"


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)
    if rest:
        yield rest.decode(errors="replace")
