import { fileURLToPath } from 'node:url';
import { LONGEST } from './longest-first.ts';
import type { TestProcess } from './run-test-process.ts';

const TOGETHER = fileURLToPath(new URL('run-together.ts', import.meta.url));

/**
 * Which files share a process: the unit tests, and the short ones of a room. To load what nearly every
 * test needs takes three quarters of a second of a core.
 */
export function shareProcesses(files: string[]): TestProcess[] {
  const groups = Map.groupBy(files, (file) => {
    if (isUnitTest(file)) return 'the unit tests';
    return LONGEST.includes(file) ? file : file.split('/').slice(0, 2).join('/');
  });
  return [...groups].map(([name, group]) => {
    const [first = ''] = group;
    if (group.length === 1) return { name: first, args: [first], files: 1 };
    return {
      name: `${name} (${group.length} files)`,
      args: [TOGETHER, ...group],
      files: group.length,
    };
  });
}

export function isUnitTest(file: string): boolean {
  return file.endsWith('.unit.test.ts');
}
