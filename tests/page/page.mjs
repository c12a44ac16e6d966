// Drives the page at / in headless Chromium: `node page.mjs URL CHROMIUM FOLDER`. Talks to the test that started it in
// lines: it says `next WHAT` when it wants something done, and reads a line when it is. Prints `ok` at the end.

import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";
import readline from "node:readline";

const [, , base, executablePath, packages] = process.argv;
const require = createRequire(`${packages}/`);
const { chromium } = require("playwright-core");
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
async function ask(what) {
  console.log(`next ${what}`);
  return (await lines.next()).value;
}

// Nothing here takes longer, unless it hangs: other tests may have the cores meanwhile.
const PATIENCE = 120_000;
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });

/** A page that notes whatever it complains of, and every request to another host. */
async function open(options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.problems = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) page.problems.push(`${message.text()} ${message.location().url}`);
  });
  page.on("pageerror", (error) => page.problems.push(error.message));
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== new URL(base).origin) page.problems.push(`asked ${request.url()}`);
  });
  await page.goto(base);
  await page.waitForFunction(() => document.querySelector("#state").textContent.includes("serving"));
  await page.waitForSelector("#body, #f0");
  return page;
}

const until = (page, what, argument) => page.waitForFunction(what, argument, { timeout: PATIENCE });

/** What a form answered, and what the same request answers without it. */
async function predicted(page) {
  const before = await page.locator("#answer").count() ? await page.locator("dd").allTextContents() : [];
  await page.getByRole("button", { name: "Predict", exact: true }).click();
  await until(page, (old) => {
    const now = [...document.querySelectorAll("#result dd")].map((node) => node.textContent);
    return now.length > 0 && JSON.stringify(now) !== old;
  }, JSON.stringify(before));
  return page.locator("#answer").textContent();
}

/** The request of the curl line, sent without the page. */
async function asTheCurlLineHasIt(page) {
  const line = await page.locator("#curl").textContent();
  const body = line.slice(line.indexOf(" -d '") + 5, -1).replaceAll("'\\''", "'");
  const headers = Object.fromEntries([...line.matchAll(/-H '([^:']+): ([^']+)'/g)].map(([, name, value]) => [name, value]));
  const response = await fetch(/ -X POST '([^']+)'/.exec(line)[1], { method: "POST", headers, body });
  return { status: response.status, text: await response.text() };
}

/** What axe finds that is serious, in both colours. */
async function barriers(page) {
  const found = [];
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    // Playwright's own world is not bound by the policy of the page.
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    for (const { id, impact, nodes } of violations) {
      if (["serious", "critical"].includes(impact)) found.push(`${colorScheme}: ${id} at ${nodes.map((node) => node.target)}`);
    }
  }
  return found;
}

