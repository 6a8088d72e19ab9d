import { spawnSync } from 'node:child_process';
import {
  cpSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { readComposeFile, ROOT } from './compose-file.ts';

// What the image has, as a folder: a program that needs more fails at its first import.

const compose = readComposeFile();

await t.test('every program of the image finds all that it imports there', (t) => {
  // Beside the packages, so that their files need not be copied.
  mkdirSync(join(ROOT, '.cache'), { recursive: true });
  const image = mkdtempSync(join(ROOT, '.cache/image-'));
  t.teardown(() => rmSync(image, { recursive: true, force: true }));
  const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
  for (const [, from = ''] of dockerfile.matchAll(
    /^COPY (?!--from)(?:--chmod=\d+ )?(\S+) \.\/\S*$/gm,
  )) {
    cpSync(join(ROOT, from), join(image, from), { recursive: true });
  }
  for (const path of productionPackages()) {
    linkFiles(join(ROOT, path), join(image, path));
  }

  const programs = Object.entries(compose.services).filter(
    ([, { image }]) => image === compose.name,
  );
  t.same(
    programs.map(([name]) => name),
    ['secrets', 'prepare', 'gateway', 'counter'],
  );
  for (const [name, { command = [] }] of programs) {
    const args = command.slice(1).filter((argument) => !argument.startsWith('--env-file'));
    // A setting that no program takes: it says so, which is after its imports and before its work.
    const environment = { NATS_SERVERS: '?', NATS_URL: '' };
    const ended = spawnSync(process.execPath, args, {
      cwd: image,
      env: environment,
      encoding: 'utf8',
    });
    t.equal(ended.status, 1, name);
    t.match(ended.stderr, /NATS_(SERVERS|URL)/, `${name} reads its settings`);
    t.notMatch(ended.stderr, /ERR_MODULE_NOT_FOUND/, name);
  }
  t.end();
});

function linkFiles(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    // Those in there are packages of their own.
    if (entry.name === 'node_modules') continue;
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) linkFiles(source, target);
    else linkSync(source, target);
  }
}

/** Those of `npm ci --omit=dev --omit=optional`. */
function productionPackages(): string[] {
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: true; optional?: true; devOptional?: true }>;
  };
  return Object.entries(lock.packages)
    .filter(([path, { dev, optional, devOptional }]) => path && !dev && !optional && !devOptional)
    .map(([path]) => path);
}
