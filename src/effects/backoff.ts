/** Waits between tries: exponential with full jitter, so that many who failed together do not come back together. */
export interface Backoff {
  /** Upper bound of the first wait. */
  readonly firstMs: number;
  /** Upper bound of every wait. */
  readonly maxMs: number;
  /** In [0, 1). */
  readonly random: () => number;
}

/** How long to wait after try number `attempt` (1, 2, …). Source: "Exponential Backoff and Jitter", AWS, 2015. */
export const backoffMs = ({ firstMs, maxMs, random }: Backoff, attempt: number): number =>
  Math.ceil(random() * Math.min(maxMs, firstMs * 2 ** Math.min(attempt - 1, 30)));
