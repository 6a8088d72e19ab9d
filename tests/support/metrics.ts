import { Agent } from 'node:http';
import { send } from './load.ts';

/**
 * A connection for each request: the port for metrics closes one that was idle for 5 s, and a service that
 * is late does so without having read what has come meanwhile. Prometheus asks again then.
 */
const agent = new Agent({ keepAlive: false });

export interface Sample {
  name: string;
  labels: string;
  value: number;
}

/** Reads a service's metrics in the text format of Prometheus. */
export async function readMetrics(url: string): Promise<Sample[]> {
  const { body } = await send(url, { agent });
  return body
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name = '', labels = '', value = ''] =
        /^([^{ ]+)(?:\{(.*)\})? ([^ ]+)/.exec(line) ?? [];
      return { name, labels, value: Number(value) };
    });
}

/** The sum of all samples of a metric. */
export function sumSamples(samples: Sample[], name: string): number {
  return samples.reduce((sum, sample) => sum + (sample.name === name ? sample.value : 0), 0);
}

/** How many observations of a histogram were above a bucket's bound, of how many. */
export function countAbove(
  samples: Sample[],
  name: string,
  bound: number,
): { above: number; all: number } {
  let all = 0;
  let within = 0;
  for (const { name: found, labels, value } of samples) {
    if (found === `${name}_count`) all += value;
    const limit = /le="([^"]+)"/.exec(labels)?.[1];
    if (found === `${name}_bucket` && Number(limit) === bound) within += value;
  }
  return { above: all - within, all };
}
