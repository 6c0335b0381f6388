"""kind, minikube, docker, kubectl, helm and make, as one small world in a JSON file: the process edge of `seatrial cluster`.

Runs under each of those names. Every call is written down, may be told to fail or to be killed, and otherwise does to the world what
the real program would. `kubectl get --watch` plays the controllers too: what was created becomes ready while somebody watches.
Standard library only: it starts some forty times in a test.
"""

import contextlib
import fcntl
import json
import os
import re
import signal
import sys
import time

WORLD = os.environ["FAKE_WORLD"]


@contextlib.contextmanager
def world():
    """Held until it is written whole: a watch is ended by its reader at any moment."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        with open(WORLD, "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            content = json.load(file)
            try:
                yield content
            finally:
                file.seek(0)
                file.truncate()
                json.dump(content, file)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])


def fail(text, code=1):
    print(text, file=sys.stderr)
    sys.exit(code)


def flag(words, name, otherwise=""):
    for number, word in enumerate(words):
        if word == name:
            return words[number + 1]
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return otherwise


def main():
    tool, words = os.path.basename(sys.argv[0]), sys.argv[1:]
    line = " ".join([tool, *words])
    with world() as here:
        here["calls"].append(line)
        trouble = next((each for each in here["troubles"] if each["times"] and re.search(each["match"], line)), None)
        if trouble:
            trouble["times"] -= 1
    if trouble and "err" in trouble:
        fail(trouble["err"])
    TOOLS[tool](words)
    if trouble:  # done, and then cut off: the caller's whole session dies, as with kill -9
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(10)


def docker(words):
    with world() as here:
        if words[0] == "version":
            fail("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?") if here["daemon"] == "" else print(
                here["daemon"]
            )
        elif words[:2] == ["image", "inspect"]:
            image = here["docker"].get(words[-1])
            fail(f"Error response from daemon: No such image: {words[-1]}") if image is None else print(
                image["versions"] if "versions" in words[3] else image["id"]
            )
        elif words[0] == "inspect":
            print("true" if here["running"] else "false")
        elif words[0] == "start":
            here["running"] = True
        elif words[0] == "exec" and words[2] == "find":
            for name in os.listdir(here["store"]):
                os.unlink(os.path.join(here["store"], name))


def make(words):
    with world() as here:
        if words == ["--version"]:
            print("GNU Make 4.3")
        for target in words[2:]:
            if target.startswith("image-"):
                print(f"#1 building {target}", flush=True)
                here["docker"][f"seatrial-{target[6:]}:0.1.0"] = {"id": f"sha256:{target}", "versions": json.dumps({"seatrial": "0.1.0"})}


def kind(words):
    with world() as here:
        if words[0] == "version":
            print(f"kind v{here['versions']['kind']} go1.25.4 linux/amd64")
        elif words[:2] == ["get", "clusters"]:
            print("\n".join(here["clusters"])) if here["clusters"] else print("No kind clusters found.", file=sys.stderr)
        elif words[:2] == ["create", "cluster"]:
            print("Creating cluster ...", file=sys.stderr)
            here["clusters"].append("seatrial")
            here["running"] = True
        elif words[:2] == ["delete", "cluster"]:
            here["clusters"].remove("seatrial")
            here["nodes"] = {}
            here["objects"] = {}
            here["releases"] = {}
        elif words[:2] == ["load", "docker-image"]:
            same = here["nodes"].get(words[2]) == here["docker"][words[2]]["id"]
            here["nodes"][words[2]] = here["docker"][words[2]]["id"]
            print(
                f'Image: "{words[2]}" with ID "x" {"found to be already present on all nodes." if same else "not yet present on node, loading..."}',
                file=sys.stderr,
            )


def minikube(words):
    with world() as here:
        there = "seatrial" in here["clusters"]
        if words[0] == "version":
            print(f"v{here['versions']['minikube']}")
        elif words[:2] == ["profile", "list"]:
            print(json.dumps({"invalid": [], "valid": [{"Name": "seatrial"}] if there else []}))
            sys.exit(0 if there else 85)
        elif words[0] == "status":
            state = "Running" if here["running"] else "Stopped"
            print(json.dumps({"Name": "seatrial", "Host": state, "Kubelet": state, "APIServer": state}))
            sys.exit(0 if here["running"] else 7)
        elif words[0] == "start":
            here["clusters"] = ["seatrial"]
            here["running"] = True
        elif words[0] == "delete":
            here.update(clusters=[], nodes={}, objects={}, releases={})
        elif words[:2] == ["image", "ls"]:
            print(json.dumps([{"id": each, "repoTags": [f"docker.io/library/{name}"]} for name, each in here["nodes"].items()]))
        elif words[:2] == ["image", "load"]:
            here["nodes"][words[2]] = here["docker"][words[2]]["id"].removeprefix("sha256:")


def helm(words):
    with world() as here:
        if words[0] == "version":
            print(f"v{here['versions']['helm']}+g1234567")
            return
        name = words[2] if words[0] == "upgrade" else words[1]
        key = f"{flag(words, '--namespace')}/{name}"
        release = here["releases"].get(key)
        if words[0] == "status":
            fail("Error: release: not found") if release is None else print(json.dumps({"name": name, "info": release}))
        elif words[0] == "upgrade":
            if release and release["status"].startswith("pending"):
                fail("Error: another operation (install/upgrade/rollback) is in progress")
            is_four = int(here["versions"]["helm"].split(".")[0]) >= 4
            if not is_four and "--force-conflicts" in words:
                fail("Error: unknown flag: --server-side")
            if release and is_four and name == "seatrial" and "--force-conflicts" not in words:
                fail('Error: UPGRADE FAILED: conflict with "kuberay-operator" using ray.io/v1: .spec.rayClusterConfig.workerGroupSpecs')
            here["releases"][key] = {"status": "deployed", "description": flag(words, "--description")}
            create(here, name, flag(words, "--namespace"))
        elif words[0] == "uninstall":
            del here["releases"][key]
            kept = ("persistentvolumeclaims", "customresourcedefinitions")
            here["objects"] = {path: each for path, each in here["objects"].items() if each.get("release") != key or path.split("/")[0] in kept}
        elif words[0] == "rollback":
            release["status"] = "deployed"


def create(here, name, namespace):
    """What a chart brings; nothing is ready before the controllers have worked."""
    made = {
        "kuberay-operator": [
            ("deployments", namespace, "kuberay-operator"),
            *(("customresourcedefinitions", "", crd) for crd in ("rayclusters.ray.io", "rayjobs.ray.io", "rayservices.ray.io")),
        ],
        "seatrial": [
            ("deployments", namespace, "seatrial-mlflow"),
            ("rayservices", namespace, "seatrial"),
            ("pods", namespace, "seatrial-worker"),
            ("persistentvolumeclaims", namespace, "seatrial-data"),
        ],
        "gpu-operator": [("nodes", "", "seatrial-control-plane")],
    }[name]
    for kind, where, own in made:
        status = READY[kind] if kind == "persistentvolumeclaims" else {"phase": "Pending"}
        put(here, kind, where, own, release=f"{namespace}/{name}", status=status)


def put(here, kind, namespace, name, release="", status=None):
    labels = {"app.kubernetes.io/part-of": "seatrial"} if name.startswith("seatrial") else {"app.kubernetes.io/name": name}
    body = {"metadata": {"name": name, "namespace": namespace, "labels": labels, "generation": 1}, "spec": {"replicas": 1}, "status": status or {}}
    if kind == "deployments":
        body["spec"]["template"] = {"spec": {"containers": [{"image": "quay.io/kuberay/operator:v1.7.0"}]}}
    here["objects"].setdefault(f"{kind}/{namespace}/{name}", {"release": release, "body": body})


READY = {
    "deployments": {"observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 1},
    "rayservices": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]},
    "pods": {"phase": "Running", "containerStatuses": [{"name": "ray", "ready": True, "restartCount": 0, "state": {}}]},
    "nodes": {"allocatable": {"nvidia.com/gpu": "2"}},
    "persistentvolumeclaims": {"phase": "Bound", "capacity": {"storage": "10Gi"}},
}


def plural(kind):
    kind = kind.split(".")[0]
    return {"deployment": "deployments", "namespace": "namespaces", "pod": "pods", "crd": "customresourcedefinitions"}.get(kind, kind)


def kubectl(words):
    namespace, plain = flag(words, "--namespace"), list(words)
    while plain[0].startswith("--"):
        plain = plain[2:]
    verb = plain[0]
    if verb == "version":
        with world() as here:
            print(f"Client Version: v{here['versions']['kubectl']}\nKustomize Version: v5.7.1")
    elif verb == "config":
        config(plain)
    else:
        with world() as here:
            if not here["clusters"] or not here["running"]:
                fail("The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?")
        watch(plain[1], namespace) if "--watch" in plain else VERBS[verb](plain[1:], namespace)


def api_resources(words, namespace):
    with world() as here:
        print("\n".join(path.split("/")[2] for path in here["objects"] if path.startswith("customresourcedefinitions/")))


def create_namespace(words, namespace):
    with world() as here:
        put(here, "namespaces", "", words[1])


def apply(words, namespace):
    body = json.load(sys.stdin)
    with world() as here:
        here["objects"][f"namespaces//{body['metadata']['name']}"] = {"release": "", "body": {"status": {}, **body}}


def wait(words, namespace):
    with world() as here:
        missing = [each for each in words if each.startswith("crd/") and f"customresourcedefinitions//{each[4:]}" not in here["objects"]]
        if missing:
            fail(f'Error from server (NotFound): customresourcedefinitions "{missing[0]}" not found')


def config(words):
    with world() as here:
        if words[1] == "current-context":
            print(here["current"]) if here["current"] else fail("error: current-context is not set")
        elif words[1] == "get-contexts":
            print(words[2]) if here["clusters"] else fail(f"error: context {words[2]} not found")
        else:
            print("https://cluster.example.org:6443", end="")


def chosen(here, kind, namespace, words):
    wanted = wanted_labels(flag(words, "--selector"))
    for path, each in list(here["objects"].items()):
        of, where, _ = path.split("/")
        if of == kind and (where in ("", namespace) or "--all-namespaces" in words) and bears(each["body"], wanted):
            yield path, each["body"]


def wanted_labels(selector):
    """Label to the values that it may have: "a=1,b in (2,3)"."""
    terms = re.findall(r"([^\s,=]+)(?:=([^,]*)| in \(([^)]*)\))", selector or "")
    return {name: {one} if one else set(several.split(",")) for name, one, several in terms}


def bears(body, wanted):
    labels = body["metadata"].get("labels", {})
    return all(labels.get(name) in values for name, values in wanted.items())


def get(words, namespace):
    if words[0] == "--raw":
        print("ok")
        return
    kind = plural(words[0])
    with world() as here:
        if kind.startswith("ray") and f"customresourcedefinitions//{kind}.ray.io" not in here["objects"]:
            fail(f'error: the server doesn\'t have a resource type "{words[0]}"')
        if len(words) > 1 and not words[1].startswith("-"):
            found = [body for path, body in chosen(here, kind, namespace, []) if path.endswith(f"/{words[1]}")]
            print(json.dumps(found[0])) if found else fail(f'Error from server (NotFound): {kind} "{words[1]}" not found')
        else:
            print(json.dumps({"items": [body for _, body in chosen(here, kind, namespace, words)]}))


def delete(words, namespace):
    kind = plural(words[0])
    names = [word for word in words[1:] if not word.startswith("-")]
    with world() as here:
        for path, body in chosen(here, kind, namespace, words):
            if not names or body["metadata"]["name"] in names:
                del here["objects"][path]
        if kind == "namespaces":
            here["objects"] = {path: each for path, each in here["objects"].items() if path.split("/")[1] not in names}


def tell(change, body):
    # In two pieces, because a pipe cuts where it likes.
    text = json.dumps({"type": change, "object": body}, indent=4)
    with contextlib.suppress(BrokenPipeError):
        for piece in (text[: len(text) // 2], text[len(text) // 2 :] + "\n"):
            sys.stdout.write(piece)
            sys.stdout.flush()


def watch(kind, namespace):
    with world() as here:
        for _, body in chosen(here, plural(kind), namespace, []):
            tell("ADDED", body)
        short = here["short_watches"]
        here["short_watches"] = max(0, short - 1)
    if short:
        return
    with world() as here:
        found = [] if here["stuck"] else list(chosen(here, plural(kind), namespace, []))
        for path, body in found:
            body["status"] = READY.get(plural(kind), body["status"])
            here["objects"][path]["body"] = body
            tell("MODIFIED", body)
    signal.pause()


VERBS = {"get": get, "create": create_namespace, "apply": apply, "wait": wait, "delete": delete, "api-resources": api_resources}
TOOLS = {"docker": docker, "make": make, "kind": kind, "minikube": minikube, "helm": helm, "kubectl": kubectl}

if __name__ == "__main__":
    main()