try {
  const page = await open({ viewport: { width: 1200, height: 900 }, colorScheme: "light" });

  // A tensor: its example is there, and is answered as /invocations answers it.
  await page.getByLabel("Model", { exact: true }).selectOption({ label: "iris" });
  await page.waitForSelector("#body");
  assert.match(await page.locator("#body").inputValue(), /"inputs"/);
  await page.locator("#body").fill('{"inputs": [[5.1, 3.5, 1.4, 0.2]]}');
  const answer = await predicted(page);
  assert.match(answer, /"predictions"/);
  const same = await asTheCurlLineHasIt(page);
  assert.deepEqual([same.status, same.text], [200, answer]);
  const told = await page.locator("#result dl").textContent();
  for (const header of ["x-model-name", "x-model-version", "server-timing"]) assert.ok(told.includes(header), told);

  // Columns: a field each, filled with the example, and what is no number is said at once.
  await page.getByLabel("Model", { exact: true }).selectOption({ label: "columns" });
  await page.waitForSelector("#f0");
  const names = await page.locator("#fields label").allTextContents();
  assert.ok(names.length > 1 && names.every((name) => /double|float|long|integer|string|boolean/.test(name)), String(names));
  const columns = await predicted(page);
  assert.match(columns, /"predictions"/);
  assert.equal((await asTheCurlLineHasIt(page)).text, columns);
  const number = page.locator("#fields input[inputmode]").first();
  const good = await number.inputValue();
  await number.fill("no number");
  await page.getByRole("button", { name: "Predict", exact: true }).click();
  await until(page, () => document.querySelector("#result").textContent.includes("is no"));
  assert.equal(await number.getAttribute("aria-invalid"), "true");
  await number.fill(good);

  // Every type has its field, and no digit of a long number is lost.
  const columnsOf = (...types) => types.map((type) => ({ type, name: type, required: type !== "string" }));
  const signature = {
    inputs: [...columnsOf("boolean", "long", "double", "string", "datetime"), { type: "array", items: { type: "long" }, name: "list" }],
    params: [{ name: "t", type: "double", default: 0.5, shape: null }, { name: "k", type: "long", default: [1], shape: [-1] }],
  };
  const example = { dataframe_records: [{ boolean: true, long: 7, double: 0.5, datetime: "2026-01-02T03:04:05.000", list: [1, 2] }] };
  const bodies = await page.evaluate(async ([signature, example]) => {
    const { Form } = await import("/assets/form.js");
    const form = new Form(document.createElement("div"));
    form.show(signature, example);
    const first = form.body();
    const field = (id) => form.box.querySelector(`#${id}`);
    field("f1").value = "+0090071992547409931";
    field("f2").value = "-.5e3";
    field("f3").value = 'a "b"';
    field("p0").value = "0.25";
    return [first, form.body()];
  }, [signature, example]);
  assert.deepEqual(bodies, [
    '{"dataframe_split": {"columns": ["boolean", "long", "double", "datetime", "list"], ' +
      '"data": [[true, 7, 0.5, "2026-01-02T03:04:05", [1,2]]]}}',
    '{"dataframe_split": {"columns": ["boolean", "long", "double", "string", "datetime", "list"], ' +
      '"data": [[true, 90071992547409931, -0.5e3, "a \\"b\\"", "2026-01-02T03:04:05", [1,2]]]}, "params": {"t": 0.25}}',
  ]);
  bodies.forEach((body) => JSON.parse(body));

  // Parameters beside a body of JSON: nothing in a text is taken for a pattern, and none are there twice.
  const typed = await page.evaluate(async () => {
    const { Form } = await import("/assets/form.js");
    const form = new Form(document.createElement("div"));
    const params = [{ name: "t", type: "string", default: "", shape: null }];
    form.show({ inputs: [{ type: "tensor", "tensor-spec": { dtype: "float32", shape: [-1, 2] } }], params }, null);
    const field = (id) => form.box.querySelector(`#${id}`);
    field("p0").value = "$& $' }";
    return ['{"inputs": [1.0]}', " {} ", "[1]", '{"params": {"t": "x"}}'].map((text) => {
      field("body").value = text;
      try { return form.body(); } catch (error) { return `refused: ${error.message.slice(0, 12)}`; }
    });
  });
  assert.deepEqual(typed, [
    `{"inputs": [1.0], "params": {"t": "$& $' }"}}`, `{"params": {"t": "$& $' }"}}`, "refused: The body is ", "refused: The body has",
  ]);

  // Rates and quantiles are those of what came between two looks, also after a restart.
  const points = await page.evaluate(async () => {
    const { Traffic } = await import("/assets/metrics.js");
    const look = (requests, fast, all) => `# TYPE x histogram
modelsd_requests_total{route="a \\"b\\"",model="m",version="1",outcome="ok"} ${requests}
modelsd_prediction_seconds_bucket{route="a \\"b\\"",model="m",version="1",outcome="ok",le="0.001"} ${fast}
modelsd_prediction_seconds_bucket{route="a \\"b\\"",model="m",version="1",outcome="ok",le="0.01"} ${all}
modelsd_prediction_seconds_bucket{route="a \\"b\\"",model="m",version="1",outcome="ok",le="+Inf"} ${all}
`;
    const traffic = new Traffic();
    traffic.take(look(100, 100, 100), 0);
    traffic.take(look(120, 110, 120), 2000);
    traffic.take(look(10, 10, 10), 4000);
    return traffic.points.get('a "b"');
  });
  assert.deepEqual(points.map((point) => point.rate), [10, 5]);
  const [half, nine] = points[0].quantiles;
  assert.ok(Math.abs(half - 0.001) < 1e-9 && Math.abs(nine - 0.0082) < 1e-9, String(points[0].quantiles));

  // A request that fails is told, and is among the last errors.
  await page.getByLabel("Model", { exact: true }).selectOption({ label: "iris" });
  await page.waitForSelector("#body");
  await page.locator("#body").fill('{"inputs": [["tell-nobody"]]}');
  const refused = await predicted(page);
  assert.match(refused, /"error_code"/);
  await until(page, () => document.querySelector("#errors tbody").textContent.includes("invalid_input"));
  assert.ok(!(await page.locator("#errors").textContent()).includes("tell-nobody"));
  // Chromium itself notes a failed request; nothing else has complained.
  page.problems = page.problems.filter((problem) => !/status of 400/.test(problem));

  // A swap appears, and what was typed stays.
  await page.locator("#body").fill('{"inputs": [[6.1, 2.9, 4.7, 1.4]]}');
  await ask("swap");
  await until(page, () => /1 → 2/.test(document.querySelector("#changes tbody").textContent));
  await until(page, () => document.querySelector("#lanes").textContent.includes("version 2"));
  await until(page, () => /iris.*2/.test(document.querySelector("#serving tbody").textContent));
  assert.equal(await page.locator("#body").inputValue(), '{"inputs": [[6.1, 2.9, 4.7, 1.4]]}');
  await until(page, () => document.querySelectorAll("#rate path.line").length > 0);
  assert.match(await page.locator("#rate svg").getAttribute("aria-label"), /Requests per second: all/);
  assert.match(await predicted(page), /"predictions"/);
  assert.match(await page.locator("#result dl").textContent(), /x-model-version2/);

  // Keys alone: the form is reached, and a plot is read point by point.
  await page.locator("#rate svg").focus();
  await page.keyboard.press("ArrowLeft");
  await until(page, () => document.querySelector("#rate .cursor") !== null);
  await page.locator("#rate summary").press("Enter");
  await until(page, () => document.querySelectorAll("#rate details tbody tr").length > 1);

  assert.deepEqual(await barriers(page), []);
  const colours = () => getComputedStyle(document.body).backgroundColor;
  await page.emulateMedia({ colorScheme: "dark" });
  const dark = await page.evaluate(colours);
  await page.getByLabel("Colours").selectOption("light");
  assert.notEqual(await page.evaluate(colours), dark);
  assert.deepEqual(page.problems, []);

  // On a phone, nothing but tables is scrolled sideways.
  const phone = await open({ viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
  await until(phone, () => document.querySelectorAll("#serving tbody tr").length > 0);
  const [wide, room] = await phone.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(wide <= room && room <= 360, `${wide} pixels in ${room}`);
  assert.match(await predicted(phone), /"predictions"/);
  assert.deepEqual(phone.problems, []);
  console.log("ok");
} finally {
  await browser.close();
  lines.return();
  process.stdin.destroy();
}
