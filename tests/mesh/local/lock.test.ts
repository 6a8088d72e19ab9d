import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { acquireLock } from '../../../mesh/local/lock.ts';
import { identifyProcess } from '../../../mesh/servers/processes.ts';

await t.test('a lock is given once, and again when it was given back', async (t) => {
  const path = join(t.testdir(), 'lock');
  const release = await acquireLock(path);
  await t.rejects(acquireLock(path), { message: new RegExp(`\\(pid ${process.pid}, `) });
  release();
  (await acquireLock(path))();
});

await t.test('a lock that can not be read is an error, not awaited', async (t) => {
  const path = join(t.testdir({ lock: {} }), 'lock');
  await t.rejects(acquireLock(path), {
    name: 'StartError',
    message: /^the lock .* can't be read: /,
  });
});

await t.test('a lock is taken over where its owner is gone', async (t) => {
  const child = spawn('true');
  const { pid } = child;
  const identity = identifyProcess(pid!);
  await once(child, 'exit');
  const path = join(t.testdir({ lock: identity ?? `${pid} 1 ended` }), 'lock');
  await acquireLock(path);
  t.equal(readFileSync(path, 'utf8'), identifyProcess(process.pid));
});

await t.test('a lock is taken over where its pid is another process by now', async (t) => {
  const path = join(t.testdir({ lock: `${process.ppid} 1 an-earlier-boot` }), 'lock');
  await acquireLock(path);
  t.equal(readFileSync(path, 'utf8'), identifyProcess(process.pid));
});

await t.test('a lock that is another one by now is not given back', async (t) => {
  const path = join(t.testdir(), 'lock');
  const release = await acquireLock(path);
  writeFileSync(path, '1 2 3');
  release();
  t.equal(readFileSync(path, 'utf8'), '1 2 3');
});

await t.test('the end of a cleanup is waited for, and that is said once', async (t) => {
  const path = join(t.testdir(), 'lock');
  const release = await acquireLock(path, { isBrief: true });
  const waits: number[] = [];
  let isTaken = false;
  const taking = acquireLock(path, { onWait: (pid) => waits.push(pid) });
  void taking.then(() => (isTaken = true));
  await delay(200);
  t.notOk(isTaken);
  release();
  (await taking)();
  t.strictSame(waits, [process.pid]);
});

await t.test('the lock of a cleanup that was killed is taken over', async (t) => {
  const path = join(t.testdir({ lock: `${process.ppid} 1 an-earlier-boot cleanup` }), 'lock');
  (await acquireLock(path))();
});

await t.test('a cleanup leaves a mesh that runs alone', async (t) => {
  const path = join(t.testdir(), 'lock');
  const release = await acquireLock(path);
  await t.rejects(acquireLock(path, { isBrief: true }), { name: 'StartError' });
  release();
});

await t.test('of many who find a stale lock at once, one takes it over', async (t) => {
  const path = join(t.testdir({ lock: '1 1 an-earlier-boot' }), 'lock');
  const lockModule = new URL('../../../mesh/local/lock.ts', import.meta.url).href;
  const script = `
    import { acquireLock } from ${JSON.stringify(lockModule)};
    process.stdin.once('data', async () => {
      try { await acquireLock(${JSON.stringify(path)}); console.log('taken'); }
      catch { console.log('refused'); }
    });
    process.stdin.once('end', () => process.exit());
    console.log('here');`;
  const contenders = Array.from({ length: 4 }, () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      env: { PATH: process.env.PATH },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    return { child, lines: child.stdout.setEncoding('utf8') };
  });
  await Promise.all(contenders.map(({ lines }) => once(lines, 'data')));
  const answers = contenders.map(({ lines }) => once(lines, 'data'));
  for (const { child } of contenders) child.stdin.write('go');
  const said = (await Promise.all(answers)).map(([text]) => String(text).trim());
  t.strictSame(said.toSorted(), ['refused', 'refused', 'refused', 'taken']);
  for (const { child } of contenders) child.stdin.end();
});
