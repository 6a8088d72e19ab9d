/** C0 without tab and newline, delete, C1, and the marks by which text changes its direction. */
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Text of others as a terminal may show it: what would command the terminal is spelled out. */
export function printable(text: string): string {
  return text.replaceAll(CONTROLS, (mark) => {
    const code = mark.charCodeAt(0).toString(16);
    return code.length > 2 ? `\\u${code}` : `\\x${code.padStart(2, '0')}`;
  });
}
