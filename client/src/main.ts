/* What the package increment-mesh-client exports. */
export { createClient } from './client.ts';
export type {
  CallOptions,
  Client,
  ClientOptions,
  IncrementOptions,
  ReadOptions,
} from './client.ts';
export type { Accepted, Counter } from './answers.ts';
export { createBuffer } from './buffer.ts';
export type { IncrementBuffer, Pending, WaitOptions } from './buffer.ts';
export type { BufferOptions } from './buffer-options.ts';
export { IncrementMeshError } from './error.ts';
export type { ErrorCode, ErrorFacts, Fault } from './error.ts';
export { INT64_MAX } from './increment.ts';
export type { Increment } from './increment.ts';
export type { Fetch } from './send.ts';
