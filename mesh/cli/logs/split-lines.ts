/** What is kept of a line that does not end; the longest of a service has a few kilobytes. */
const LINE_BYTES_MAX = 1024 * 1024;

/** Cuts bytes into lines, whose ends may come in a later part. A line that is too long becomes several. */
export function createLineSplitter(lineBytesMax = LINE_BYTES_MAX): {
  push: (part: Buffer) => string[];
  /** What came after the last end. */
  rest: () => string | undefined;
} {
  let kept: Buffer[] = [];
  let keptBytes = 0;

  return {
    push(part) {
      const lines: string[] = [];
      let start = 0;
      for (let end = part.indexOf(10); end !== -1; end = part.indexOf(10, start)) {
        keep(part.subarray(start, end));
        lines.push(take());
        start = end + 1;
      }
      // A copy, since the part's memory is used again.
      keep(Buffer.from(part.subarray(start)));
      if (keptBytes > lineBytesMax) lines.push(take());
      return lines;
    },
    rest: () => (keptBytes === 0 ? undefined : take()),
  };

  function keep(bytes: Buffer): void {
    kept.push(bytes);
    keptBytes += bytes.length;
  }

  function take(): string {
    const line = Buffer.concat(kept).toString('utf8');
    kept = [];
    keptBytes = 0;
    return line.endsWith('\r') ? line.slice(0, -1) : line;
  }
}
