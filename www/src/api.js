// The node's HTTP API, relative to the page.

const GIVE_UP_MS = 5_000;

/** An answer that is none of 2xx; its message is the server's own sentence. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** ask(path, { method }) resolves to the answer's JSON (null for 204). onLocked() is called whenever
 * the server wants another admin token. */
export function createApi(base, onLocked = () => {}) {
  let token = null;

  async function ask(path, { method = 'GET' } = {}) {
    const response = await fetch(new URL(path, base), {
      method,
      cache: 'no-store',
      headers: token ? { Authorization: `Bearer ${token}` } : {},
      signal: AbortSignal.timeout(GIVE_UP_MS),
    });
    if (response.status === 401)
      onLocked();
    if (!response.ok)
      throw new ApiError(response.status, await messageOf(response));
    return response.status === 204 ? null : response.json();
  }

  return { ask, useToken: (text) => (token = text) };
}

/** Can this stand in a header at all? */
export const isToken = (text) => /^[\x21-\x7e]+$/.test(text);

async function messageOf(response) {
  try {
    return (await response.json()).error.message;
  } catch {
    return `HTTP ${response.status}`;
  }
}
