import { readVersion } from '../../schema/version.ts';
import { EXIT, type Command } from './command.ts';

/** `version` */
export const version: Command = {
  name: 'version',
  synopsis: '',
  summary: 'Shows the version of increment-mesh',
  help: `
The version of the code in this folder, as package.json has it. Services that run may be of
another one: npm run mesh -- status shows theirs.`,
  run: ({ print }) => {
    const version = readVersion();
    print({ version }, () => version);
    return EXIT.fine;
  },
};
