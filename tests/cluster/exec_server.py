"""``exec`` as a kubelet serves it: the v4 channel protocol over a websocket, with the command run on this machine.

0 = input, 1 = output, 2 = errors, 3 = the Status object that ends it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from aiohttp import web

from cluster.rendering import STORE


async def run_command(raw: web.BaseRequest, volume: Path) -> web.StreamResponse:
    """``volume`` stands in for the folder that pods mount."""
    stream = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
    await stream.prepare(raw)
    command = raw.query.getall("command")
    argv = [sys.executable if word == "python" else word.replace(STORE, str(volume)) if word.startswith(STORE) else word for word in command]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, stderr=pipe)
    feeding = asyncio.create_task(_feed(stream, process))
    await asyncio.gather(_pump(process.stdout, stream, b"\x01"), _pump(process.stderr, stream, b"\x02"))
    code = await process.wait()
    feeding.cancel()
    causes = {"details": {"causes": [{"reason": "ExitCode", "message": str(code)}]}}
    verdict = {"status": "Success"} if code == 0 else {"status": "Failure", "reason": "NonZeroExitCode", **causes}
    if not stream.closed:
        await stream.send_bytes(b"\x03" + json.dumps(verdict).encode())
        await stream.close()
    return stream


async def _feed(stream: web.WebSocketResponse, process: asyncio.subprocess.Process) -> None:
    """When the client goes away, the command sees the end of its input."""
    assert process.stdin is not None
    try:
        async for message in stream:
            process.stdin.write(message.data[1:])
            await process.stdin.drain()
    except ConnectionError:
        pass
    process.stdin.close()


async def _pump(source: asyncio.StreamReader | None, stream: web.WebSocketResponse, channel: bytes) -> None:
    assert source is not None
    while piece := await source.read(1 << 15):
        await stream.send_bytes(channel + piece)
