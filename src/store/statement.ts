import { readFileSync } from 'node:fs';

/** One SQL statement, prepared by name once on each connection. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

/** Reads `sql/<name>.sql`. Called while modules load, so that a missing file is found at start-up. */
export const statement = (name: string): Statement => ({
  name: `boxledger.${name}`,
  text: readFileSync(new URL(`./sql/${name}.sql`, import.meta.url), 'utf8'),
});
