// A form out of a signature, and the body of the request out of the form. Numbers stay the text that was typed, so that
// no digit of a long one is lost.

import { el } from "./dom.js";

/** Signatures with more columns than this get one field of JSON. */
const MOST_FIELDS = 200;
const INTEGERS = ["integer", "long"];
const FLOATS = ["float", "double"];
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

/** The first row of an example, by name or position; an example is a body of /invocations. */
export function firstRow(example) {
  if (!example) return null;
  const split = example.dataframe_split;
  if (split?.data?.[0]) {
    const names = split.columns ?? split.data[0].map((_, at) => at);
    return Object.fromEntries(names.map((name, at) => [name, split.data[0][at]]));
  }
  const list = example.dataframe_records ?? example.instances ?? example.inputs;
  if (Array.isArray(list)) {
    const row = list[0];
    return Array.isArray(row) ? Object.fromEntries(row.map((value, at) => [at, value])) : row ?? null;
  }
  if (list && typeof list === "object") {
    return Object.fromEntries(Object.entries(list).map(([name, values]) => [name, Array.isArray(values) ? values[0] : values]));
  }
  return null;
}

/** Columns that have fields of their own: those of a table, if they are not too many. */
export function columnsOf(signature) {
  const inputs = signature?.inputs;
  if (!inputs?.length || inputs.length > MOST_FIELDS || inputs.some((column) => column.type === "tensor")) return null;
  return inputs;
}

/** A type for people. */
export function typeName(kind) {
  if (kind.type === "tensor") return `${kind["tensor-spec"].dtype} [${kind["tensor-spec"].shape.map((n) => (n < 0 ? "rows" : n)).join(", ")}]`;
  if (kind.type === "array") return `list of ${typeName(kind.items)}`;
  if (kind.type === "map") return `map of ${typeName(kind.values)}`;
  return kind.type;
}

/** The form of one model. */
export class Form {
  #fields = [];
  #params = [];
  #area = null;

  constructor(box) {
    this.box = box;
  }

  /** Makes the fields for a signature and its example. */
  show(signature, example) {
    this.signature = signature;
    this.#fields = [];
    this.#params = [];
    this.#area = null;
    this.box.replaceChildren();
    const columns = columnsOf(signature);
    if (columns) {
      const row = firstRow(example) ?? {};
      this.#fields = columns.map((column, at) => this.#field(column, row[column.name ?? at], at, this.box, "f"));
    } else {
      this.#area = el("textarea", { id: "body", spellcheck: "false" });
      this.#area.value = pretty(example ?? { inputs: [emptyOf(signature)] });
      this.box.append(el("div", { class: "wide" }, el("label", { for: "body" }, "Body, as JSON"), this.#area));
    }
    if (signature?.params?.length) {
      const set = el("fieldset", {}, el("legend", {}, "Parameters"));
      this.box.append(set);
      this.#params = signature.params.map((param, at) => {
        const kind = param.shape ? { ...param, type: "array", items: param, required: false } : { ...param, required: false };
        const field = this.#field(kind, param.default, at, set, "p");
        return { ...field, start: field.read() };
      });
    }
  }

