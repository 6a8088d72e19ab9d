// Server-sent events by fetch, since EventSource can't send an API key.

/** @typedef {import('../../../schema/message/heartbeat.ts').MeshEvent} MeshEvent */

const RETRY_MS = 1_000;
/** Events come twice a second; a connection that is silent for this long is broken. */
const SILENCE_MS_MAX = 5_000;

/**
 * Follows the mesh for as long as the page is visible, and reconnects when the connection ends. A hidden
 * page holds no connection: over HTTP/1.1 a browser has six to a gateway, and each would take one for ever.
 *
 * @param {object} options
 * @param {() => Record<string, string>} options.headers
 * @param {(event: MeshEvent) => void} options.onEvent
 * @param {(status: number) => void} options.onRefused called for an answer that is not 200
 */
export async function followMesh({ headers, onEvent, onRefused }) {
  for (;;) {
    await untilVisible();
    const connection = new AbortController();
    const endIfHidden = () => {
      if (document.hidden) connection.abort();
    };
    document.addEventListener('visibilitychange', endIfHidden);
    let timer = 0;
    const expectMore = () => {
      clearTimeout(timer);
      timer = setTimeout(() => connection.abort(), SILENCE_MS_MAX);
    };
    expectMore();
    try {
      const response = await fetch('events', { headers: headers(), signal: connection.signal });
      if (response.ok && response.body !== null) await read(response.body, expectMore, onEvent);
      else onRefused(response.status);
    } catch {
      // The gateway is away; the page shows for how long.
    } finally {
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', endIfHidden);
    }
    // What is shown again need not wait: it was not refused.
    if (!document.hidden) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/** @returns {Promise<void>} */
function untilVisible() {
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener('visibilitychange', look);
      resolve();
    };
    document.addEventListener('visibilitychange', look);
    look();
  });
}

/**
 * @param {ReadableStream<Uint8Array<ArrayBuffer>>} body
 * @param {() => void} onReceived called for any data
 * @param {(event: MeshEvent) => void} onEvent
 */
async function read(body, onReceived, onEvent) {
  let text = '';
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    onReceived();
    const blocks = (text + chunk).split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const data = /^data: (.*)$/m.exec(block)?.[1];
      if (data !== undefined) onEvent(JSON.parse(data));
    }
  }
}
