// Plots of lines over time, and lanes of versions, drawn as SVG without a library.

import { clock, el, say, svg } from "./dom.js";

const HEIGHT = 170;
const LEFT = 58;
const RIGHT = 8;
const TOP = 10;
const BOTTOM = 22;

/** Round values from 0 to the top of an axis, at most five. */
export function ticks(most) {
  if (!(most > 0)) return [0, 1];
  const raw = most / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= raw) * power;
  const list = [];
  for (let at = 0; at < most + step * 0.999; at += step) list.push(Number(at.toPrecision(6)));
  return list;
}

/** A plot in a figure: `lines` are names, `unit` writes a value. Arrow keys move through its points, as a pointer does. */
export class Plot {
  #points = [];
  #chosen = null;

  constructor(figure, { title, lines, unit, span }) {
    Object.assign(this, { figure, title, lines, unit, span });
    const keys = lines.map((name, at) => el("span", { class: `key k${at + 1}` }, name));
    this.svg = svg("svg", { height: HEIGHT, role: "img", tabindex: "0", "aria-label": `${title}: no data yet` });
    this.tip = el("p", { class: "tip" });
    const heads = ["When", ...lines].map((name, at) => el("th", { scope: "col", class: at ? "n" : "" }, name));
    this.table = el("table", {}, el("thead", {}, el("tr", {}, ...heads)), el("tbody"));
    this.details = el("details", {}, el("summary", {}, `${title} as a table`),
      el("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": `${title} as a table` }, this.table));
    figure.replaceChildren(
      el("figcaption", {}, el("strong", {}, title), ...keys, el("span", { class: "key mark" }, "swap")), this.svg, this.tip, this.details);
    this.svg.addEventListener("pointermove", (event) => this.#point(event.clientX));
    this.svg.addEventListener("pointerleave", () => this.#choose(null));
    this.svg.addEventListener("blur", () => this.#choose(null));
    this.svg.addEventListener("keydown", (event) => this.#key(event));
    this.details.addEventListener("toggle", () => this.#list());
    new ResizeObserver(() => this.#draw()).observe(figure);
  }

  /** Shows points: {at, values}, oldest first; and marks: {at, text}, what happened meanwhile. */
  show(points, marks = []) {
    this.marks = marks;
    // Who looks at one point goes on looking at it while others come.
    this.#points = points;
    if (this.#chosen != null && !points.some((point) => point.at === this.#chosen)) this.#chosen = null;
    this.#draw();
    this.#list();
  }

  #scales() {
    const width = Math.max(200, this.figure.clientWidth);
    const end = this.#points.at(-1)?.at ?? Date.now();
    const age = end - (this.#points[0]?.at ?? end);
    // As long as little was seen, that has all the room.
    const span = [2, 5].map((minutes) => minutes * 60_000).find((some) => some > age && some < this.span) ?? this.span;
    const values = this.#points.flatMap((point) => point.values).filter((value) => value != null);
    const marks = ticks(Math.max(...values, 0));
    const top = marks.at(-1);
    const x = (at) => LEFT + (1 - (end - at) / span) * (width - LEFT - RIGHT);
    const y = (value) => TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM);
    return { width, end, span, marks, x, y };
  }

  #draw() {
    const { width, end, span, marks, x, y } = this.#scales();
    const nodes = marks.flatMap((mark) => [
      svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(mark), y2: y(mark) }),
      svg("text", { x: LEFT - 6, y: y(mark) + 4, "text-anchor": "end" }, this.unit(mark)),
    ]);
    for (const { at, text } of this.marks ?? []) {
      if (at > end || at < end - span) continue;
      nodes.push(svg("line", { class: "mark", x1: x(at), x2: x(at), y1: TOP, y2: HEIGHT - BOTTOM }, svg("title", {}, text)));
    }
    const minutes = span / 60_000;
    for (const part of [0, 0.5, 1]) {
      const ago = minutes * (1 - part);
      nodes.push(svg("text", {
        x: x(end - ago * 60_000), y: HEIGHT - 6, "text-anchor": ["start", "middle", "end"][part * 2],
      }, ago ? `−${ago} min` : "now"));
    }
    this.lines.forEach((_, line) => {
      let path = "";
      let before = null;
      for (const point of this.#points) {
        const value = point.values[line];
        if (value == null) { before = null; continue; }
        // A point alone is drawn as a short stroke, else nobody would see it.
        const at = x(point.at);
        path += `${before == null ? `M${(at - 1).toFixed(1)} ${y(value).toFixed(1)}L` : "L"}${at.toFixed(1)} ${y(value).toFixed(1)}`;
        before = value;
      }
      if (path) nodes.push(svg("path", { class: `line k${line + 1}`, d: path }));
    });
    const chosen = this.#points.find((point) => point.at === this.#chosen);
    if (chosen) nodes.push(svg("line", { class: "cursor", x1: x(chosen.at), x2: x(chosen.at), y1: TOP, y2: HEIGHT - BOTTOM }));
    this.svg.replaceChildren(...nodes);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const last = this.#points.at(-1);
    const words = (point) => this.lines.map((name, at) => `${name} ${this.unit(point.values[at])}`).join(", ");
    this.svg.setAttribute("aria-label", `${this.title}: ${last ? words(last) : "no data yet"}`);
    const shown = chosen ?? last;
    say(this.tip, shown ? `${clock(new Date(shown.at))}: ${words(shown)}` : "waiting for the second look at the metrics");
  }

  #list() {
    if (!this.details.open) return;
    const body = this.table.tBodies[0];
    const cells = (point) => [clock(new Date(point.at)), ...point.values.map(this.unit)];
    const row = (point) => el("tr", {}, ...cells(point).map((text, at) => el("td", { class: at ? "n" : "" }, text)));
    body.replaceChildren(...this.#points.toReversed().slice(0, 30).map(row));
  }

  #choose(at) {
    if (at === this.#chosen) return;
    this.#chosen = at;
    this.#draw();
  }

  #point(clientX) {
    const box = this.svg.getBoundingClientRect();
    const { x } = this.#scales();
    const at = clientX - box.left;
    const near = (a, b) => (Math.abs(x(a.at) - at) <= Math.abs(x(b.at) - at) ? a : b);
    if (this.#points.length) this.#choose(this.#points.reduce(near).at);
  }

  #key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || !this.#points.length) return;
    event.preventDefault();
    const last = this.#points.length - 1;
    const from = this.#chosen == null ? last : this.#points.findIndex((point) => point.at === this.#chosen);
    this.#choose(this.#points[Math.min(last, Math.max(0, from + step))].at);
  }
}

const LANE = 30;

/**
 * Draws a lane for each slot: which version answered when, and where one was rejected.
 * A lane is {name, swaps: [{at, from, to}], rejected: [{at, version}]}, times in milliseconds.
 */
export function lanes(figure, list, span, now = Date.now()) {
  const width = Math.max(200, figure.clientWidth);
  const left = Math.min(150, width * 0.34);
  const start = now - span;
  const x = (at) => left + Math.max(0, (at - start) / span) * (width - left - RIGHT);
  const height = list.length * LANE + 24;
  const nodes = [];
  list.forEach((lane, row) => {
    const y = row * LANE + 4;
    const room = Math.floor(left / 7);
    const name = lane.name.length > room ? `${lane.name.slice(0, room - 1)}…` : lane.name;
    nodes.push(svg("text", { class: "on", x: 0, y: y + 16 }, svg("title", {}, lane.name), name));
    const first = lane.swaps[0];
    const before = first?.from ? [{ at: start, to: first.from, begins: false }] : [];
    const pieces = [...before, ...lane.swaps];
    pieces.forEach((piece, at) => {
      const until = pieces[at + 1]?.at ?? now;
      if (until <= start) return;
      const from = x(piece.at);
      const wide = Math.max(1, x(until) - from);
      nodes.push(svg("rect", { class: at % 2 ? "lane odd" : "lane", x: from, y, width: wide, height: LANE - 8, rx: 3 },
        svg("title", {}, `${lane.name}: version ${piece.to} from ${clock(new Date(piece.at))}`)));
      if (wide > piece.to.length * 7 + 10) nodes.push(svg("text", { class: "on", x: from + 5, y: y + 15 }, piece.to));
      if (piece.begins !== false && piece.at > start) nodes.push(svg("line", { class: "swap", x1: from, x2: from, y1: y - 2, y2: y + LANE - 6 }));
    });
    for (const { at, version } of lane.rejected.filter((one) => one.at > start)) {
      const cross = x(at);
      nodes.push(svg("path", { class: "reject", d: `M${cross - 4} ${y + 6}l8 8m0 -8l-8 8` },
        svg("title", {}, `version ${version} was rejected at ${clock(new Date(at))}`)));
    }
  });
  nodes.push(svg("text", { x: left, y: height - 4 }, clock(new Date(start))));
  nodes.push(svg("text", { x: width - RIGHT, y: height - 4, "text-anchor": "end" }, "now"));
  const words = list.map((lane) => `${lane.name} version ${lane.swaps.at(-1)?.to ?? "none"}`).join(", ");
  const drawing = svg("svg", { height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Versions over time: ${words}` }, ...nodes);
  figure.replaceChildren(drawing);
}
