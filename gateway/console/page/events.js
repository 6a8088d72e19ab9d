// Server-sent events by fetch, since EventSource can't send an API key.

import { authorization } from './api-key.js';

/** @typedef {import('../../../schema/message/heartbeat.ts').MeshEvent} MeshEvent */
/** @typedef {{ status: number, code: string, detail: string }} Refusal of a request for events */

const RETRY_MS = 1_000;
/** Events come twice a second; a connection that is silent for this long is broken. */
const SILENCE_MS_MAX = 5_000;
/** How often a hidden page looks. Browsers make that a minute after a while. */
const HIDDEN_MS = 10_000;

/**
 * Follows the mesh, and reconnects when the connection ends. A hidden page takes one event now and then, for
 * its title and icon, and holds no connection in between: over HTTP/1.1 a browser has six to a gateway, and
 * each would take one for ever.
 *
 * @param {object} options
 * @param {(event: MeshEvent) => void} options.onEvent
 * @param {(refusal: Refusal) => void} options.onRefused called for an answer that is not 200
 * @param {() => void} options.onAway called where there is no answer
 */
export async function followMesh({ onEvent, onRefused, onAway }) {
  for (;;) {
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
      const { signal } = connection;
      const response = await fetch('events', { headers: authorization(), signal });
      if (response.ok && response.body !== null) {
        await read(response.body, expectMore, (event) => {
          try {
            onEvent(event);
          } catch (error) {
            reportError(error);
          }
          endIfHidden();
        });
      } else onRefused(await readRefusal(response));
    } catch {
      // The page shows for how long.
      onAway();
    } finally {
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', endIfHidden);
    }
    await pause();
  }
}

/** Until the next attempt; what is shown again need not wait longer. @returns {Promise<void>} */
function pause() {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', endIfVisible);
      resolve();
    };
    const endIfVisible = () => {
      if (!document.hidden) end();
    };
    const timer = setTimeout(end, document.hidden ? HIDDEN_MS : RETRY_MS);
    document.addEventListener('visibilitychange', endIfVisible);
  });
}

/** @param {Response} response @returns {Promise<Refusal>} */
async function readRefusal(response) {
  const { status } = response;
  try {
    const { code, detail } = await response.json();
    return { status, code: String(code ?? ''), detail: String(detail ?? '') };
  } catch {
    return { status, code: '', detail: '' };
  }
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
