import { writeFileSync } from 'node:fs';
import { StartError } from '../../mesh/servers/start-error.ts';
import { bulk } from './bulk.ts';
import { contenders } from './contenders.ts';
import { counters } from './counters.ts';
import { drain } from './drain.ts';
import { flush } from './flush.ts';
import type { Benchmark } from './harness/benchmark.ts';
import { WrongSums } from './harness/contender.ts';
import { checkLoadGenerator, LoadFailed, NoLoadGenerator } from './harness/load.ts';
import { describeMachine, formatMachine } from './harness/machine.ts';
import { closeScopesOnSignals } from './harness/scope.ts';
import { PAGES, writeDocs } from './harness/write-docs.ts';
import { hotKey } from './hot-key.ts';
import { idempotency } from './idempotency.ts';
import { idle } from './idle.ts';
import { memory } from './memory.ts';
import { metricsAndLimit } from './metrics-and-limit.ts';
import { oneAtATime } from './one-at-a-time.ts';
import { readOptions, USAGE, WrongArguments } from './options.ts';
import { replicas } from './replicas.ts';
import { soak } from './soak.ts';
import { tableSize } from './table-size.ts';

const BENCHMARKS: Record<string, Benchmark> = {
  contenders,
  bulk,
  counters,
  drain,
  flush,
  'hot-key': hotKey,
  idempotency,
  idle,
  memory,
  'metrics-and-limit': metricsAndLimit,
  'one-at-a-time': oneAtATime,
  replicas,
  soak,
  'table-size': tableSize,
};

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  const benchmark = BENCHMARKS[options.name];
  if (benchmark === undefined) throw new WrongArguments(`there is no benchmark ${options.name}`);
  await checkLoadGenerator();
  closeScopesOnSignals();

  const machine = await describeMachine();
  process.stdout.write(`${benchmark.about}\n${formatMachine(machine)}\n\n`);
  const say = (line: string) => void process.stderr.write(`${line}\n`);
  const { report, figures, docs, isIncomplete } = await benchmark.run(options, say);
  process.stdout.write(`\n${report}\n`);
  if (options.json !== undefined) {
    const all = { benchmark: options.name, options, machine, figures };
    writeFileSync(options.json, `${JSON.stringify(all, null, 2)}\n`);
  }
  if (isIncomplete === true) process.exitCode = 1;
  if (!options.writeDocs || docs === undefined) return;
  if (isIncomplete === true) say(`${PAGES.join(' and ')} are unchanged: figures are missing`);
  else writeDocs(docs, machine, options);
}

main().catch((error: unknown) => {
  process.stderr.write(`${explain(error)}\n`);
  process.exitCode = 1;
});

/** What its user can change, or what the measurement found, is said without a stack. */
function explain(error: unknown): string {
  if (error instanceof WrongSums || error instanceof LoadFailed) {
    return `no figures, since the sums are not exact: ${error.message}`;
  }
  if (error instanceof NoLoadGenerator || error instanceof StartError) return error.message;
  if (error instanceof WrongArguments) {
    const names = Object.entries(BENCHMARKS).map(([name, { about }]) => `  ${name}: ${about}`);
    return `${error.message}\n\n${USAGE}\n\nBenchmarks:\n${names.join('\n')}`;
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
