/** The recommender's HTTP API as this page uses it: tokens, timings, problems that say what to do. */

/** What went wrong, in words for a person. `status` 0: the server did not answer at all. */
export class Problem extends Error {
  constructor(status, title, detail, { retryAfterS = null, requestId = null } = {}) {
    super(detail || title);
    Object.assign(this, { status, title, detail, retryAfterS, requestId });
  }
}

const tokens = new Map(); // user_id -> Promise of a token, in memory only

/** A token for `userId` from the development server. Raises Problem in production, where there is none. */
export function token(userId, { isRefresh = false } = {}) {
  if (isRefresh) tokens.delete(userId);
  if (!tokens.has(userId)) {
    const asked = send("/dev/token", { method: "POST", body: { user_id: userId } }).then(({ data }) => data.token);
    asked.catch(() => tokens.delete(userId));
    tokens.set(userId, asked);
  }
  return tokens.get(userId);
}

/** GET as `userId` (a token that ran out is renewed once). Returns { data, tookMs }. Raises Problem. */
export const get = (path, { userId = null, signal } = {}) => as(userId, path, { signal });

/** POST `body` as `userId`, as `get` does. */
export const post = (path, body, { userId }) => as(userId, path, { method: "POST", body });

async function as(userId, path, options) {
  const attempt = async (isRefresh) =>
    send(path, { ...options, token: userId == null ? null : await token(userId, { isRefresh }) });
  try {
    return await attempt(false);
  } catch (error) {
    if (error.status !== 401 || userId == null) throw error;
    return attempt(true);
  }
}

export async function send(path, { method = "GET", body, token: bearer, signal } = {}) {
  const headers = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (bearer) headers.authorization = `Bearer ${bearer}`;
  const started = performance.now();
  let response;
  try {
    response = await fetch(path, {
      method,
      headers,
      signal,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The server does not answer", "Is `shortlist serve` running? This page tries again by itself.");
  }
  const data = await response.json().catch(() => null);
  const tookMs = performance.now() - started;
  if (!response.ok) {
    const retry = Number(response.headers.get("retry-after"));
    throw new Problem(response.status, data?.title ?? `HTTP ${response.status}`, data?.detail ?? "", {
      retryAfterS: Number.isFinite(retry) && retry > 0 ? retry : null,
      requestId: data?.request_id ?? null,
    });
  }
  return { data, tookMs };
}
