// Baseline: Express 5 and undici dispatch, nothing else.
import express from 'express';
import { forwardTo } from './forward.mjs';

const app = express();
app.disable('x-powered-by');
app.use(forwardTo(process.argv[2]));
const server = app.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
