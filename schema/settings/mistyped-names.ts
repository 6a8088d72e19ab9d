import type { TObject } from 'typebox';

/** Short names have many neighbours that mean something else. */
const LONG = 8;

/**
 * Says which variables look like a setting that is not set, such as `GATEWAY` for `GATEWAYS`. They are only
 * said, since the environment is shared with other programs.
 *
 * @returns a line for each.
 */
export function findMistypedNames(schema: TObject, environment: NodeJS.ProcessEnv): string[] {
  const settings = Object.keys(schema.properties);
  const unset = settings.filter((name) => !environment[name]);
  return Object.keys(environment).flatMap((name) => {
    if (settings.includes(name)) return [];
    const meant = unset.find((setting) => isNear(name.toUpperCase(), setting));
    return meant === undefined ? [] : [`${name} is set, which is no setting: ${meant} is one`];
  });
}

function isNear(name: string, setting: string): boolean {
  if (`${name}_MS` === setting) return true;
  // Few mistype the first letter, and SSL_CERT_FILE is not TLS_CERT_FILE.
  if (name[0] !== setting[0]) return false;
  const most = setting.length < LONG ? 1 : 2;
  return Math.abs(name.length - setting.length) <= most && countEdits(name, setting) <= most;
}

/** How many letters to insert, leave out, change or exchange with the next one. */
function countEdits(from: string, to: string): number {
  const rows = [Array.from({ length: to.length + 1 }, (_, column) => column)];
  const at = (row: number, column: number) => rows[row]![column]!;
  for (let row = 1; row <= from.length; row += 1) {
    const edits = [row];
    rows.push(edits);
    for (let column = 1; column <= to.length; column += 1) {
      const isSame = from[row - 1] === to[column - 1];
      const isExchanged =
        row > 1 &&
        column > 1 &&
        from[row - 1] === to[column - 2] &&
        from[row - 2] === to[column - 1];
      edits[column] = Math.min(
        at(row - 1, column) + 1,
        at(row, column - 1) + 1,
        at(row - 1, column - 1) + (isSame ? 0 : 1),
        isExchanged ? at(row - 2, column - 2) + 1 : Infinity,
      );
    }
  }
  return at(from.length, to.length);
}
