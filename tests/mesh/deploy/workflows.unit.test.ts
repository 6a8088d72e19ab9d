import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { ROOT } from './compose-file.ts';

interface Workflow {
  permissions?: unknown;
  jobs: Record<string, { permissions?: unknown; steps: Step[] }>;
}

interface Step {
  uses?: string;
  with?: Record<string, unknown>;
}

const FOLDER = join(ROOT, '.github/workflows');
const workflows = readdirSync(FOLDER).map((name) => {
  const text = readFileSync(join(FOLDER, name), 'utf8');
  return { name, text, ...(parse(text) as Workflow) };
});

void t.test('every action is pinned to a commit, with its version beside it', (t) => {
  const uses = workflows.flatMap(({ text }) => text.match(/^.*\buses:.*$/gm) ?? []);
  t.ok(uses.length > 2);
  for (const line of uses) t.match(line, /uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  t.end();
});

void t.test('no workflow may write, and none leaves its token in the checkout', (t) => {
  for (const { name, permissions, jobs } of workflows) {
    t.same(permissions, { contents: 'read' }, name);
    for (const [job, { permissions: own, steps }] of Object.entries(jobs)) {
      t.equal(own, undefined, `${name}: ${job} has no more`);
      for (const { uses, with: options } of steps) {
        if (!uses?.startsWith('actions/checkout@')) continue;
        t.equal(options?.['persist-credentials'], false, `${name}: ${job}`);
      }
    }
  }
  t.end();
});

void t.test('the bot renews what is pinned', (t) => {
  const bot = JSON.parse(readFileSync(join(ROOT, '.github/renovate.json'), 'utf8')) as {
    customManagers: { managerFilePatterns: string[]; matchStrings: string[] }[];
  };
  for (const { managerFilePatterns, matchStrings } of bot.customManagers) {
    for (const pattern of managerFilePatterns) {
      // `/^path$/`
      const file = pattern.replaceAll(/^\/\^|\$\/$|\\/g, '');
      const text = readFileSync(join(ROOT, file), 'utf8');
      for (const match of matchStrings) t.match(text, new RegExp(match), file);
    }
  }
  const { dependencies, devDependencies, optionalDependencies } = JSON.parse(
    readFileSync(join(ROOT, 'package.json'), 'utf8'),
  ) as Record<string, Record<string, string>>;
  const versions = { ...dependencies, ...devDependencies, ...optionalDependencies };
  for (const [name, version] of Object.entries(versions)) t.match(version, /^\d/, name);
  t.end();
});
