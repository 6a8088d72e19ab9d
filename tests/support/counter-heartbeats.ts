import type { Test } from 'tap';
import { Value } from 'typebox/value';
import { connectToNats } from '../../nats/connect.ts';
import { HEARTBEAT_SUBJECT } from '../../nats/channel.ts';
import { Heartbeat, type CounterActivity } from '../../schema/message/heartbeat.ts';
import type { Servers } from './servers.ts';
import { until } from './until.ts';

/** What counter services report, as gateways receive it. */
export interface CounterHeartbeats {
  /** Awaits a report; of whichever counter service, one that came after the call. */
  until: (
    what: string,
    isMet: (activity: CounterActivity) => boolean,
    deadlineMs?: number,
  ) => Promise<CounterActivity>;
}

/** @throws Error for a report that is not as the schema has it. */
export async function hearCounters(t: Test, servers: Servers): Promise<CounterHeartbeats> {
  const { inspector: url } = servers.urls.nats;
  const connection = await connectToNats({ url, role: 'inspector' });
  t.teardown(() => connection.close());
  let latest: CounterActivity | undefined;
  let faults: unknown[] = [];
  connection.subscribe(`${HEARTBEAT_SUBJECT}.counter`, {
    callback: (_, message) => {
      const heartbeat: unknown = message.json();
      if (!Value.Check(Heartbeat, heartbeat)) faults = Value.Errors(Heartbeat, heartbeat);
      else if (heartbeat.name === 'counter') latest = heartbeat.activity;
    },
  });
  return {
    until: (what, isMet, deadlineMs) => {
      latest = undefined;
      const look = () => {
        if (faults.length > 0) throw new Error(JSON.stringify(faults));
        return latest;
      };
      const isSeen = (seen: CounterActivity | undefined): seen is CounterActivity =>
        seen !== undefined && isMet(seen);
      return until(what, look, isSeen, deadlineMs);
    },
  };
}
