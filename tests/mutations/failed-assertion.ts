const LENGTH_MAX = 100;
/** A program that does not run at all notices everything, and so nothing. */
const BROKEN =
  /\b(ReferenceError|StartError): |^ *type: (ReferenceError|StartError)$|ERR_MODULE_NOT_FOUND/m;

/**
 * The name of the test that failed first, by what `npm test` printed. Undefined if none did, or if it failed
 * since the code did not run.
 */
export function findFailedAssertion(output: string): string | undefined {
  if (BROKEN.test(output)) return undefined;
  const failures = [...output.matchAll(/^( *)(?:not ok \d+ -|Bail out!) (.*?)(?: # time=.*)?$/gm)];
  // TAP shows an assertion before the test that it belongs to, which is indented less.
  const [, , name] = failures.find(([, indent]) => indent === '') ?? failures[0] ?? [];
  return name?.slice(0, LENGTH_MAX);
}
