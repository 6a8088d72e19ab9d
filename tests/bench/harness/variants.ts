import { choose, measureOptions, type Benchmark } from './benchmark.ts';
import type { LoadShape } from './load.ts';
import { measure } from './measure.ts';
import { meshContender, type MeshOptions } from './mesh.ts';
import { outcomeOf } from './report-runs.ts';

export interface Variant extends Partial<MeshOptions> {
  name: string;
  about: string;
  load?: Partial<LoadShape>;
}

/** A benchmark of the mesh against itself. The first variant is the measure for the others. */
export function compareVariants(about: string, variants: Variant[]): Benchmark {
  return {
    about,
    run: async (options, say) => {
      const { gateways, counters } = options;
      const meshes = choose(variants, options, ({ name }) => name).map(
        ({ name, about, ...variant }) =>
          meshContender(name, about, { gateways, counters, ...variant }),
      );
      return outcomeOf(await measure(meshes, measureOptions(options, say)));
    },
  };
}
