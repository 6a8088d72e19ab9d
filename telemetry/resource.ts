import { randomUUID } from 'node:crypto';
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
  type Resource,
} from '@opentelemetry/resources';
import { readVersion } from '../schema/version.ts';

/**
 * What every metric and every span says of its process. An instance has an id of its own: where several
 * instances of a service send metrics, their series would else be one. The variables come first:
 * OTEL_SERVICE_NAME, then OTEL_RESOURCE_ATTRIBUTES. No owner, host or command line is in it.
 */
export function createResource(service: 'gateway' | 'counter'): Resource {
  return defaultResource()
    .merge(
      resourceFromAttributes({
        'service.name': service,
        'service.version': readVersion(),
        'service.instance.id': randomUUID(),
      }),
    )
    .merge(detectResources({ detectors: [envDetector] }));
}
