/** How far an effect's work is. `totalBytes` is null where it is not known. */
export interface Progress {
  readonly bytes: number;
  readonly totalBytes: number | null;
}
