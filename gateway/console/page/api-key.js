// The API key, which only this tab keeps, and requests with it.

/** @typedef {{ status: number, body: any }} Answer */

const KEY = 'increment-mesh-api-key';

export const apiKey = {
  read: () => sessionStorage.getItem(KEY),
  /** @param {string} key */
  keep: (key) => sessionStorage.setItem(KEY, key),
  forget: () => sessionStorage.removeItem(KEY),
};

/** @returns {Record<string, string>} */
export function authorization() {
  const key = apiKey.read();
  return key === null ? {} : { authorization: `Bearer ${key}` };
}

/**
 * @param {string} path from the page, which a proxy may have below a path of its own
 * @param {Omit<RequestInit, 'headers'> & { headers?: Record<string, string> }} [options]
 * @returns {Promise<Answer>} the status 0 if there was no answer
 */
export async function ask(path, options = {}) {
  const headers = {
    ...options.headers,
    ...authorization(),
    ...(options.body && { 'content-type': 'application/json' }),
  };
  try {
    const response = await fetch(path, { ...options, headers });
    return { status: response.status, body: await response.json() };
  } catch {
    return { status: 0, body: undefined };
  }
}
