import { compareVariants } from './harness/variants.ts';

const NO_METRICS = { OTEL_METRICS_EXPORTER: 'none' };
const NO_LIMIT = { RATE_LIMIT_MAX: '0' };

/** What it costs to watch and to limit clients. Without metrics there is no staleness to show. */
export const metricsAndLimit = compareVariants('the mesh with metrics and rate limit on and off', [
  { name: 'both', about: 'metrics and rate limit on' },
  {
    name: 'no-metrics',
    about: 'rate limit on',
    gatewayEnvironment: NO_METRICS,
    counterEnvironment: NO_METRICS,
  },
  { name: 'no-limit', about: 'metrics on', gatewayEnvironment: NO_LIMIT },
  {
    name: 'neither',
    about: 'both off',
    gatewayEnvironment: { ...NO_METRICS, ...NO_LIMIT },
    counterEnvironment: NO_METRICS,
  },
]);
