import { join } from 'node:path';
import t from 'tap';
import { runProgram } from '../../mesh/servers/run-program.ts';
import { ROOT } from '../mesh/deploy/compose-file.ts';
import { findDebianProgram } from './debian-program.ts';

const promtool = await findDebianProgram('promtool', 'usr/bin/promtool');
const cwd = join(ROOT, 'telemetry/prometheus');
// By default it collects garbage for a third of its time.
const env = { ...process.env, GOGC: '800' };

for (const args of [
  ['check', 'config', 'prometheus.yaml'],
  ['check', 'rules', 'signals.yaml', 'alerts.yaml'],
  ['test', 'rules', 'alerts.test.yaml', 'alerts-for-hours.test.yaml'],
]) {
  await t.resolves(
    runProgram(promtool, args, { cwd, env, timeoutMs: 60_000 }),
    `promtool ${args.join(' ')}`,
  );
}
