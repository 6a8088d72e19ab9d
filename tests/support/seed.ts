const given = process.env['SEED'];

/** What decides wherever a test draws at random: `SEED=123456 npm test` draws the same once more. */
export const SEED = Number(given ?? Date.now() % 1_000_000);

if (given === undefined) process.stderr.write(`seed ${SEED}\n`);
