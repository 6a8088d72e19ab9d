import type { StoreFailure } from '../../nats/error-codes.ts';

/** What an answer says if an increment was not stored, or may not have been. */
const DETAILS = {
  'stream-full':
    'The stream is full until the counter services have caught up. Nothing was stored; retry later.',
  'stream-refused':
    'The stream refuses increments until an operator changes its settings. Nothing was stored; retry later.',
  'too-many-waiting':
    'Too many increments are waiting for the broker. Nothing was stored; retry later.',
  'broker-unavailable':
    'The broker or its stream could not be reached in time. Nothing was stored; retry later.',
  'outcome-unknown':
    'The broker did not acknowledge in time, so the increment may or may not be counted. ' +
    'Retry with the same Idempotency-Key to have it counted once.',
  stopping: 'This gateway is stopping. Nothing was stored; retry at once on another connection.',
};

/** Thrown for an increment or a batch that is not known to be stored. */
export class NotAccepted extends Error {
  override readonly name = 'NotAccepted';
  readonly code: keyof typeof DETAILS | 'body-too-large';

  constructor(code: NotAccepted['code'], detail: string) {
    super(detail);
    this.code = code;
  }
}

export function notAccepted(code: keyof typeof DETAILS): NotAccepted {
  return new NotAccepted(code, DETAILS[code]);
}

/** For what was not stored, for certain. */
export function refusedBy(failure: StoreFailure): NotAccepted {
  if (failure === 'full') return notAccepted('stream-full');
  return notAccepted(failure === 'refused' ? 'stream-refused' : 'broker-unavailable');
}

/** Waiting would not help: the client library refuses such a message at each attempt. */
export function tooLargeForBroker(bytes: number, bytesMax: number): NotAccepted {
  return new NotAccepted(
    'body-too-large',
    `The increments take ${bytes} bytes, but a message of this broker holds ${bytesMax} ` +
      '(its max_payload). Nothing was stored; send smaller batches.',
  );
}
