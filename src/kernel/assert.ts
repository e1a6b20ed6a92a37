/** A rule of our own that must hold whatever the world does. When it does not, going on would corrupt the log. */
export class BrokenInvariant extends Error {
  override readonly name = 'BrokenInvariant';
}

export function assert(condition: unknown, reason: string): asserts condition {
  if (!condition) throw new BrokenInvariant(reason);
}
