// Takes the guest agent's place where only the driver is tested. Listens on a unix socket; each line is an expression of
// JavaScript, answered by one line: {"value": …} or {"error": "…"}.
const net = require('node:net');
const path = process.argv[process.argv.indexOf('--socket') + 1];

const answer = async (line) => {
  try {
    return { value: await new Function('require', `return (async () => (${line}))()`)(require) };
  } catch (error) {
    return { error: String(error) };
  }
};

net
  .createServer((connection) => {
    let said = '';
    connection.on('error', () => connection.destroy());
    connection.on('data', async (chunk) => {
      said += chunk;
      for (let end = said.indexOf('\n'); end >= 0; end = said.indexOf('\n')) {
        const line = said.slice(0, end);
        said = said.slice(end + 1);
        connection.write(`${JSON.stringify(await answer(line))}\n`);
      }
    });
  })
  .listen(path, () => console.log('listening'));
