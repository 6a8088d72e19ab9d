import { Type } from 'typebox';

const oneOf = <Text extends string>(...texts: Text[]) => Type.Enum(texts, { type: 'string' });

const Finding = Type.Object(
  {
    name: Type.String(),
    level: oneOf('bad', 'warning'),
    cause: Type.String(),
    effect: Type.String(),
    next: Type.String(),
    runbook: Type.String(),
  },
  {
    title: 'Finding',
    description:
      'What is wrong, what follows, and what to do. What was observed is in the console and in `status`, for those who may see it.',
  },
);

export const Liveness = Type.Object(
  { status: Type.Literal('ok') },
  { title: 'Liveness', description: 'The process answers.', examples: [{ status: 'ok' }] },
);

const state = {
  status: oneOf('ready', 'not ready', 'stopping'),
  broker: oneOf('connected', 'silent', 'away'),
  stream: oneOf('ready', 'full', 'unsafe', 'refused', 'failed', 'denied', 'silent', 'away'),
  reason: Type.Union([Type.String(), Type.Null()], {
    description: 'Why increments cannot be accepted, and what to do; null while they can.',
  }),
  database: oneOf('connected', 'away'),
  parked_messages: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], {
    description:
      'Messages of a newer version, which are counted once a counter service understands them; null while the database is away.',
  }),
  findings: Type.Array(Finding, {
    description:
      'All that this gateway knows to be wrong with the mesh, the headline first; empty where all is well.',
  }),
};

/** What `/readyz` answers; without the database increments are still accepted. */
export const Ready = Type.Object(state, {
  title: 'Readiness',
  description: 'Increments are accepted.',
  examples: [
    {
      status: 'ready',
      broker: 'connected',
      stream: 'ready',
      reason: null,
      database: 'connected',
      parked_messages: 0,
      findings: [],
    },
  ],
});
export const NotReady = Type.Object(state, {
  title: 'Readiness',
  description: 'Increments cannot be accepted.',
  examples: [
    {
      status: 'not ready',
      broker: 'connected',
      stream: 'full',
      reason:
        'the stream INCREMENTS is full: it has room once counter services have caught up: see whether they run',
      database: 'connected',
      parked_messages: 0,
      findings: [
        {
          name: 'StreamFull',
          level: 'bad',
          cause: 'The stream is full',
          effect: 'Increments are refused with 503',
          next: 'It has room once counter services have caught up: see whether they run',
          runbook: 'docs/runbook.md#streamfull',
        },
      ],
    },
  ],
});
