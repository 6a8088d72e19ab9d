import { watch, type FSWatcher } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Supervised } from './supervisor.ts';

type Services = Record<'gateways' | 'counters', Supervised[]>;
type Kind = keyof Services;

/** Which services a change in each folder restarts. A change in `mesh/` needs a new start. */
const FOLDERS: Record<string, Kind[]> = {
  gateway: ['gateways'],
  counter: ['counters'],
  nats: ['gateways', 'counters'],
  schema: ['gateways', 'counters'],
  telemetry: ['gateways', 'counters'],
};

/** Files that change within this time are one change: an editor that saves all, a change of branch. */
const SETTLE_MS = 200;

/** Restarts services whose source has changed, gracefully and one at a time, so that others serve. */
export function restartOnChange(
  services: Services,
  say: (line: string) => void,
  options = { project: fileURLToPath(new URL('../..', import.meta.url)) },
): FSWatcher[] {
  const due = new Set<Kind>();
  let timer: NodeJS.Timeout | undefined;
  let isBusy = false;

  say(`watching ${Object.keys(FOLDERS).join(', ')} for changes`);
  return Object.entries(FOLDERS).map(([folder, kinds]) =>
    watch(join(options.project, folder), { recursive: true }, (_, file) => {
      if (!/\.(ts|html|css|js)$/.test(file ?? '')) return;
      for (const kind of kinds) due.add(kind);
      clearTimeout(timer);
      timer = setTimeout(() => void restartDue(), SETTLE_MS);
    }),
  );

  async function restartDue(): Promise<void> {
    // The round that runs takes up what changes meanwhile.
    if (isBusy) return;
    isBusy = true;
    let isBroken = false;
    while (due.size > 0 && !isBroken) {
      const kinds = [...due];
      due.clear();
      isBroken = !(await restartAll(kinds));
      // Services that still have the old code get the change that repairs it.
      if (isBroken) for (const kind of kinds) due.add(kind);
    }
    isBusy = false;
  }

  /** Stops at the first that does not start, so that the others go on serving with the old code. */
  async function restartAll(kinds: Kind[]): Promise<boolean> {
    for (const service of kinds.flatMap((kind) => services[kind])) {
      say(`${service.program.name} restarts: its source changed`);
      try {
        await service.restart();
      } catch {
        say(
          `${service.program.name} does not start with this change: the other services keep the old code`,
        );
        return false;
      }
    }
    return true;
  }
}
