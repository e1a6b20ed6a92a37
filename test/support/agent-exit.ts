import { execFile } from 'node:child_process';
import { readlink } from 'node:fs/promises';
import { promisify } from 'node:util';
import { agentOf } from './box-processes.ts';

/** Tells the Node program whose inspector listens here to exit with the code: by hand, for Node 20 has no WebSocket client. */
const tellToExit = (code: number) => {
  const expression = `void setImmediate(() => process.exit(${code}))`;
  const message = JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression } });
  return `
    const tell = async () => {
      const [target] = await (await fetch('http://127.0.0.1:9229/json')).json();
      const socket = require('net').connect(9229, '127.0.0.1');
      socket.write('GET ' + new URL(target.webSocketDebuggerUrl).pathname + ' HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n' +
        'Upgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: ' +
        'AAAAAAAAAAAAAAAAAAAAAA==\\r\\n\\r\\n');
      socket.once('data', () => {
        const text = Buffer.from(${JSON.stringify(message)});
        socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), text]));
        socket.once('data', () => socket.end()); // it has been heard; the exit waits until nobody debugs
      });
    };
    const again = () => tell().catch(() => setTimeout(again, 20)); // it does not listen yet
    again();`;
};

/** The real agent of a box ends with the exit code, as by a fault of its own. */
export const endAgentByCode = async (boxId: string, code: number): Promise<void> => {
  const pid = await agentOf(boxId);
  process.kill(pid, 'SIGUSR1'); // Node begins to listen for a debugger
  const isApart = async (kind: string) =>
    (await readlink(`/proc/${pid}/ns/${kind}`)) !== (await readlink(`/proc/self/ns/${kind}`));
  const enter = [
    ...((await isApart('user')) ? ['--user', '--preserve-credentials'] : []),
    ...((await isApart('net')) ? ['--net'] : []),
  ];
  const run = [process.execPath, '-e', tellToExit(code)];
  const [program = '', ...rest] =
    enter.length === 0 ? run : ['nsenter', '--target', `${pid}`, ...enter, ...run];
  await promisify(execFile)(program, rest, { timeout: 20_000 });
};
