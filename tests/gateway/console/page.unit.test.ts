import t from 'tap';
import { buildTestGateway } from '../test-gateway.ts';

const PAGE_BYTES_MAX = 150 * 1024;

void t.test('the page is small and loads nothing but its own files', async (t) => {
  const { send, app } = await buildTestGateway(t);
  const seen = new Set(['/']);
  let bytes = 0;
  for (const path of seen) {
    const { status, headers, body } = await send(path);
    t.equal(status, 200, path);
    t.match(headers['content-security-policy'], /^default-src 'none'; script-src 'self';/);
    t.notMatch(headers['content-security-policy'], /unsafe|https?:|\*/);
    t.equal(headers['x-content-type-options'], 'nosniff');
    t.notMatch(body.replaceAll('http://www.w3.org/2000/svg', ''), /https?:\/\//, 'no other host');
    bytes += Buffer.byteLength(body);
    t.notMatch(body, /(?:href|src)="\/|(?:fetch|ask)\(['"`]\//, 'a proxy may have it at any path');
    for (const [, found = ''] of body.matchAll(/(?:href|src)="(console\/[^"]+)"/g)) {
      seen.add(`/${found}`);
    }
    for (const [, name = ''] of body.matchAll(/from '\.\/([^']+)'/g)) seen.add(`/console/${name}`);
  }
  t.ok(seen.size > 5, 'its files were found');
  t.ok(bytes < PAGE_BYTES_MAX, `${bytes} bytes`);

  const { body, headers } = await send('/');
  t.notMatch(body, /<script>|<style|style="|\son\w+="/, 'nothing inline');
  const etag = String(headers['etag']);
  for (const known of [etag, `W/${etag}`, `"other", W/${etag}`, '*']) {
    const again = await send('/', { headers: { 'if-none-match': known } });
    t.equal(again.status, 304, `unchanged, it is not sent again to who has ${known}`);
  }
  t.equal((await send('/', { headers: { 'if-none-match': '"other"' } })).status, 200);
  t.equal((await app.inject({ method: 'HEAD', url: '/' })).statusCode, 200);
  t.equal((await send('/console/mesh-view.ts')).status, 404, 'only the page is served');
});
