// The page: asks every two seconds while it is seen, and shows what has changed.

import { credentials, json, maybe, reason, Refused, setToken, text, token } from "./api.js";
import { $, clock, el, options, rows, say, seconds, short } from "./dom.js";
import { columnsOf, Form, typeName } from "./form.js";
import { KEPT, seriesOf, Traffic } from "./metrics.js";
import { lanes, Plot } from "./plot.js";

const PAUSE = 2000;
const SPAN = KEPT * PAUSE;
/** Lanes that are drawn; a server of hundreds of models shows its first. */
const MOST_LANES = 24;
const CHANGES = 100;
const ERRORS = 50;

const traffic = new Traffic();
const rate = new Plot($("rate"), {
  title: "Requests per second", lines: ["all", "failed"], unit: short, span: SPAN,
});
const latency = new Plot($("latency"), {
  title: "Latency", lines: ["p50", "p90", "p99"], unit: seconds, span: SPAN,
});
const form = new Form($("fields"));
const state = { models: [], routes: [], events: [], last: 0, began: "", formKey: "", beat: 0 };

// === what is served ===

const versionOf = (part) => (part ? part.version ?? "no version" : "");

function tone(word) {
  return { serving: "good", failed: "bad" }[word] ?? "warn";
}

function showServing() {
  const list = [];
  const slots = new Map(state.models.map((model) => [model.name, model]));
  const numbers = (key) => {
    const point = traffic.last(key);
    const [p50, , p99] = point?.quantiles ?? [];
    return [
      { text: point ? short(point.rate) : "–", class: "n" }, { text: seconds(p50), class: "n" }, { text: seconds(p99), class: "n" },
    ];
  };
  const row = (model, name, sub, weight) => {
    const word = model.loading ? `${model.state}, loading ${versionOf(model.loading)}: ${model.loading.step}` : model.state;
    const problem = model.last_error ? `version ${versionOf(model.last_error)} rejected: ${model.last_error.reason}` : "";
    return [
      { text: name, class: sub ? "sub" : "", title: model.name },
      versionOf(model.serving) + (model.pinned ? " (pinned)" : ""),
      { text: problem ? `${word}, one rejected` : word, class: problem ? "warn" : tone(model.state), title: problem },
      weight, ...numbers(sub ? model.name : seriesOf(model.name, "")),
      { text: model.serving?.engine ?? "", class: "soft" }, { text: model.uri, class: "soft cut", title: model.uri }, clock(model.serving?.since),
    ];
  };
  const variants = new Set();
  for (const route of state.routes) {
    list.push([{ text: route.name, title: `chosen by ${route.header}, a key or weight` }, "", { text: "route", class: "soft" }, "", "", "", "", "", "", ""]);
    for (const variant of route.variants) {
      variants.add(variant.slot);
      const model = slots.get(variant.slot);
      if (model) list.push(row(model, variant.name, true, `${short(variant.share * 100)} %`));
    }
    for (const shadow of route.shadows) {
      const slot = `${route.name}.${shadow}`;
      variants.add(slot);
      if (slots.has(slot)) list.push(row(slots.get(slot), shadow, true, "shadow"));
    }
  }
  for (const model of state.models) {
    if (!variants.has(model.name)) list.push(row(model, model.name + (model.default ? " (default)" : ""), false, ""));
  }
  rows($("serving"), list);
  const ready = state.models.filter((model) => model.state === "serving").length;
  say($("state"), `${ready} of ${state.models.length} serving`);
}

// === traffic ===

function showTraffic() {
  const keys = [...traffic.points.keys()].filter((key) => key).sort();
  options($("series"), [["", "all"], ...keys.map((key) => [key, key])]);
  const chosen = $("series").value;
  const points = traffic.points.get(chosen) ?? [];
  const marks = state.events
    .filter((event) => event.kind === "published" && event.previous && (!chosen || chosen === event.slot))
    .map((event) => ({ at: Date.parse(event.at), text: `${event.slot}: ${event.previous} → ${event.version}, ${clock(event.at)}` }));
  rate.show(points.map((point) => ({ at: point.at, values: [point.rate, point.failed] })), marks);
  latency.show(points.map((point) => ({ at: point.at, values: point.quantiles })), marks);
}

// === swaps and errors ===

