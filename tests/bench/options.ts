import { parseArgs } from 'node:util';

export interface BenchOptions {
  /** Which benchmark; the comparison where none is named. */
  name: string;
  seconds: number;
  rounds: number;
  warmupSeconds: number;
  /** One count after the other. Only the comparison takes several; the others take the first. */
  connections: number[];
  keys: number;
  gateways: number;
  counters: number;
  /** Requests per second; as fast as possible where it is not given. */
  rate: number | undefined;
  minutes: number;
  messages: number;
  /** Contenders by name; all where it is empty. */
  only: string[];
  json: string | undefined;
  /** Whether the comparison goes into README.md and docs/benchmarks.md. */
  writeDocs: boolean;
  profileFolder: string | undefined;
}

/** Raised for arguments that are not understood. */
export class WrongArguments extends Error {
  override readonly name = 'WrongArguments';
}

export const USAGE = `npm run bench -- [benchmark] [options]

  --seconds 20          of load in each run
  --rounds 3            of all contenders in turn
  --warmup 3            seconds of load before each run
  --connections 64,256  of the load generator, one after the other; only contenders takes several,
                        the other benchmarks take the first
  --keys 1000           that the load goes to
  --gateways 1          of the mesh
  --counters 1
  --rate N              requests per second; as fast as possible without it
  --minutes 10          of the soak
  --messages 20000      of 100 increments that are drained
  --only a,b            only these contenders, or these sizes
  --json FILE           everything that was measured
  --write-docs          puts the tables of contenders into README.md and docs/benchmarks.md
  --profile FOLDER      CPU profiles of our programs`;

/** @throws WrongArguments */
export function readOptions(args: string[]): BenchOptions {
  const { values, positionals } = parse(args);
  const [name = 'contenders', ...others] = positionals;
  if (others.length > 0) throw new WrongArguments(`one benchmark at a time: ${others.join(' ')}`);
  if (values['write-docs'] && (name !== 'contenders' || values.only !== '' || values.rate)) {
    throw new WrongArguments('--write-docs is for contenders without --only and without --rate');
  }
  return {
    name,
    seconds: readCount('seconds', values.seconds),
    rounds: readCount('rounds', values.rounds),
    warmupSeconds: readCount('warmup', values.warmup),
    connections: values.connections.split(',').map((text) => readCount('connections', text)),
    keys: readCount('keys', values.keys),
    gateways: readCount('gateways', values.gateways),
    counters: readCount('counters', values.counters),
    rate: values.rate === undefined ? undefined : readCount('rate', values.rate),
    minutes: readCount('minutes', values.minutes),
    messages: readCount('messages', values.messages),
    only: values.only === '' ? [] : values.only.split(','),
    json: values.json,
    writeDocs: values['write-docs'],
    profileFolder: values.profile,
  };
}

function parse(args: string[]) {
  const text = (fallback: string) => ({ type: 'string', default: fallback }) as const;
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        seconds: text('20'),
        rounds: text('3'),
        warmup: text('3'),
        connections: text('64,256'),
        keys: text('1000'),
        gateways: text('1'),
        counters: text('1'),
        minutes: text('10'),
        messages: text('20000'),
        only: text(''),
        rate: { type: 'string' },
        json: { type: 'string' },
        'write-docs': { type: 'boolean', default: false },
        profile: { type: 'string' },
      },
    });
  } catch (error) {
    throw new WrongArguments((error as Error).message, { cause: error });
  }
}

function readCount(name: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new WrongArguments(`--${name} takes a whole number, not ${text}`);
}
