/** Somewhere to get a nats-server from. */
export interface NatsServerSource {
  name: string;
  /** Puts a nats-server at `destination`, complete or not at all. */
  fetch(destination: string, signal?: AbortSignal): Promise<void>;
}
