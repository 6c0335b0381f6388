"use strict";
// The page of the serving application (serve/pages.py). Whatever comes from the service is set as text, never as markup.

const $ = id => document.getElementById(id);
const SECONDS = 2, WINDOW = 60;  // between two looks at the service; over which latency is told
const page = { model: "", form: null, states: new Map(), seen: [], asked: 0 };

const node = (tag, text = "", attributes = {}, ...inner) => {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...inner);
  return made;
};
const shape = (tag, attributes, ...inner) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...inner);
  return made;
};
const show = value => value === null || value === undefined ? "not known" : typeof value === "number" ? String(Number(value.toPrecision(6))) : value;
const figure = (value, digits) => value === null || value === undefined ? "–" : value.toFixed(digits);
const storage = { get: () => { try { return sessionStorage.getItem("seatrial-key") || ""; } catch { return page.key || ""; } },
                  set: key => { page.key = key; try { sessionStorage.setItem("seatrial-key", key); } catch { /* a tab without storage keeps it in memory */ } } };

class Said extends Error {}

async function ask(path, body) {
  const headers = storage.get() ? { authorization: `Bearer ${storage.get()}` } : {};
  if (body !== undefined) headers["content-type"] = "application/json";
  let reply;
  try {
    reply = await fetch(path, { method: body === undefined ? "GET" : "POST", headers, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store" });
  } catch { throw new Said("the service does not answer"); }
  let answer = {};
  try { answer = await reply.json(); } catch { /* an intermediary's error page */ }
  if (reply.status === 401) { askForKey(); }
  if (!reply.ok) throw new Said(answer.error || `the service answered ${reply.status}`);
  return answer;
}

function askForKey() {
  if (storage.get()) $("key-why").textContent = "That key is not known. Another one?";
  storage.set("");
  $("main").hidden = true;
  if ($("key-form").hidden) { $("key-form").hidden = false; $("key").focus(); }
}

$("key-form").addEventListener("submit", event => {
  event.preventDefault();
  storage.set($("key").value.trim());
  $("key").value = "";
  $("key-form").hidden = true;
  page.entered = true;
  begin();
});

async function begin() {
  try {
    const { models } = await ask("v2");
    $("models").replaceChildren(...models.map(name => node("option", name, { value: name })));
    $("choice").hidden = models.length < 2;
    const wanted = decodeURIComponent(location.hash.slice(1));
    await choose(models.includes(wanted) ? wanted : models[0]);
  } catch (error) { say(error); again(begin); }
}
function say(error) { $("about").textContent = $("key-form").hidden ? error.message : ""; }
$("models").addEventListener("change", event => choose(event.target.value));

function again(work) { if ($("key-form").hidden) setTimeout(work, SECONDS * 1000); }

async function choose(name) {
  Object.assign(page, { model: name, form: null, states: new Map(), seen: [], asked: page.asked + 1 });
  $("models").value = name;
  $("name").textContent = name;
  document.title = `Seatrial: ${name}`;
  for (const each of document.getElementsByClassName("name")) each.textContent = name;
  const root = location.href.replace(/[?#].*/, "").replace(/docs$/, ""), key = storage.get() ? " -H 'authorization: Bearer KEY'" : "";
  const path = `models/${encodeURIComponent(name)}`;
  $("command").textContent = `curl -s${key} ${root}${path}/example |\n  curl -s${key} -H 'content-type: application/json' -d @- ${root}${path}/predict`;
  $("answer").replaceChildren(node("p", "Press Predict, or Enter in any field.", { class: "note" }));
  $("moved").hidden = true;
  await look(page.asked);
}

// ---- The form -----------------------------------------------------------------------------------------------------------

function build(form) {
  const kept = page.form ? values() : form.example;
  page.form = form;
  $("fields").replaceChildren(...form.fields.flatMap((field, place) => {
    const id = `field-${place}`, number = field.kind === "number";
    const input = node("input", "", { id, name: field.name, autocomplete: "off", ...(number ? { type: "number", step: "any" } : { type: "text", list: `${id}-values`, spellcheck: "false" }) });
    const parts = [[field.description, field.unit && `(${field.unit})`].filter(Boolean).join(" "), field.usual !== null && `usually ${show(field.usual)}`];
    const label = node("label", field.name, { for: id }, node("small", parts.filter(Boolean).join("; ")));
    if (number) return [label, input];
    if (field.kind === "category") input.addEventListener("input", () => mark(input, field));
    return [label, node("span", "", {}, input, node("datalist", "", { id: `${id}-values` }, ...(field.values || []).map(value => node("option", "", { value }))))];
  }));
  fill(kept);
}

function mark(input, field) {
  const unknown = input.value !== "" && !field.more_values && !field.values.includes(input.value);
  input.classList.toggle("unknown", unknown);
  input.title = unknown ? "the model has never met this value, and takes it for unknown" : "";
}

function fill(row) {
  page.form.fields.forEach((field, place) => {
    const input = $(`field-${place}`), value = row[field.name];
    input.value = value === null || value === undefined ? "" : value;
    if (field.kind === "category") mark(input, field);
  });
}

function values() {
  return Object.fromEntries(page.form.fields.map((field, place) => {
    const text = $(`field-${place}`).value;
    return [field.name, text === "" ? null : field.kind === "number" ? Number(text) : text];
  }));
}

$("row").addEventListener("submit", async event => {
  event.preventDefault();
  // Of the version whose form this is, whoever a canary would have chosen.
  const path = `models/${encodeURIComponent(page.model)}/versions/${encodeURIComponent(page.form.model_version)}/explain`;
  try { answer(await ask(path, values())); }
  catch (error) { $("moved").hidden = true; $("answer").replaceChildren(node("p", error.message, { class: "bad" })); }
});
$("example").addEventListener("click", () => fill(page.form.example));
$("usual").addEventListener("click", () => fill(Object.fromEntries(page.form.fields.map(field => [field.name, field.usual]))));

const brief = value => String(Number(value.toPrecision(4)));
const isShare = () => page.form.task === "binary" || page.form.task === "multiclass"; // scores are probabilities

// Shares move by points of a hundred, values by their own unit.
function points(change) {
  const size = isShare() ? (100 * Math.abs(change)).toFixed(1) : brief(Math.abs(change));
  return Number(size) === 0 ? size : (change > 0 ? "+" : "−") + size;
}

function verdict(found, percent) {
  if (page.form.task === "binary") return `${found.answer.label ? "Yes: at or above" : "No: below"} the threshold of ${percent(page.form.threshold)}. `;
  return found.answer.low === undefined ? "" : `Between ${brief(found.answer.low)} and ${brief(found.answer.high)}. `;
}

function answer(found) {
  const percent = share => `${(100 * share).toFixed(1)} %`, said = score => isShare() ? percent(score) : brief(score);
  const mark = 100 * page.form.threshold;
  const bar = isShare() ? [shape("svg", { viewBox: "0 0 100 14", preserveAspectRatio: "none", "aria-hidden": "true" },
    shape("rect", { class: "track", width: 100, height: 14 }), shape("rect", { class: "filled", width: 100 * found.score, height: 14 }),
    ...(page.form.task === "binary" ? [shape("line", { class: "mark", x1: mark, x2: mark, y1: 0, y2: 14, "vector-effect": "non-scaling-stroke" })] : []))] : [];
  $("answer").replaceChildren(
    node("p", (page.form.task === "multiclass" ? `${found.answer.label}: ` : "") + said(found.score), { class: "score" }, node("small", ` ${page.form.output}`)), ...bar,
    node("p", `${verdict(found, percent)}The usual row scores ${said(found.usual_score)}. Version ${found.model_version}.`));
  const effects = found.effects.sort((a, b) => Math.abs(b.change) - Math.abs(a.change)), most = Math.max(isShare() ? 0.01 : 1e-9, ...effects.map(each => Math.abs(each.change)));
  $("effects").replaceChildren(...effects.map(each => {
    const wide = 50 * Math.abs(each.change) / most, up = each.change > 0;
    const drawn = shape("svg", { viewBox: "0 0 100 14", preserveAspectRatio: "none", "aria-hidden": "true" },
      shape("line", { class: "axis", x1: 50, x2: 50, y1: 0, y2: 14, "vector-effect": "non-scaling-stroke" }), shape("rect", { class: up ? "up" : "down", x: up ? 50 : 50 - wide, y: 2, width: wide, height: 10 }));
    const cell = node("td", "", {}, drawn);
    return node("tr", "", each.change === 0 ? { class: "same" } : {}, node("th", each.field, { scope: "row" }), node("td", show(each.value)), node("td", show(each.usual)),
      node("td", points(each.change), { class: "number" }), cell);
  }));
  $("measure").textContent = isShare() ? "Points: the score of this row in percent" : "Change: the value of this row";
  $("moved").hidden = false;
}

// ---- The service at work ------------------------------------------------------------------------------------------------

async function look(asked) {
  if (asked !== page.asked) return;
  const model = encodeURIComponent(page.model);
  try {
    if (!document.hidden || !page.form) {
      const about = await ask(`v2/models/${model}`);
      if (asked !== page.asked) return;
      if (!page.form || page.form.bundle !== about.parameters.bundle) build(await ask(`models/${model}/form`));
      $("main").hidden = false;
      if (page.entered) $("field-0").focus();
      page.entered = false;
      $("about").textContent = `Version ${page.form.model_version} answers: ${page.form.output}. Bundle ${page.form.bundle.slice(0, 12)}.`;
      work(about.parameters.traffic || {});
    }
  } catch (error) { if (asked === page.asked) say(error); }
  again(() => look(asked));
}

const of = (state, version) => ((state && state.versions) || []).find(each => each.version === version) || {};

// One look hears one replica, whichever the proxy chose: the newest word of each is kept, and latency is of what was answered in between.
function work(traffic) {
  const now = Date.now() / 1000, before = page.states.get(traffic.replica);
  page.states.set(traffic.replica || "", { ...traffic, when: now });
  for (const [replica, state] of page.states) if (now - state.when > 30) page.states.delete(replica);
  for (const each of traffic.versions || []) {
    const old = before && before.rollout.revision === traffic.rollout.revision ? of(before, each.version) : null, counts = new Map(each.latencies || []);
    if (!old) continue;
    for (const [bound, count] of old.latencies || []) counts.set(bound, (counts.get(bound) || 0) - count);
    page.seen.push({ when: now, version: each.version, counts });
  }
  page.seen = page.seen.filter(each => now - each.when < WINDOW);
  const states = [...page.states.values()], versions = new Map(states.flatMap(state => (state.versions || []).map(each => [each.version, each.role])));
  const sum = (version, name) => states.reduce((total, state) => total + (of(state, version)[name] || 0), 0);
  $("versions").replaceChildren(...[...versions].map(([version, role]) => {
    const scored = states.reduce((total, state) => total + (of(state, version).mean_score || 0) * (of(state, version).rows || 0), 0), rows = sum(version, "rows");
    const numbers = [sum(version, "requests").toLocaleString("en"), sum(version, "failed").toLocaleString("en"), figure(quantile(version, 0.5), 2), figure(quantile(version, 0.99), 2), figure(rows ? scored / rows : null, 3)];
    return node("tr", "", {}, node("td", version), node("td", role), ...numbers.map(each => node("td", each, { class: "number" })));
  }));
  $("work-table").hidden = !versions.size;
  $("span").textContent = versions.size ? `Requests since the last step of the rollout; latency in the replica, last ${WINDOW} s; ${states.length} replica${states.length > 1 ? "s" : ""} heard.` : "This server keeps no counts by version; GET /metrics has them.";
  $("problem").textContent = traffic.problem || "";
  $("problem").hidden = !traffic.problem;
  drift(states.map(state => state.drift || []).sort((a, b) => heard(b) - heard(a))[0] || []);
}
const heard = drift => Math.max(0, ...drift.map(each => each.rows));

function quantile(version, share) {
  const counts = new Map();
  for (const each of page.seen) if (each.version === version) for (const [bound, count] of each.counts) counts.set(bound ?? Infinity, (counts.get(bound ?? Infinity) || 0) + count);
  const total = [...counts.values()].reduce((a, b) => a + b, 0);
  let reached = 0;
  for (const bound of [...counts.keys()].sort((a, b) => a - b)) if (total > 0 && (reached += counts.get(bound)) >= share * total) return 1000 * bound;
  return null;
}

function drift(columns) {
  const shown = columns.filter(each => each.rows > 0).sort((a, b) => b.drifted - a.drifted || (b.psi || 0) - (a.psi || 0)).slice(0, 8);
  $("drifts").hidden = !shown.length;
  $("no-drift").textContent = shown.length ? "PSI: stability index against the training data, 0 = equal. A column has drifted where the shift matters and chance does not explain it." : "No traffic to compare with the training data yet.";
  $("columns").replaceChildren(...shown.map(each => node("tr", "", {}, node("td", each.column), node("td", each.rows.toLocaleString("en"), { class: "number" }),
    node("td", figure(each.psi, 3), { class: "number" }), node("td", figure(each.ks, 3), { class: "number" }), node("td", each.drifted ? "drifted" : "", { class: "bad" }))));
}

begin();
