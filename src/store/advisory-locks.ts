/** What one process at a time does on a database. Any numbers, the same in every process, and no two alike. */
export const advisoryLocks = {
  migrating: 6_021_966_114,
  cleaning: 6_021_966_115,
  checkpoints: 6_021_966_116,
  archiving: 6_021_966_117,
} as const;
