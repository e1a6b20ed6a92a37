import type { Database } from './database.ts';
import { type LiveBox, parseLiveBox } from './history-rows.ts';
import { statement } from './statement.ts';

const readLiveBoxes = statement('read-live-boxes');
const pageSize = 100;

/** Every live box of every tenant, in order of their ids, a page in memory at a time. */
export async function* liveBoxes(database: Database): AsyncGenerator<LiveBox, void, undefined> {
  for (let after = ''; ; ) {
    const page = (await database.query(readLiveBoxes, [after, pageSize])).map(parseLiveBox);
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < pageSize) return;
    after = last.boxId;
  }
}
