import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { ROOT } from '../mesh/deploy/compose-file.ts';

export interface Query {
  /** Where it is written, as people would look for it. */
  place: string;
  expression: string;
}

export interface Alert extends Query {
  name: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

interface RuleFile {
  groups: {
    rules: {
      record?: string;
      alert?: string;
      expr: string;
      labels?: Record<string, string>;
      annotations?: Record<string, string>;
    }[];
  }[];
}

interface Dashboard {
  /** A row has no queries. */
  panels: { title: string; targets?: { expr: string }[] }[];
}

const RULES = join(ROOT, 'telemetry/prometheus');
const DASHBOARDS = join(ROOT, 'telemetry/grafana/dashboards');

/** Every query of every panel. */
export function readPanels(): Query[] {
  return readdirSync(DASHBOARDS)
    .filter((file) => file.endsWith('.json'))
    .flatMap((file) => {
      const { panels } = JSON.parse(readFileSync(join(DASHBOARDS, file), 'utf8')) as Dashboard;
      return panels.flatMap(({ title, targets = [] }) =>
        targets.map(({ expr }) => ({ place: `${file}: ${title}`, expression: expr })),
      );
    });
}

/** False for panels that show only what is wrong. */
export function showsAlways({ place }: Query): boolean {
  return !/: (Findings|Findings now|Refused requests|Refused increments|Dead letters by reason)$/.test(
    place,
  );
}

/** Every recorded signal, by its name. */
export function readSignals(): Query[] {
  return readRules('signals.yaml').map(({ record = '', expr }) => ({
    place: record,
    expression: expr,
  }));
}

export function readAlerts(): Alert[] {
  return readRules('alerts.yaml').map(({ alert = '', expr, labels = {}, annotations = {} }) => ({
    place: alert,
    name: alert,
    expression: expr,
    labels,
    annotations,
  }));
}

function readRules(file: string) {
  const { groups } = parse(readFileSync(join(RULES, file), 'utf8')) as RuleFile;
  return groups.flatMap(({ rules }) => rules);
}