const WORDS = {
  published: "swapped", rejected: "rejected", outage: "not fetched", unknown: "registry has no answer", known: "registry answers",
  pinned: "pinned", unpinned: "unpinned", removed: "removed",
};

function showSwaps() {
  const span = Number($("range").value) * 1000;
  const rejected = (name) => state.events
    .filter((event) => event.kind === "rejected" && event.slot === name)
    .map((event) => ({ at: Date.parse(event.at), version: event.version }));
  const list = state.models.slice(0, MOST_LANES).map((model) => ({
    name: model.name,
    swaps: model.swaps.map((swap) => ({ at: Date.parse(swap.at), from: swap.from && versionOf(swap.from), to: versionOf(swap.to) })),
    rejected: rejected(model.name),
  }));
  lanes($("lanes"), list, span);
}

function showEvents() {
  const newest = state.events.toReversed();
  const changes = newest.filter((event) => event.kind !== "request").slice(0, CHANGES);
  rows($("changes"), changes.map((event) => {
    const swapped = event.kind === "published" && event.previous;
    const version = swapped ? `${event.previous} → ${event.version ?? "none"}` : event.version ?? "";
    const bad = ["rejected", "outage", "unknown"].includes(event.kind);
    const what = event.kind === "published" && !event.previous ? "first served" : WORDS[event.kind] ?? event.kind;
    return [clock(event.at), event.slot, { text: what, class: bad ? "bad" : "" }, version, { text: event.message, class: "text soft" }];
  }));
  const errors = newest.filter((event) => event.kind === "request").slice(0, ERRORS);
  rows($("errors"), errors.map((event) => [
    clock(event.at), event.slot, event.version ?? "", { text: event.failure ?? "", class: "bad" },
    { text: event.message, class: "text" }, { text: event.request_id ?? "", class: "mono soft" },
  ]));
  $("no-changes").hidden = changes.length > 0;
  $("no-errors").hidden = errors.length > 0;
}

async function takeEvents() {
  const news = await json(`/api/events?after=${state.last}`);
  if (state.began && news.began !== state.began) {
    // The server started anew, and counts from the beginning.
    Object.assign(state, { events: [], last: 0, began: "" });
    return takeEvents();
  }
  state.began = news.began;
  state.last = news.last;
  if (!news.events.length) return;
  const all = [...state.events, ...news.events];
  const kept = (test, most) => all.filter(test).slice(-most);
  const isRequest = (event) => event.kind === "request";
  state.events = [...kept((event) => !isRequest(event), CHANGES), ...kept(isRequest, ERRORS)].sort((a, b) => a.id - b.id);
  showEvents();
}

// === variants and shadows ===

const percent = (part) => (part == null ? "–" : `${short(part * 100)} %`);
const whole = (count) => count.toLocaleString("en");
const quantiles = (list) => (list ? `${short(list.p50)} / ${short(list.p99)}` : "–");

function head(...names) {
  return el("thead", {}, el("tr", {}, ...names.map((name) => el("th", { scope: "col" }, name))));
}

/** The parts of one route, made when it is first seen. */
function routeBox(name) {
  const id = `route-${name}`;
  let box = document.getElementById(id);
  if (!box) {
    const table = (label, ...names) => {
      const inner = el("table", {}, head(...names), el("tbody"));
      return [inner, el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, inner)];
    };
    const [variants, first] = table(`Variants of ${name}`, "Variant", "Version", "Requests", "Errors", "p50 / p99 ms", "Outcome", "Mean", "Difference");
    const [shadows, second] = table(`Shadows of ${name}`, "Shadow", "Version", "Requests", "Errors", "Other label", "Relative difference p50 / p99", "p50 / p99 ms", "Dropped");
    box = el("div", { id }, el("h3", {}, name), el("p", { class: "hint" }), first, second);
    box.parts = { variants, shadows, second, verdict: box.querySelector("p") };
    $("routes").append(box);
  }
  return box.parts;
}

