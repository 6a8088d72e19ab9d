// Server-sent events by fetch, since EventSource can't send an API key.

/** @typedef {import('../../../schema/message/heartbeat.ts').MeshEvent} MeshEvent */

const RETRY_MS = 1_000;
/** Events come twice a second; a connection that is silent for this long is broken. */
const SILENCE_MS_MAX = 5_000;

/**
 * Follows the mesh for as long as the page is open, and reconnects when the connection ends.
 *
 * @param {object} options
 * @param {() => Record<string, string>} options.headers
 * @param {(event: MeshEvent) => void} options.onEvent
 * @param {(status: number) => void} options.onRefused called for an answer that is not 200
 */
export async function followMesh({ headers, onEvent, onRefused }) {
  for (;;) {
    const silence = new AbortController();
    let timer = 0;
    const expectMore = () => {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS_MAX);
    };
    expectMore();
    try {
      const response = await fetch('/events', { headers: headers(), signal: silence.signal });
      if (response.ok && response.body !== null) await read(response.body, expectMore, onEvent);
      else onRefused(response.status);
    } catch {
      // The gateway is away; the page shows for how long.
    } finally {
      clearTimeout(timer);
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
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
