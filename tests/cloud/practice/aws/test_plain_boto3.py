"""A program that knows only boto3: processing, training on two hosts, registry, endpoint, invocation, from start to end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from cloud.practice.settings import AWS_KEY, BUCKET, REGION, ROLE
from tests.cloud.practice.service import Service

SCRIPT = Path(__file__).with_name("plain_script.py")
# A user's own image: each host says what it has of the data; the first one fits a line and writes the model.
TRAIN = """#!{python}
import json, pathlib
hosts = json.loads(pathlib.Path("/opt/ml/input/config/resourceconfig.json").read_text())
given = json.loads(pathlib.Path("/opt/ml/input/config/hyperparameters.json").read_text())
files = sorted(pathlib.Path("/opt/ml/input/data/parts").iterdir())
rows = [[float(x) for x in line.split(",")] for file in files for line in file.read_text().splitlines()]
slope = round(sum(x * y for x, y in rows) / sum(x * x for x, _ in rows), int(given["digits"]))
print(hosts["current_host"], "of", hosts["hosts"], "has", [file.name for file in files], f"slope={{slope}}", flush=True)
assert len(files) == 1 and len(rows) == 2
if hosts["current_host"] == hosts["hosts"][0]:
    pathlib.Path("/opt/ml/model/slope.json").write_text(json.dumps(slope))
"""
SERVE = """#!{python}
import http.server, json, os, pathlib
slope = json.loads(pathlib.Path("/opt/ml/model/slope.json").read_text())
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.answer(b"")
    def do_POST(self): self.answer(json.dumps([slope * x for x in json.loads(self.rfile.read(int(self.headers["Content-Length"])))]).encode())
    def answer(self, body):
        self.send_response(200); self.send_header("Content-Type", "application/json"); self.send_header("Content-Length", str(len(body)))
        self.end_headers(); self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("SAGEMAKER_BIND_TO_PORT", 8080))), Handler).serve_forever()
"""


def test_the_program_runs_from_start_to_end(service: Service, tmp_path: Path) -> None:
    assert not re.search(r"^ *(?:import|from) (?:cloud|jobs|serve)", SCRIPT.read_text(), re.MULTILINE)
    for name, text in (("train", TRAIN), ("serve", SERVE)):
        (tmp_path / name).write_text(text.format(python=sys.executable))
        (tmp_path / name).chmod(0o755)
    service.practice.images.add("plain:1", sys.executable, str(tmp_path))
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SEATRIAL_", "PYTHONPATH"))}
    environment = {**clean, "AWS_ENDPOINT_URL": service.url, "AWS_ACCESS_KEY_ID": AWS_KEY, "AWS_SECRET_ACCESS_KEY": AWS_KEY, "AWS_REGION": REGION}
    command = [sys.executable, str(SCRIPT), ROLE, BUCKET, "123456789012.dkr.ecr.eu-west-1.amazonaws.com/plain:1"]
    done = subprocess.run(command, env={**environment, "AWS_DEFAULT_REGION": REGION}, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout == "all done\n", done.stderr
