import { acceptLoss } from './accept-loss.ts';
import { audit } from './audit.ts';
import { clear } from './clear.ts';
import type { Command } from './command.ts';
import { listDeadLetters } from './dead-letters/list.ts';
import { purgeDeadLetters } from './dead-letters/purge.ts';
import { replayDeadLetter } from './dead-letters/replay.ts';
import { showDeadLetter } from './dead-letters/show.ts';
import { doctor } from './doctor.ts';
import { exportCommand } from './export.ts';
import { importCommand } from './import.ts';
import { addKey, listKeys, revokeKey } from './keys.ts';
import { logs } from './logs.ts';
import { natsContextCommand } from './nats-context.ts';
import { replicas } from './replicas.ts';
import { rotateKey } from './rotate-key.ts';
import { sqlCommand } from './sql.ts';
import { status } from './status.ts';
import { up } from './up.ts';
import { version } from './version.ts';

/** Every command, in the order of the overview. */
export const COMMANDS: Command[] = [
  up,
  status,
  logs,
  doctor,
  audit,
  acceptLoss,
  listDeadLetters,
  showDeadLetter,
  replayDeadLetter,
  purgeDeadLetters,
  clear,
  exportCommand,
  importCommand,
  addKey,
  rotateKey,
  listKeys,
  revokeKey,
  replicas,
  natsContextCommand,
  sqlCommand,
  version,
];
