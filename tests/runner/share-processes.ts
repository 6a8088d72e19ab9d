import { fileURLToPath } from 'node:url';
import type { TestProcess } from './run-test-process.ts';

const TOGETHER = fileURLToPath(new URL('run-together.ts', import.meta.url));

/**
 * Unit tests share a process: to load what nearly every test needs takes three quarters of a second of a
 * core. A test with servers has its own, so that one that breaks takes no other with it.
 */
export function shareProcesses(files: string[]): TestProcess[] {
  const groups = Map.groupBy(files, (file) => (isUnitTest(file) ? 'the unit tests' : file));
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
