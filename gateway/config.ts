import { Type, type Static } from 'typebox';

/** The gateway's settings, each an environment variable. The README's table is made from these. */
export const GatewayConfig = Type.Object({
  HOST: Type.String({ default: '127.0.0.1', minLength: 1, description: 'Address to listen on' }),
  PORT: Type.Integer({
    default: 3000,
    minimum: 0,
    maximum: 65_535,
    description: 'Port to listen on',
  }),
  REUSE_PORT: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: 1,
    description: '1 lets several gateways share the port (SO_REUSEPORT, not on macOS)',
  }),
  NATS_URL: Type.String({
    pattern: '^(nats|tls)://.+',
    description: "The broker, with the gateway's user and password: nats://user:password@host:4222",
  }),
  DATABASE_URL: Type.String({
    pattern: '^postgres(ql)?://.+',
    description: 'PostgreSQL for reads: postgres://mesh_gateway:password@host:5432/increments',
  }),
  PUBLISH_DEADLINE_MS: Type.Integer({
    default: 5_000,
    minimum: 100,
    maximum: 30_000,
    description: 'A request that the broker has not acknowledged in this time is answered 503',
  }),
  WAITING_MAX: Type.Integer({
    default: 20_000,
    minimum: 1,
    maximum: 1_000_000,
    description: 'Increments that may wait for the broker in one gateway; more are answered 503',
  }),
  RATE_LIMIT_MAX: Type.Integer({
    default: 6_000,
    minimum: 0,
    maximum: 1_000_000_000,
    description:
      'Requests in a window for each client, over all gateways; 0 is off (as `npm start` has it)',
  }),
  RATE_LIMIT_BATCH_MAX: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: 1_000_000_000,
    description: 'Increments in a window that a client may send by `POST /increments`; 0 is off',
  }),
  RATE_LIMIT_WINDOW_MS: Type.Integer({
    default: 60_000,
    minimum: 100,
    maximum: 86_400_000,
    description: 'Length of the rate limit windows',
  }),
  TRUST_PROXY: Type.Optional(
    Type.String({
      pattern: '^[0-9a-fA-F.:/, ]+$',
      description:
        'Addresses or networks of proxies whose X-Forwarded-For is believed; left out, none is',
    }),
  ),
  LOG_LEVEL: Type.Union(
    [
      Type.Literal('debug'),
      Type.Literal('info'),
      Type.Literal('warn'),
      Type.Literal('error'),
      Type.Literal('silent'),
    ],
    { default: 'info', description: 'debug, info, warn, error or silent' },
  ),
});
export type GatewayConfig = Static<typeof GatewayConfig>;
