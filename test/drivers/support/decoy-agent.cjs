// Puts a link to a socket of the host where its own should be, and its own there only once that was seen. The box's
// environment says nothing, so the host's socket is named beside this file.
const fs = require('node:fs');
const net = require('node:net');
const path = process.argv[process.argv.indexOf('--socket') + 1];

fs.symlinkSync('DECOY', path);
setTimeout(() => {
  fs.unlinkSync(path);
  net
    .createServer((connection) =>
      connection.on('error', () => undefined).on('data', () => connection.end('{"value":"the box"}\n')),
    )
    .listen(path);
}, 300);
