/** What went through an archive. */
export interface Transferred {
  /** Files, directories and links. */
  readonly entries: number;
  /** Content of files. */
  readonly bytes: number;
}
