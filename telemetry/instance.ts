import { readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { Type } from 'typebox';

/** How a service is called where people read of it. */
export const InstanceNameSetting = {
  INSTANCE_NAME: Type.Optional(
    Type.String({
      maxLength: 64,
      description:
        'What its log is called, by which consoles and `status` name it; by default the name of its host, ' +
        'which is that of its container or pod',
    }),
  ),
};

/** Where this process can be found. */
export interface Instance {
  pid: number;
  host: string;
  instance: string;
  /** Process ids mean something only within it; undefined where the system has none. */
  pid_namespace?: string;
}

export function readInstance(name: string | undefined): Instance {
  const host = hostname();
  const namespace = readPidNamespace();
  return {
    pid: process.pid,
    host,
    instance: name ?? host,
    ...(namespace !== undefined && { pid_namespace: namespace }),
  };
}

function readPidNamespace(): string | undefined {
  try {
    return readlinkSync('/proc/self/ns/pid').slice(0, 64);
  } catch {
    return undefined;
  }
}
