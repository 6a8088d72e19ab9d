import { printable } from '../local/printable.ts';
import { EXIT, type Command, type ExitCode } from './command.ts';
import { checkBroker } from './doctor/check-broker.ts';
import { checkDatabase } from './doctor/check-database.ts';
import { describeReport, type Report } from './doctor/describe-report.ts';
import { readKnownSecrets } from './doctor/known-secrets.ts';
import { createMask, maskAll } from './doctor/mask-secrets.ts';
import { readClocks } from './doctor/read-clocks.ts';
import { readFindings } from './doctor/read-findings.ts';
import { readLogEnds } from './doctor/read-log-ends.ts';
import { readSettings } from './doctor/read-settings.ts';
import { readSystem } from './doctor/read-system.ts';
import { isMissing, within } from './doctor/within.ts';

/** All parts are read at once, so the slowest decides: ten seconds for all of it. */
const PART_MS_MAX = 5_000;
/** It asks one thing after the other. */
const STATUS_MS_MAX = 8_500;

/** `doctor` */
export const doctor: Command = {
  name: 'doctor',
  synopsis: '',
  summary: 'Looks at everything and makes one report, to paste into an issue',
  help: `
Versions and room of this machine; the settings of this shell that are not as by default; what keeps
the brokers and the database from being used, as provisioning looks at them, as the owner and as each
role whose URL or password is known; the difference of the clocks; what status finds; the last warnings
and errors of each log of the data folder, of the same ones the last.

It changes nothing. Passwords, tokens, API keys and private keys are masked, also in log lines; names
of machines, users, databases and files are not. Each part has a time limit, and says if it has no
answer: all of it takes ten seconds at most.

It exits with 0 if all is well, with 1 if something is wrong, and with 3 if the broker does not
answer.`,
  run: async ({ servers, terminal: { environment }, print }) => {
    const { dataDir } = servers.addresses;
    const secrets = readKnownSecrets(dataDir, environment);
    const [system, settings, broker, database, clocks, status, logs] = await Promise.all([
      within(PART_MS_MAX, () => readSystem(dataDir)),
      within(PART_MS_MAX, () => readSettings(environment)),
      within(PART_MS_MAX, () => checkBroker(servers, environment)),
      within(PART_MS_MAX, () => checkDatabase(servers, { environment, secrets })),
      within(PART_MS_MAX, () => readClocks(servers, PART_MS_MAX - 500)),
      within(STATUS_MS_MAX, () => readFindings(servers)),
      within(PART_MS_MAX, () => ({ ends: readLogEnds(dataDir) })),
    ]);
    const at = new Date().toISOString();
    const found = { at, system, settings, broker, database, clocks, status, logs };
    const mask = createMask(secrets.all);
    const report = maskAll(found, (text) => printable(mask(text)));
    print(report, () => describeReport(report));
    return judge(report);
  },
};

/** As `status` does, and for what only this report has. */
function judge({ broker, database, clocks, settings, status }: Report): ExitCode {
  if (isMissing(broker) || isMissing(status) || status.isBrokerAway) return EXIT.noAnswer;
  const problems = [broker, database, clocks, settings].flatMap((part) =>
    isMissing(part) ? [part.missing] : part.problems,
  );
  return problems.length + status.findings.length === 0 ? EXIT.fine : EXIT.bad;
}
