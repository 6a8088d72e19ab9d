/** For every answer: what it is, that nothing keeps it, and that no page learns of it. */
const SECURITY_HEADERS = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  // Files of pages say otherwise.
  'cache-control': 'no-store',
};

/** A year: browsers then use HTTPS only. */
const HSTS = { 'strict-transport-security': 'max-age=31536000' };

/** The header fields that every answer has, unless its route sets them. */
export function securityHeaders(hasTls: boolean): Record<string, string> {
  return hasTls ? { ...SECURITY_HEADERS, ...HSTS } : SECURITY_HEADERS;
}
