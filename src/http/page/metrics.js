// Rates and quantiles out of Prometheus text: differences between two looks at counters and histogram buckets.

/** Looks kept: ten minutes of one every two seconds. */
export const KEPT = 300;
/** Routes and variants followed apart; all others count in the sum only. */
const MOST_SERIES = 64;
const QUANTILES = [0.5, 0.9, 0.99];

/** The samples of these metrics: [name, labels, value]. */
export function parse(text, names) {
  const found = [];
  for (const line of text.split("\n")) {
    const end = line.search(/[{ ]/);
    if (end < 1 || !names.includes(line.slice(0, end))) continue;
    const labels = {};
    let rest = line.slice(end);
    if (rest[0] === "{") {
      const pattern = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"[,}]/y;
      pattern.lastIndex = 1;
      let at = 1;
      for (let match; (match = pattern.exec(rest)); at = pattern.lastIndex) {
        labels[match[1]] = match[2].replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));
        if (rest[pattern.lastIndex - 1] === "}") { at = pattern.lastIndex; break; }
      }
      rest = rest.slice(at);
    }
    found.push([line.slice(0, end), labels, Number(rest.trim().split(" ")[0])]);
  }
  return found;
}

/** A quantile of the counts that each bucket got, by its upper bound; within a bucket it is on a straight line. */
export function quantile(buckets, part) {
  const total = buckets.reduce((sum, [, count]) => sum + count, 0);
  if (total <= 0) return null;
  let before = 0;
  let lower = 0;
  for (const [bound, count] of buckets) {
    if (before + count >= part * total && count > 0) {
      if (bound === Infinity) return lower;
      return lower + ((bound - lower) * (part * total - before)) / count;
    }
    before += count;
    if (bound !== Infinity) lower = bound;
  }
  return lower;
}

/** The name of the series of a variant, or of a route that has none. */
export const seriesOf = (route, variant) => (variant ? `${route}.${variant}` : route);

/** The counters at one look: of each series requests, failures, and the cumulative buckets by version and outcome. */
function look(text) {
  const all = new Map();
  const samples = parse(text, ["modelsd_prediction_seconds_bucket", "modelsd_requests_total"]);
  for (const [name, labels, value] of samples) {
    const key = seriesOf(labels.route ?? "", labels.variant ?? "");
    if (!all.has(key)) all.set(key, { requests: new Map(), buckets: new Map() });
    const series = all.get(key);
    const who = `${labels.model}/${labels.version}/${labels.outcome}`;
    if (name === "modelsd_requests_total") series.requests.set(who, value);
    else {
      const bound = labels.le === "+Inf" ? Infinity : Number(labels.le);
      if (!series.buckets.has(who)) series.buckets.set(who, new Map());
      series.buckets.get(who).set(bound, value);
    }
  }
  return all;
}

/** What came to a counter; one that went down began anew. */
const grown = (now, before = 0) => (now >= before ? now - before : now);

/** What a series did between two looks: requests, failures, and the counts of each bucket. */
function between(now, before) {
  const made = { requests: 0, failed: 0, buckets: new Map() };
  for (const [who, value] of now.requests) {
    const more = grown(value, before?.requests.get(who));
    made.requests += more;
    if (!who.endsWith("/ok")) made.failed += more;
  }
  for (const [who, bounds] of now.buckets) {
    if (!who.endsWith("/ok")) continue;
    const sorted = [...bounds].sort(([a], [b]) => a - b);
    let below = 0;
    for (const [bound, value] of sorted) {
      const count = grown(value, before?.buckets.get(who)?.get(bound));
      made.buckets.set(bound, (made.buckets.get(bound) ?? 0) + Math.max(0, count - below));
      below = count;
    }
  }
  return made;
}

/** Keeps what was seen, for the plots. */
export class Traffic {
  #before = null;
  #at = 0;
  /** Points of each series, "" is the sum: {at, rate, failed, quantiles}. */
  points = new Map();

  /** Takes a look at the metrics as they were at that time, in milliseconds. */
  take(text, at) {
    const now = look(text);
    const took = (at - this.#at) / 1000;
    if (this.#before && took > 0) {
      const sum = { requests: 0, failed: 0, buckets: new Map() };
      for (const [key, series] of now) {
        const made = between(series, this.#before.get(key));
        sum.requests += made.requests;
        sum.failed += made.failed;
        for (const [bound, count] of made.buckets) sum.buckets.set(bound, (sum.buckets.get(bound) ?? 0) + count);
        if (this.points.has(key) || this.points.size <= MOST_SERIES) this.#push(key, at, took, made);
      }
      this.#push("", at, took, sum);
    }
    this.#before = now;
    this.#at = at;
  }

  #push(key, at, took, made) {
    const list = this.points.get(key) ?? [];
    const buckets = [...made.buckets].sort(([a], [b]) => a - b);
    list.push({
      at,
      rate: made.requests / took,
      failed: made.failed / took,
      quantiles: QUANTILES.map((part) => quantile(buckets, part)),
    });
    const oldest = at - KEPT * 2000;
    while (list.length > KEPT || (list[0] && list[0].at < oldest)) list.shift();
    this.points.set(key, list);
  }

  /** The newest point of a series. */
  last(key) {
    return this.points.get(key)?.at(-1);
  }
}
