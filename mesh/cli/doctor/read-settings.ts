import { Type, type TSchema } from 'typebox';
import { CounterConfig } from '../../../counter/config.ts';
import { GatewayConfig } from '../../../gateway/config.ts';
import { ConfigurationError, readEnvironment } from '../../../schema/settings/environment.ts';
import { findMistypedNames } from '../../../schema/settings/mistyped-names.ts';
import { TelemetrySettings } from '../../../telemetry/settings.ts';
import { MeshSettings } from '../../local/config.ts';

export interface Settings {
  /** Those that are set and are not as by default. */
  changed: { name: string; value: string }[];
  /** What would be refused at a start, and names that look mistyped. */
  problems: string[];
}

/** Of all parts of a mesh; those of several parts are the same. */
const ALL = {
  ...GatewayConfig.properties,
  ...CounterConfig.properties,
  ...TelemetrySettings.properties,
  ...MeshSettings.properties,
};

/** The settings of this shell, which npm start would take. Their secrets are for the report's mask to hide. */
export function readSettings(environment: NodeJS.ProcessEnv): Settings {
  const changed: Settings['changed'] = [];
  const problems = findMistypedNames(Type.Object(ALL), environment);
  for (const [name, property] of Object.entries<TSchema>(ALL)) {
    const text = environment[name];
    if (text === undefined || text === '') continue;
    const fallback = (property as { default?: unknown }).default;
    if (String(fallback) !== text) changed.push({ name, value: text });
    try {
      readEnvironment(Type.Object({ [name]: property }), environment);
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      problems.push(...error.problems);
    }
  }
  return { changed, problems };
}
