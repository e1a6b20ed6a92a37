import { homedir, userInfo } from 'node:os';

/** What every program in the box starts from. */
export interface Environment {
  /** Absolute path. */
  readonly home: string;
  /** PATH, HOME, USER and LANG. Nothing else of the agent's own environment reaches a program. */
  readonly base: Readonly<Record<string, string>>;
}

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export const readEnvironment = (env: NodeJS.ProcessEnv): Environment => {
  const home = env['HOME'] || homedir();
  const base = {
    PATH: env['PATH'] || defaultPath,
    HOME: home,
    USER: env['USER'] || userName(),
    LANG: env['LANG'] || 'C.UTF-8',
  };
  return { home, base };
};

const userName = (): string => {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? ''); // a user id without an entry in the box's /etc/passwd
  }
};
