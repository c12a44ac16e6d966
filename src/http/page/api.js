// Asks the server this page came from.

const KEY = "modelsd-token";

/** The token of this tab, if one was given. */
export function token() {
  return sessionStorage.getItem(KEY) ?? "";
}

/** Keeps a token until the tab is closed; an empty one forgets it. */
export function setToken(text) {
  if (text) sessionStorage.setItem(KEY, text);
  else sessionStorage.removeItem(KEY);
}

/** The headers that say who asks. */
export function credentials() {
  return token() ? { authorization: `Bearer ${token()}` } : {};
}

/** An answer that is no success, in the server's words. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** What a status and a body say went wrong. */
export function reason(status, body) {
  let message = "";
  try {
    const error = JSON.parse(body);
    message = error.message ?? error.detail ?? "";
    if (error.stack_trace) message += ` ${error.stack_trace}`;
  } catch {
    message = body.slice(0, 500);
  }
  if (status === 401) return `This server wants a token: give one under “Token”. ${message}`;
  if (status === 403) return `The token does not allow this, or there is none. ${message}`;
  return message || `The server answered ${status}.`;
}

async function get(path) {
  const response = await fetch(path, {
    headers: credentials(), cache: "no-store", signal: AbortSignal.timeout(10_000),
  });
  const text = await response.text();
  if (!response.ok) throw new Refused(response.status, reason(response.status, text));
  return text;
}

/** The text at a path. */
export const text = get;

/** The JSON at a path. */
export async function json(path) {
  return JSON.parse(await get(path));
}

/** The JSON at a path, or nothing where the server has none. */
export async function maybe(path) {
  try {
    return await json(path);
  } catch (error) {
    if (error instanceof Refused && [400, 404].includes(error.status)) return null;
    throw error;
  }
}
