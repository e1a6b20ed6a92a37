/** Which boxes a list is of. */
export interface BoxQuery {
  /** Any of these; unset: all but removed. */
  readonly states?: readonly string[] | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly namePrefix?: string | undefined;
  readonly includeRemoved?: boolean | undefined;
  /** 1 to 1000 boxes fetched at once. Default 100. */
  readonly pageSize?: number | undefined;
}
