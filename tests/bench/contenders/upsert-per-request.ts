import pg from 'pg';
import { serve } from './front.ts';

/** No queue at all: each increment is a transaction of its own, prepared once a connection. */
const CONNECTIONS_MAX = 20;
const UPSERT = {
  name: 'upsert',
  text: `insert into increments (key, value) values ($1, $2)
    on conflict (key) do update
    set value = increments.value + excluded.value, updated_at = excluded.updated_at`,
};

const id = '019a0000-0000-7000-8000-000000000000';
let sequence = 0;
const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'], max: CONNECTIONS_MAX });

await serve(async ({ key, value }) => {
  await pool.query({ ...UPSERT, values: [key, String(value)] });
  return { accepted: 1, id, sequence: ++sequence };
});
