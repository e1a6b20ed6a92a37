/** What is made from the log and can be made again: streams' presents, or the read model of boxes. */
export const projections = ['heads', 'boxes'] as const;
export type Projection = (typeof projections)[number];
