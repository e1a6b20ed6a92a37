import { expect, test } from 'vitest';
import { createStore } from '../support/store.ts';

/** Everything in the schema as text, one thing a line, the same on every version of Postgres. */
const describe = `
  SELECT format('%s.%s %s%s%s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
      CASE WHEN a.attnotnull THEN ' not null' ELSE '' END,
      coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')) AS line
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p')
      LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relnamespace = 'boxledger'::regnamespace AND a.attnum > 0
  UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'boxledger'
  UNION ALL SELECT format('%s constraint %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE connamespace = 'boxledger'::regnamespace AND contype <> 'n'
  UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger
    WHERE NOT tgisinternal AND tgrelid::regclass::text LIKE 'boxledger.%'
  UNION ALL SELECT format('function %s(%s) %s', proname, pg_get_function_arguments(oid), md5(prosrc))
    FROM pg_proc WHERE pronamespace = 'boxledger'::regnamespace`;

test('the migrations make the schema that schema.txt shows', async () => {
  const store = await createStore();
  const { rows } = await store.pool.query(describe);
  await store.close();
  const lines = rows.map(({ line }) => `${line}\n`).sort();
  await expect(lines.join('')).toMatchFileSnapshot('../../src/store/schema.txt');
});
