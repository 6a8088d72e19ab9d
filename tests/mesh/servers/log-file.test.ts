import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  linkSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openLogFile, openRotatedLog } from '../../../mesh/servers/log-file.ts';

await t.test('a log is appended to, and only its owner reads it', (t) => {
  const path = join(t.testdir(), 'one.log');
  for (const line of ['a\n', 'b\n']) append(path, line);
  t.equal(readFileSync(path, 'utf8'), 'a\nb\n');
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.end();
});

await t.test('a log is written again, though somebody has removed its folder', (t) => {
  const folder = join(t.testdir(), 'logs');
  append(join(folder, 'one.log'), 'a\n');
  t.equal(readFileSync(join(folder, 'one.log'), 'utf8'), 'a\n');
  t.equal(statSync(folder).mode & 0o777, 0o700);
  t.end();
});

await t.test('a log is not written through a link', (t) => {
  const folder = t.testdir({ victim: 'precious' });
  const victim = join(folder, 'victim');
  const path = join(folder, 'one.log');
  symlinkSync(victim, path);
  t.throws(() => openLogFile(path), { name: 'StartError', message: /one\.log is a link/ });
  symlinkSync(join(folder, 'absent'), join(folder, 'two.log'));
  t.throws(() => openLogFile(join(folder, 'two.log')), { name: 'StartError' });
  t.notOk(existsSync(join(folder, 'absent')));

  linkSync(victim, join(folder, 'three.log'));
  append(join(folder, 'three.log'), 'a\n');
  t.equal(readFileSync(join(folder, 'three.log'), 'utf8'), 'a\n');
  t.equal(readFileSync(victim, 'utf8'), 'precious', 'nor through another name');
  t.end();
});

await t.test('a named pipe in the place of a log is refused, not waited for', (t) => {
  const path = join(t.testdir(), 'one.log');
  execFileSync('mkfifo', [path]);
  t.throws(() => openLogFile(path), { name: 'StartError' });
  t.end();
});

await t.test('a log that is too large is set aside', (t) => {
  const path = join(t.testdir(), 'one.log');
  writeFileSync(path, Buffer.alloc(10 * 1024 * 1024 + 1));
  append(path, 'a\n');
  t.equal(readFileSync(path, 'utf8'), 'a\n');
  t.equal(statSync(`${path}.1`).size, 10 * 1024 * 1024 + 1);
  t.end();
});

await t.test(
  'a log that is written is set aside when it is full, and has three files at most',
  (t) => {
    const folder = t.testdir();
    const log = openRotatedLog(join(folder, 'one.log'), 1_000);
    const kept = () =>
      ['one.log.2', 'one.log.1', 'one.log']
        .filter((name) => existsSync(join(folder, name)))
        .flatMap((name) => readFileSync(join(folder, name), 'utf8').trimEnd().split('\n'));
    const lines = Array.from({ length: 100 }, (_, index) => `${index}`.padEnd(99, '.'));
    for (const [index, line] of lines.entries()) {
      log.write(line);
      t.strictSame(kept(), lines.slice(index + 1 - kept().length, index + 1), 'without a gap');
    }
    log.close();
    t.strictSame(readdirSync(folder).toSorted(), ['one.log', 'one.log.1', 'one.log.2']);
    for (const name of readdirSync(folder)) t.ok(statSync(join(folder, name)).size <= 1_100, name);
    t.end();
  },
);

function append(path: string, line: string): void {
  const log = openLogFile(path);
  writeSync(log, line);
  closeSync(log);
}
