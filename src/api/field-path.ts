import { shortened } from './status.ts';

export type Path = readonly PropertyKey[];

const partMaxBytes = 128;

/** Fields whose keys are the caller's own. */
const maps: ReadonlySet<PropertyKey | undefined> = new Set(['env', 'labels']);

/** Where something is in a request, spelled as in the proto: `options.memory_mib`, `options.env.A=B`, `args[2]`. */
export const pathText = (path: Path): string => {
  if (path.length === 0) return 'request';
  return path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`;
      const name = shortened(String(part), partMaxBytes);
      return `${index === 0 ? '' : '.'}${maps.has(path[index - 1]) ? name : snakeCase(name)}`;
    })
    .join('');
};

export const snakeCase = (name: string) => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
