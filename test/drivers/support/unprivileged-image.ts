import { buildImage } from '../../../src/drivers/qemu/image/build-image.ts';

// An image that is built by an ordinary user, whose files are nobody else's to read: prints its digest. Arguments: data
// directory, agent, kernel package, busybox.
const [dataDir = '', agentPath = '', kernelPackage = '', busyboxPath = ''] = process.argv.slice(2);
process.umask(0o077);
const own = { nodePath: process.execPath, agentPath, busyboxPath, kernelPackage };
const image = await buildImage(dataDir, { ...own, base: 'busybox', from: undefined, agentVersion: '0.1.0' });
console.log(image.digest);
