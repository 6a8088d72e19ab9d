import t from 'tap';
import { Type } from 'typebox';
import { readEnvironment } from '../../../schema/settings/environment.ts';
import { problemsOf } from './problems-of.ts';

const Config = Type.Object({
  COUNT: Type.Integer({ default: 5, minimum: 1, maximum: 100, description: 'How many' }),
  NAME: Type.String({ minLength: 1, description: 'Its name' }),
  COLOR: Type.Optional(Type.Union([Type.Literal('red'), Type.Literal('blue')])),
  ACCESS_TOKEN: Type.Optional(Type.String({ pattern: '^[a-z]+$', description: 'A token' })),
});
const NAMED = { NAME: 'x' };

void t.test('what is not given, or empty, takes its default', (t) => {
  t.strictSame(readEnvironment(Config, NAMED), { COUNT: 5, NAME: 'x' });
  const empty = { ...NAMED, COUNT: '', COLOR: '' };
  t.strictSame(readEnvironment(Config, empty), { COUNT: 5, NAME: 'x' });
  t.end();
});

void t.test('a number is read where it is plain digits within its bounds', (t) => {
  const numbers = { '1': 1, '100': 100, '007': 7 };
  for (const [text, value] of Object.entries(numbers)) {
    t.equal(readEnvironment(Config, { ...NAMED, COUNT: text }).COUNT, value, text);
  }
  for (const text of ['0', '101', '-1', '10s', '1e3', ' 5', '5 ', '5.0', '0x5', '1'.repeat(16)]) {
    const problem = `COUNT is "${text}", and must be an integer from 1 to 100. How many`;
    t.strictSame(
      problemsOf(() => readEnvironment(Config, { ...NAMED, COUNT: text })),
      [problem],
    );
  }
  t.end();
});

void t.test('every problem is shown at once, and no secret', (t) => {
  const environment = { COUNT: 'many', COLOR: 'green', ACCESS_TOKEN: 'S3CRET' };
  const problems = problemsOf(() => readEnvironment(Config, environment));
  t.match(problems, [
    /^COUNT is "many", and must be /,
    /^NAME is not set. Its name$/,
    /^COLOR is "green". /,
    /^ACCESS_TOKEN is not understood. A token$/,
  ]);
  t.equal(problems.length, 4);
  t.end();
});

void t.test('variables of other programs are left alone', (t) => {
  const environment = { ...NAMED, COUNTS: 'many', PATH: '/bin' };
  t.strictSame(readEnvironment(Config, environment), { COUNT: 5, NAME: 'x' });
  t.end();
});