  #field(column, value, at, box, prefix) {
    const id = `${prefix}${at}`;
    const name = column.name ?? `column ${at}`;
    const required = column.required !== false;
    const label = el("label", { for: id }, name, el("span", { class: "type" }, ` ${typeName(column)}${required ? "" : ", optional"}`));
    const { type } = column;
    let input;
    let read;
    const cell = el("div", {}, label);
    if (type === "boolean") {
      input = el("input", { id, type: "checkbox" });
      input.checked = value === true;
      read = () => String(input.checked);
    } else if (INTEGERS.includes(type) || FLOATS.includes(type)) {
      const whole = INTEGERS.includes(type);
      // Not type=number: browsers drop what they cannot read, and round what is long.
      input = el("input", { id, type: "text", inputmode: whole ? "numeric" : "decimal", required, autocomplete: "off" });
      input.value = value ?? "";
      read = () => number(input.value.trim(), whole, name);
    } else if (type === "datetime") {
      input = el("input", { id, type: "datetime-local", step: "1", required });
      input.value = typeof value === "string" ? value.replace(" ", "T").slice(0, 19) : "";
      read = () => (input.value ? JSON.stringify(input.value.length === 16 ? `${input.value}:00` : input.value) : null);
    } else if (type === "string" || type === "binary") {
      input = el("input", { id, type: "text", autocomplete: "off", placeholder: type === "binary" ? "base64" : null, required: required && type === "binary" });
      input.value = value ?? "";
      read = () => (input.value === "" && !required ? null : JSON.stringify(input.value));
    } else {
      input = el("textarea", { id, required, spellcheck: "false" });
      input.value = value === undefined || value === null ? "" : JSON.stringify(value);
      read = () => checked(input.value.trim(), name);
      cell.className = "wide";
    }
    cell.append(input);
    box.append(cell);
    return { name: column.name ?? at, input, read };
  }

  /** The body as text. Throws where a field cannot be read, and marks it. */
  body() {
    const read = (field) => {
      try {
        field.input.removeAttribute("aria-invalid");
        return field.read();
      } catch (error) {
        field.input.setAttribute("aria-invalid", "true");
        field.input.focus();
        throw error;
      }
    };
    const params = this.#params
      .map((field) => [field, read(field)])
      .filter(([field, text]) => text !== null && text !== field.start)
      .map(([field, text]) => `${JSON.stringify(field.name)}: ${text}`);
    if (this.#area) {
      const text = this.#area.value.trim();
      checked(text, "The body");
      return params.length ? withParams(text, params.join(", ")) : text;
    }
    // An optional column without a value is not sent; the server knows that it may be missing.
    const cells = this.#fields.map((field) => [field.name, read(field)]).filter(([, text]) => text !== null);
    const names = cells.map(([name]) => JSON.stringify(name)).join(", ");
    const data = cells.map(([, text]) => text).join(", ");
    const more = params.length ? `, "params": {${params.join(", ")}}` : "";
    return `{"dataframe_split": {"columns": [${names}], "data": [[${data}]]}${more}}`;
  }
}

/** A number as JSON has it, without a change of its digits; nothing for no text. */
export function number(text, whole, name) {
  if (text === "") return null;
  if (!NUMBER.test(text) || (whole && !/^[+-]?\d+$/.test(text))) throw new Error(`${name}: “${text}” is no ${whole ? "whole " : ""}number.`);
  const [, sign, digits, rest] = /^([+-]?)(\d*)(.*)$/.exec(text);
  const head = digits.replace(/^0+(?=\d)/, "") || "0";
  return (sign === "-" ? "-" : "") + head + rest.replace(/^\.(?!\d)/, "");
}

function checked(text, name) {
  if (text === "") return null;
  try {
    JSON.parse(text);
  } catch (error) {
    throw new Error(`${name} is no JSON: ${error.message}`);
  }
  return text;
}

/** A body with parameters; the rest of its text stays as it was typed. */
function withParams(text, params) {
  const body = JSON.parse(text || "null");
  if (body === null || typeof body !== "object" || Array.isArray(body)) throw new Error("The body is no object: only one can have parameters.");
  if (Object.hasOwn(body, "params")) throw new Error("The body has “params” of its own: change them there.");
  const comma = Object.keys(body).length ? ", " : "";
  // A function, since a text may have what means something in a replacement.
  return text.replace(/\s*}$/, () => `${comma}"params": {${params}}}`);
}

/** Something of the right shape for a signature without an example. */
function emptyOf(signature) {
  const spec = signature?.inputs?.[0]?.["tensor-spec"];
  const axes = spec ? spec.shape.slice(1) : [];
  if (axes.some((n) => n < 0) || axes.reduce((a, b) => a * b, 1) > 1000) return [];
  const fill = ([first, ...rest]) => (first === undefined ? 0 : Array.from({ length: first }, () => fill(rest)));
  return fill(axes);
}

/** JSON with a line a row: easier to change than one long line. */
export function pretty(value) {
  const text = JSON.stringify(value, null, 1);
  return text.replace(/\[\s+([^[\]{}]*?)\s+\]/g, (_, inner) => `[${inner.replace(/\s*\n\s*/g, " ")}]`);
}
