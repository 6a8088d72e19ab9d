/*
 * The two protocols, read just far enough to know where one message ends and the next begins: a
 * connection that is cut at a random byte is an easy fault, one that is cut between a COMMIT and
 * its answer is the one that matters.
 */

/** One message of a protocol, as it is on the wire. */
export interface Frame {
  /** From the service to its server, or back. */
  toServer: boolean;
  /** What it says first: the line of NATS, the statement of PostgreSQL. */
  head: string;
  bytes: Buffer;
}

/** Takes what was read from a socket and returns the messages that are complete with it. */
export type Splitter = (chunk: Buffer) => Frame[];

/** Bytes are not read at all: whatever comes is a message. */
export type Protocol = 'nats' | 'postgres' | 'bytes';

/** Enough to see which statement it is. */
const STATEMENT_HEAD_BYTES = 160;

/** Makes the splitter of one direction of one connection. */
export function createSplitter(protocol: Protocol, toServer: boolean): Splitter {
  if (protocol === 'bytes') return (bytes) => [{ toServer, head: '', bytes }];
  let rest: Buffer = Buffer.alloc(0);
  let isFirst = true;
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const frames: Frame[] = [];
    for (;;) {
      const found =
        protocol === 'nats'
          ? readNats(rest)
          : readPostgres(rest, { isStartup: toServer && isFirst });
      if (found === undefined || rest.length < found.length) return frames;
      frames.push({ toServer, head: found.head, bytes: rest.subarray(0, found.length) });
      rest = rest.subarray(found.length);
      isFirst = false;
    }
  };
}

/** The line ends in CR LF; messages have a payload, whose length is the line's last word. */
function readNats(bytes: Buffer): { head: string; length: number } | undefined {
  const end = bytes.indexOf('\r\n');
  if (end === -1) return undefined;
  const head = bytes.toString('latin1', 0, end);
  const hasPayload = /^H?(PUB|MSG) /.test(head);
  const payload = hasPayload ? Number(head.slice(head.lastIndexOf(' ') + 1)) + 2 : 0;
  return { head, length: end + 2 + payload };
}

/** A type of one byte, then the length with itself; only the first message has no type. */
function readPostgres(
  bytes: Buffer,
  { isStartup }: { isStartup: boolean },
): { head: string; length: number } | undefined {
  const typeBytes = isStartup ? 0 : 1;
  if (bytes.length < typeBytes + 4) return undefined;
  const length = typeBytes + bytes.readUInt32BE(typeBytes);
  if (isStartup) return { head: 'startup', length };
  const type = String.fromCharCode(bytes[0] ?? 0);
  const text = bytes.toString('latin1', 5, Math.min(length, 5 + STATEMENT_HEAD_BYTES));
  // A statement that is parsed has a name before it, which is empty.
  return { head: `${type} ${text.replace(/^\0/, '')}`, length };
}
