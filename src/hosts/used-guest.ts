import type { Guest } from '../guest/guest.ts';

/** The same guest, with its copies counted: `begin` is called as one begins, and what it returns when that is over. */
export const usedGuest = (guest: Guest, begin: () => () => void): Guest => ({
  ping: (signal) => guest.ping(signal),
  attachDisk: (...asked) => guest.attachDisk(...asked),
  configure: (...asked) => guest.configure(...asked),
  shutdown: (signal) => guest.shutdown(signal),
  quiesce: (signal) => guest.quiesce(signal),
  thaw: (signal) => guest.thaw(signal),
  // Execs count by their events.
  exec: (...asked) => guest.exec(...asked),
  startExec: (...asked) => guest.startExec(...asked),
  attachExec: (...asked) => guest.attachExec(...asked),
  inspectExec: (...asked) => guest.inspectExec(...asked),
  waitExec: (...asked) => guest.waitExec(...asked),
  signalExec: (...asked) => guest.signalExec(...asked),
  upload: async (...asked) => {
    const end = begin();
    try {
      return await guest.upload(...asked);
    } finally {
      end();
    }
  },
  download: async function* (...asked) {
    const end = begin();
    try {
      return yield* guest.download(...asked);
    } finally {
      end();
    }
  },
  close: () => guest.close(),
});