function showRoute(route, compared, shadowed) {
  const parts = routeBox(route.name);
  const list = (compared?.variants ?? []).flatMap((variant) => {
    const outcomes = Object.entries(variant.feedback);
    const lines = outcomes.length ? outcomes : [["–", {}]];
    return lines.map(([kind, outcome], at) => {
      const other = variant.differences?.[kind];
      const way = other ? `${short(other.estimate)} [${short(other.lower)}, ${short(other.upper)}]` : "";
      const first = at ? ["", "", "", "", ""] : [
        variant.variant, variant.version ?? "", whole(variant.requests), `${whole(variant.errors)} (${percent(variant.error_rate)})`,
        quantiles(variant.latency_ms),
      ];
      const mean = outcome.labels ? outcome.labels.map((label) => `${label.label}: ${label.count}`).join(", ") : short(outcome.mean);
      return [...first, kind, mean, way];
    });
  });
  rows(parts.variants, list);
  say(parts.verdict, compared ? `Which is better: ${compared.verdict.text}.` : "There are no variants to compare.");
  parts.second.hidden = !shadowed?.shadows?.length;
  rows(parts.shadows, (shadowed?.shadows ?? []).map((shadow) => [
    shadow.name, shadow.version ?? "", whole(shadow.requests), percent(shadow.error_rate), percent(shadow.disagreement_rate),
    quantiles(shadow.relative_difference), quantiles(shadow.latency_ms), whole(shadow.dropped),
  ]));
}

async function takeRoutes() {
  $("compare").hidden = state.routes.length === 0;
  for (const box of [...$("routes").children]) {
    if (!state.routes.some((route) => `route-${route.name}` === box.id)) box.remove();
  }
  for (const route of state.routes) {
    const path = `/api/routes/${encodeURIComponent(route.name)}`;
    const [compared, shadowed] = await Promise.all([
      route.variants.length > 1 ? maybe(`${path}/compare`) : null,
      route.shadows.length ? maybe(`${path}/shadow`) : null,
    ]);
    showRoute(route, compared, shadowed);
  }
}

// === the form ===

/** Whose form is shown: a slot, and the route whose variant it is, if any. */
function target() {
  const [kind, name] = [$("model").value[0], $("model").value.slice(2)];
  const route = kind === "r" ? state.routes.find((one) => one.name === name) : null;
  const chosen = route?.variants.find((variant) => variant.name === $("variant").value);
  return { name, route, variant: chosen, slot: route ? (chosen ?? route.variants[0])?.slot : name };
}

async function showForm(again = false) {
  const variants = new Set(state.routes.flatMap((route) => [...route.variants.map((one) => one.slot), ...route.shadows.map((one) => `${route.name}.${one}`)]));
  options($("model"), [
    ...state.routes.map((route) => [`r:${route.name}`, route.name]),
    ...state.models.filter((model) => !variants.has(model.name)).map((model) => [`m:${model.name}`, model.name]),
  ]);
  const { route } = target();
  for (const node of document.querySelectorAll(".of-route")) node.hidden = !route;
  if (route) options($("variant"), [["", "whichever the route chooses"], ...route.variants.map((one) => [one.name, one.name])]);
  const { slot } = target();
  const serving = state.models.find((model) => model.name === slot)?.serving;
  const key = JSON.stringify([slot, serving?.version, serving?.since]);
  if (!slot || (key === state.formKey && !again)) return showCurl();
  const model = await json(`/api/models/${encodeURIComponent(slot)}`);
  const signature = model.serving?.signature;
  const shape = JSON.stringify([$("model").value, signature]);
  // Another version or variant with the same signature leaves what was typed.
  if (shape !== state.shape || again) form.show(signature, model.serving?.input_example);
  state.shape = shape;
  state.formKey = key;
  const types = (signature?.inputs ?? []).map((input) => `${input.name ? `${input.name}: ` : ""}${typeName(input)}`);
  const takes = columnsOf(signature) ? `${types.length} columns, one row` : types.slice(0, 8).join(", ");
  say($("takes"), model.serving ? takes || "This model declares no signature." : "Nothing is loaded yet.");
  showCurl();
}

function request() {
  const { name, route, variant } = target();
  const headers = { "content-type": "application/json" };
  if (route && variant) headers[route.header] = variant.name;
  return { path: `/models/${encodeURIComponent(name)}/invocations`, headers, body: form.body() };
}

const quoted = (word) => `'${word.replaceAll("'", "'\\''")}'`;

function showCurl() {
  let line;
  try {
    const { path, headers, body } = request();
    const parts = Object.entries(headers).map(([key, value]) => `-H ${quoted(`${key}: ${value}`)}`);
    // The token itself is no part of what is copied.
    if (token()) parts.push('-H "authorization: Bearer $TOKEN"');
    line = `curl -sS -X POST ${quoted(location.origin + path)} ${parts.join(" ")} -d ${quoted(body)}`;
  } catch (error) {
    line = error.message;
  }
  say($("curl"), line);
}

