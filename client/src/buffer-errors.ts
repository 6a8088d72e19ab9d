import type { Batch } from './batch.ts';
import { IncrementMeshError } from './error.ts';

export function bufferFull(
  maxKeys: number,
  cause: IncrementMeshError | undefined,
): IncrementMeshError {
  const why = cause === undefined ? '' : `; the last attempt to send failed: ${cause.message}`;
  return new IncrementMeshError(
    'buffer-full',
    `the buffer holds ${maxKeys} keys, and nothing was added. Await whenRoom(), or add later${why}`,
    { retryable: true, cause },
  );
}

export function bufferClosed(): IncrementMeshError {
  return new IncrementMeshError('buffer-closed', 'the buffer is closed, and nothing was added');
}

export function keyExpired(
  { increments, idempotencyKey }: Batch,
  cause: IncrementMeshError | undefined,
): IncrementMeshError {
  return new IncrementMeshError(
    'idempotency-key-expired',
    `a batch of ${increments.length} increments may have been stored 23 hours ago, and another attempt might count it twice. ` +
      'The buffer sends nothing more; pending() has what it holds',
    { mayBeStored: true, idempotencyKey, cause },
  );
}
