// Small helpers over the document. Text is only ever set as text, so that no name of a model can be markup.

export const $ = (id) => document.getElementById(id);

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children; texts become text nodes. */
export function el(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** The same within a drawing. */
export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(key, "");
    else if (value !== false && value != null) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

/**
 * Makes the rows of a table body these. Each cell is a text or {text, class, title}. What is there already and the same is
 * left alone, so that a selection, a focus or a screen reader is not disturbed every other second.
 */
export function rows(table, wanted) {
  const body = table.tBodies[0] ?? table.createTBody();
  while (body.rows.length > wanted.length) body.deleteRow(-1);
  wanted.forEach((cells, at) => {
    const row = body.rows[at] ?? body.insertRow();
    while (row.cells.length > cells.length) row.deleteCell(-1);
    cells.forEach((cell, column) => {
      const { text, class: kind = "", title = "" } = typeof cell === "object" && cell ? cell : { text: cell };
      const node = row.cells[column] ?? row.insertCell();
      say(node, text ?? "");
      if (node.className !== kind) node.className = kind;
      if (node.title !== title) node.title = title;
    });
  });
}

/** Sets a text where it is another. */
export function say(node, text) {
  if (node.textContent !== String(text)) node.textContent = text;
}

/** Makes the options of a select these, each [value, text]; keeps what is chosen where it is still there. */
export function options(select, wanted) {
  const key = JSON.stringify(wanted);
  if (select.dataset.key === key) return;
  select.dataset.key = key;
  const chosen = select.value;
  select.replaceChildren(...wanted.map(([value, text]) => el("option", { value }, text)));
  if (wanted.some(([value]) => value === chosen)) select.value = chosen;
}

/** A time of the API for people: the hour of today, or the date too. */
export function clock(text) {
  if (!text) return "";
  const time = new Date(text);
  const two = (number) => String(number).padStart(2, "0");
  const hour = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  const day = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return time.toDateString() === new Date().toDateString() ? hour : `${day} ${hour}`;
}

/** A number with three figures. */
export function short(number) {
  if (number == null || !Number.isFinite(number)) return "–";
  const size = Math.abs(number);
  if (size === 0) return "0";
  if (size >= 1e6 || size < 1e-3) return number.toExponential(1);
  return size >= 100 ? number.toFixed(0) : String(Number(number.toPrecision(3)));
}

/** Seconds with a fitting unit. */
export function seconds(value) {
  if (value == null || !Number.isFinite(value)) return "–";
  if (value < 1e-3) return `${short(value * 1e6)} µs`;
  return value < 1 ? `${short(value * 1e3)} ms` : `${short(value)} s`;
}
