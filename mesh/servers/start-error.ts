/** The mesh can't start for a reason that its user can change; the message says which and how. */
export class StartError extends Error {
  override readonly name = 'StartError';
}
