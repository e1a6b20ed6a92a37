/** A configuration file's content. */
export interface FileSettings {
  readonly file: string;
  readonly directory: string;
  readonly settings: Readonly<Record<string, unknown>>;
}

/** A setting's value; `directory` is what it is relative to, if it is a path and came from a file. */
export interface Given {
  readonly value: unknown;
  readonly directory: string | undefined;
}

interface Sources<Key extends string> {
  readonly flags: Readonly<Partial<Record<Key, string>>>;
  readonly flagNames: Readonly<Record<Key, string>>;
  readonly env: NodeJS.ProcessEnv;
  readonly environmentNames: Readonly<Record<Key, string>>;
  readonly file: FileSettings | undefined;
}

/**
 * Each setting from the first source that has it: flags, environment (where empty means unset), file. Settings of the
 * file that nobody knows are kept, to be complained of.
 */
export const gather = <Key extends string>({
  flags,
  flagNames,
  env,
  environmentNames,
  file,
}: Sources<Key>): {
  readonly values: ReadonlyMap<string, Given>;
  /** What the user calls the setting: `--driver`, `BOXLEDGER_DRIVER`, `driver in FILE`. */
  readonly originOf: (key: string) => string;
} => {
  const values = new Map<string, Given>();
  const origins = new Map<string, string>();
  const add = (key: string, value: unknown, origin: string, directory?: string) => {
    if (value === undefined || values.has(key)) return;
    values.set(key, { value, directory });
    origins.set(key, origin);
  };
  const keys = Object.keys(flagNames) as Key[]; // Object.keys forgets the literal type
  for (const key of keys) {
    add(key, flags[key], flagNames[key]);
    const name = environmentNames[key];
    add(key, env[name] || undefined, name);
  }
  for (const [key, value] of Object.entries(file?.settings ?? {}))
    add(key, value, `${key} in ${file?.file}`, file?.directory);
  return { values, originOf: (key) => origins.get(key) ?? key };
};
