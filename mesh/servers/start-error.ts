/** The mesh can't start for a reason that the user can change; the message says which and how. */
export class StartError extends Error {
  override readonly name = 'StartError';
}
