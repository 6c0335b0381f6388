"""Serves a scoring script as Azure's inference server does: ``init()`` once, ``run(data)`` for each ``POST /score``.

    score_server.py SCRIPT ADDRESS PORT

Run as a script by the image's own interpreter, so standard library only. ``GET /`` answers 200 once ``init()`` has returned.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


def main() -> None:
    script, address, port = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    sys.path.insert(0, str(script.parent))
    spec = importlib.util.spec_from_file_location("score", script)
    if spec is None or spec.loader is None:
        sys.exit(f"{script} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.init()
    print("init() has returned", flush=True)
    ThreadingHTTPServer((address, port), _handler(module)).serve_forever()


def _handler(module: Any) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, {"status": "Healthy"}) if self.path == "/" else self._answer(404, {"message": "not found"})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path.split("?")[0] != "/score":
                self._answer(404, {"message": "not found"})
                return
            try:
                self._answer(200, module.run(body.decode()))
            except Exception as error:
                traceback.print_exc()
                self._answer(500, {"message": f"{type(error).__name__}: {error}"})

        def _answer(self, status: int, value: Any) -> None:
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *values: Any) -> None:
            print(f"{self.command} {self.path} {format % values}", flush=True)

    return Handler


if __name__ == "__main__":
    main()
