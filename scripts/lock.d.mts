export const withLock: <Result>(path: string, work: () => Promise<Result>) => Promise<Result>;
