import { join } from 'node:path';
import t from 'tap';
import { runProgram } from '../../mesh/servers/run-program.ts';
import { ROOT } from '../mesh/deploy/compose-file.ts';
import { findDebianProgram } from './debian-program.ts';

const promtool = await findDebianProgram('promtool', 'usr/bin/promtool');
const cwd = join(ROOT, 'telemetry/prometheus');

for (const args of [
  ['check', 'config', 'prometheus.yaml'],
  ['check', 'rules', 'signals.yaml', 'alerts.yaml'],
  ['test', 'rules', 'alerts.test.yaml'],
]) {
  await t.resolves(
    runProgram(promtool, args, { cwd, timeoutMs: 60_000 }),
    `promtool ${args.join(' ')}`,
  );
}
