/** What a box can have on its disk. It takes room as it is written to. */
export const diskBytes = 8 * 1024 ** 3;