async function predict(event) {
  event.preventDefault();
  const result = $("result");
  let asked;
  try {
    asked = request();
  } catch (error) {
    result.replaceChildren(el("p", { class: "bad" }, error.message));
    return;
  }
  try {
    const response = await fetch(asked.path, {
      method: "POST", headers: { ...asked.headers, ...credentials() }, body: asked.body, signal: AbortSignal.timeout(120_000),
    });
    const body = await response.text();
    const told = ["x-model-name", "x-model-version", "x-model-variant", "x-prediction-id", "x-request-id", "server-timing"]
      .filter((name) => response.headers.has(name))
      .flatMap((name) => [el("dt", {}, name), el("dd", { class: "mono" }, response.headers.get(name))]);
    const answer = el("pre", { class: "code", id: "answer", tabindex: "0", role: "region", "aria-label": "Answer" }, body);
    result.replaceChildren(
      el("p", { class: response.ok ? "good" : "bad" }, response.ok ? `${response.status}: answered` : `${response.status}: ${reason(response.status, body)}`),
      el("dl", {}, ...told), answer);
  } catch (error) {
    result.replaceChildren(el("p", { class: "bad" }, `No answer: ${error.message}`));
  }
  wake();
}

async function copy() {
  const node = $("curl");
  try {
    await navigator.clipboard.writeText(node.textContent);
  } catch {
    // Only pages that came over TLS or from this machine may use the clipboard; a selection can always be copied.
    getSelection().selectAllChildren(node);
    document.execCommand("copy");
  }
  say($("copied"), "copied");
  setTimeout(() => say($("copied"), ""), 2000);
}

// === all of it ===

let timer = 0;
let busy = false;
let again = false;

async function look() {
  const [models, routes, metrics] = await Promise.all([json("/api/models"), json("/api/routes"), text("/metrics")]);
  state.models = models.models;
  state.routes = routes.routes;
  traffic.take(metrics, Date.now());
  await takeEvents();
  showServing();
  showTraffic();
  showSwaps();
  await showForm();
  // Comparisons change slowly, and cost the server more than the rest.
  if (state.beat++ % 3 === 0) await takeRoutes();
}

/** Looks now, and then every two seconds while the page is seen. */
async function wake() {
  clearTimeout(timer);
  if (busy) { again = true; return; }
  if (document.hidden) return;
  busy = true;
  try {
    await look();
    $("alert").hidden = true;
  } catch (error) {
    const words = error instanceof Refused ? error.message : `The server does not answer: ${error.message}`;
    say($("alert"), words);
    $("alert").hidden = false;
    say($("state"), "not up to date");
    if (error.status === 401) $("access").open = true;
  }
  busy = false;
  timer = setTimeout(wake, again ? 0 : PAUSE);
  again = false;
}

function theme(name) {
  if (name) document.documentElement.dataset.theme = name;
  else delete document.documentElement.dataset.theme;
  try {
    localStorage.setItem("modelsd-theme", name);
  } catch { /* a browser that keeps nothing keeps no colours either */ }
}

try {
  const kept = localStorage.getItem("modelsd-theme") ?? "";
  $("theme").value = ["", "light", "dark"].includes(kept) ? kept : "";
  theme($("theme").value);
} catch { /* as above */ }

$("theme").addEventListener("change", (event) => theme(event.target.value));
$("series").addEventListener("change", showTraffic);
$("range").addEventListener("change", showSwaps);
$("model").addEventListener("change", () => showForm().catch(() => {}));
$("variant").addEventListener("change", () => showForm().catch(() => {}));
$("reset").addEventListener("click", () => showForm(true).catch(() => {}));
$("form").addEventListener("submit", predict);
$("form").addEventListener("input", showCurl);
$("copy").addEventListener("click", copy);
$("token").value = token();
$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  setToken($("token").value.trim());
  $("access").open = false;
  showCurl();
  wake();
});
$("token-clear").addEventListener("click", () => {
  setToken("");
  $("token").value = "";
  showCurl();
  wake();
});
document.addEventListener("visibilitychange", wake);
new ResizeObserver(() => showSwaps()).observe($("lanes"));
text("/version").then((version) => say($("version"), version)).catch(() => {});
wake();
