// Baseline: node:http and undici dispatch, nothing else.
import { createServer } from 'node:http';
import { forwardTo } from './forward.mjs';

const server = createServer(forwardTo(process.argv[2]));
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
