// Baseline: Express 5 and undici dispatch, nothing else. `grow` as the second argument gives it Sluice's heap setting.
import { setFlagsFromString } from 'node:v8';
import express from 'express';
import { forwardTo } from './forward.mjs';

if (process.argv[3] === 'grow') setFlagsFromString('--heap-growing-percent=200');
const app = express();
app.disable('x-powered-by');
app.use(forwardTo(process.argv[2]));
const server = app.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
