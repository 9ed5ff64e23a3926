/** Entry of a scorer's worker thread: opens the models, warms them up, then answers one job after another. */
import { parentPort, workerData } from 'node:worker_threads';
import { type ModelFile, type ModelInput, openModel, type OpenModel } from './model.ts';
import { type PoolJob, type PoolReply, STOP, type WorkerSetup } from './pool.ts';

/** Tokens of the warm-up pass; the first pass allocates the runtime's buffers. */
const WARM_UP_TOKENS = 64;

function warmUpInput({ contextLength }: ModelFile): ModelInput {
  const ids = new Uint32Array(Math.min(WARM_UP_TOKENS, contextLength));
  return { ids, lengths: null, seconds: null };
}

const isSetup = (value: unknown): value is WorkerSetup =>
  typeof value === 'object' && value !== null && 'models' in value && 'threads' in value;

async function start(setup: WorkerSetup): Promise<Map<string, OpenModel>> {
  const models = new Map<string, OpenModel>();
  for (const file of setup.models) {
    const model = await openModel(file, setup.threads);
    if (setup.warmUp) await model.run(warmUpInput(file));
    models.set(file.role, model);
  }
  return models;
}

const messageOf = (cause: unknown): string =>
  cause instanceof Error ? cause.message : String(cause);

if (parentPort !== null && isSetup(workerData)) {
  const port = parentPort;
  const send = (reply: PoolReply): void => port.postMessage(reply);
  try {
    const models = await start(workerData);
    port.on('message', (job: PoolJob | typeof STOP) => {
      // of a worker thread this ends the thread only
      if (job === STOP) process.exit(0);
      const model = models.get(job.role);
      if (model === undefined) {
        send({ id: job.id, error: `no model for ${job.role}` });
        return;
      }
      model.run(job).then(
        (values) => send({ id: job.id, values }),
        (cause: unknown) => send({ id: job.id, error: messageOf(cause) }),
      );
    });
    send({ ready: true });
  } catch (cause) {
    send({ failed: messageOf(cause) });
  }
}
