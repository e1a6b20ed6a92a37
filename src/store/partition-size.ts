/** About so many events are to be in one partition of the log: some hundred megabytes. */
export const partitionEventsDefault = 1_000_000;
