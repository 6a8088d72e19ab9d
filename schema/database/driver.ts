import pg from 'pg';

/*
 * The client library takes what it is not given from PG… variables, which the shell has for other databases,
 * and a password from ~/.pgpass. Only this file makes its clients: nothing reaches them that is not in a URL.
 */
for (const name of Object.keys(process.env)) if (name.startsWith('PG')) delete process.env[name];

/** Everything that a client needs, since nothing else is taken. */
export type ClientOptions = pg.ClientConfig & {
  host: string;
  port: number;
  database: string;
  user: string;
  password: string | undefined;
  ssl: NonNullable<pg.ClientConfig['ssl']> | false;
};

/**
 * The class of a pool's clients.
 *
 * @param read called for each new connection, so that certificates may change meanwhile.
 */
export function clientClass(read: () => ClientOptions): typeof pg.Client {
  return class extends pg.Client {
    constructor(pooled: pg.ClientConfig) {
      const { password, ...options } = read();
      super({ ...pooled, ...options, password: password ?? refuseToLogIn });
    }
  };
}

function refuseToLogIn(): never {
  throw new Error('the server asks for a password, and DATABASE_URL has none');
}
