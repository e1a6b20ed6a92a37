import type { FlagFaults } from './flag-values.ts';

/** One end of a copy: in a box, on this machine, or standard input and output. */
export type CopyEnd =
  | { readonly kind: 'box'; readonly box: string; readonly path: string }
  | { readonly kind: 'local'; readonly path: string }
  | { readonly kind: 'stream' };

/** As Docker reads it: a path that is absolute or begins with a dot is local, whatever colons are in it. */
export const copyEnd = (faults: FlagFaults, field: string, text: string): CopyEnd | undefined => {
  if (text === '') return faults.add(field, 'must not be empty');
  if (text === '-') return { kind: 'stream' };
  const colon = text.indexOf(':');
  if (colon === -1 || /^[./]/.test(text)) return { kind: 'local', path: text };
  const [box, path] = [text.slice(0, colon), text.slice(colon + 1)];
  if (box === '') return faults.add(field, 'must name a box before the colon; a local path begins with ./');
  if (path === '') return faults.add(field, `must name a path after the colon, such as ${box}:.`);
  return { kind: 'box', box, path };
};

/** Whether a path means what is in the directory, and not the directory: it is `.` or ends with `/.`. */
export const meansContent = (path: string): boolean => /(^|\/)\.$/.test(path);
