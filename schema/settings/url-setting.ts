import { Type, type TString } from 'typebox';
import { ConfigurationError } from './environment.ts';

/** The most frequent mistakes in a URL with a password. */
const RULES =
  'a port is at most 65535, and in user and password , / ? # @ % are written as %2C %2F %3F %23 %40 %25';

/**
 * A setting that is a URL.
 *
 * @param parse throws if the URL can't be read, with a message that never has a password.
 */
export function urlSetting(
  options: { pattern: string; description: string },
  parse: (url: string) => unknown,
): TString {
  const findFault = (url: string): string | undefined => {
    try {
      parse(url);
      return undefined;
    } catch (error) {
      if (error instanceof ConfigurationError) return error.problems.join('; ');
      const { code, message } = error as NodeJS.ErrnoException;
      return code === 'ENOENT' ? message : `${message}; ${RULES}`;
    }
  };
  return Type.Refine(
    Type.String(options),
    (url) => findFault(url) === undefined,
    (url) => findFault(url) ?? '',
  );
}
