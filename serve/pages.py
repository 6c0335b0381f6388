"""The two pages for people: an overview, and documentation with a form. Self-contained: no script from elsewhere."""

from __future__ import annotations

from html import escape
from string import Template

from serve.model import LoadedModel

_FRAME = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>$title</title>
<style>
 body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c2733 }
 code, pre, textarea { font: 14px/1.45 ui-monospace, monospace }
 pre, textarea { background: #f3f6f9; border: 1px solid #d5dee7; border-radius: 6px; padding: .8rem; white-space: pre-wrap; overflow-wrap: anywhere }
 textarea { width: 100%; height: 18rem; box-sizing: border-box }
 table { border-collapse: collapse; width: 100% }
 td, th { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #e3e9ef; vertical-align: top }
 button { font: inherit; padding: .4rem 1.2rem; border: 0; border-radius: 6px; background: #0b5cad; color: #fff; cursor: pointer }
 a { color: #0b5cad }
</style></head><body>
<h1>$title</h1>
$body
</body></html>
""")

_OVERVIEW = Template("""<p>$state</p>
<ul>
 <li><a href="docs">docs</a>: every field, and a form to try</li>
 <li><a href="example">example</a>: a real row &nbsp; <a href="openapi.json">openapi.json</a>: for client generators</li>
 <li><a href="v2/health/ready">v2/health/ready</a> &nbsp; <a href="v2/models/$name">v2/models/$name</a>: the Open Inference Protocol</li>
</ul>
<p>From a terminal:</p>
<pre id="command"></pre>
<script>
const here = location.href.replace(/[?#].*/, "");
document.getElementById("command").textContent = `curl -s $${here}example | curl -s -H 'content-type: application/json' -d @- $${here}predict`;
</script>
""")

_DOCS = Template("""<p>$state <a href="./">overview</a> · <a href="openapi.json">openapi.json</a></p>
<h2>Try it: <code>POST /predict</code></h2>
<p>One object is one row; a list holds up to 10,000. Every field is named; <code>null</code> means that the value is not known.</p>
<textarea id="row" aria-label="request body" spellcheck="false"></textarea>
<p><button id="send">Predict</button></p>
<pre id="answer" aria-live="polite">the answer appears here</pre>
<h2>Fields of a row</h2>
<table><tr><th>field</th><th>type</th><th>unit</th><th>meaning</th></tr>
$fields
</table>
<h2>Columns instead of rows: <code>POST /v2/models/$name/infer</code></h2>
<p>The Open Inference Protocol, version 2: one tensor per field, shape <code>[n]</code>, datatype <code>FP64</code> for numbers
and <code>BYTES</code> for texts. The answer's tensor is <code>probability</code>, <code>FP32 [n]</code>.</p>
<h2>Every answer</h2>
<p>carries the model version and the bundle's fingerprint, in the headers <code>x-seatrial-model-version</code> and <code>x-seatrial-bundle</code> too.
A wrong request gets 4xx and <code>{"error": "..."}</code>; before a model is live, 503 with <code>Retry-After</code>.</p>
<script>
const row = document.getElementById("row"), answer = document.getElementById("answer");
fetch("example").then(r => r.json()).then(example => { row.value = JSON.stringify(example, null, 1); });
document.getElementById("send").onclick = async () => {
  try {
    const reply = await fetch("predict", {method: "POST", headers: {"content-type": "application/json"}, body: row.value});
    answer.textContent = reply.status + "\\n" + JSON.stringify(await reply.json(), null, 1);
  } catch (error) { answer.textContent = String(error); }
};
</script>
""")


def overview(name: str, model: LoadedModel | None) -> bytes:
    return _page(f"Seatrial: {name}", _OVERVIEW.substitute(name=escape(name), state=_state(model)))


def documentation(name: str, model: LoadedModel | None) -> bytes:
    rows = [
        f"<tr><td><code>{escape(f.name)}</code></td><td>{f.kind}</td><td>{escape(f.unit)}</td><td>{escape(f.description)}</td></tr>"
        for f in (model.bundle.inputs if model else ())
    ]
    return _page(f"Seatrial: {name}", _DOCS.substitute(name=escape(name), state=_state(model), fields="\n".join(rows)))


def _state(model: LoadedModel | None) -> str:
    if model is None:
        return "No champion yet: promote a version, and it is served within a second."
    return f"Version <b>{escape(model.version)}</b> answers: {escape(model.bundle.output)}. Bundle <code>{model.fingerprint[:12]}</code>."


def _page(title: str, body: str) -> bytes:
    return _FRAME.substitute(title=escape(title), body=body).encode()
