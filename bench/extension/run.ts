/**
 * `npm run eval:extension [-- --corpus FILE --longest 64 --targets 3 --workers 2 --again]`: perplexity of the shipped
 * model over 1 .. 64 times its trained length under every scheme. What is measured stays in eval/results/extension.json;
 * a run that is stopped goes on where it was, and
 * `--report` writes the page of what there is.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { parseArgs } from 'node:util';
import { readEngineModel } from '../../src/engine/model.ts';
import { siblingModule, startModuleWorker } from '../../src/score/worker-thread.ts';
import { cellsOf, scored, trainedLength } from './cells.ts';
import type { Cell } from './cells.ts';
import { writeReport } from './report.ts';
import type { Study } from './report.ts';
import { endsOf, readStream } from './text.ts';
import type { Measured, StudyWorkerData, Task } from './worker.ts';

const { values } = parseArgs({
  options: {
    corpus: { type: 'string', default: '../shared/corpus/valid-00.jsonl.xz' },
    model: { type: 'string', default: 'models/scout' },
    longest: { type: 'string', default: '64' },
    targets: { type: 'string', default: '3' },
    workers: { type: 'string', default: String(Math.min(2, cpus().length)) },
    again: { type: 'boolean', default: false },
    report: { type: 'boolean', default: false },
  },
});

const resultPath = join('eval', 'results', 'extension.json');
const extent = { longest: Number(values.longest), targets: Number(values.targets) };
const { manifest, modelPath, shape } = readEngineModel(values.model);
const fingerprint = manifest.files['engine.onnx']?.sha256 ?? '';
const stream = readStream(values.corpus, values.model);
if (stream === null) {
  console.log(`skipped: ${values.corpus} is not there (--corpus names another file)`);
  process.exit(0);
}
const ends = endsOf(stream.ids.length, extent.longest * trainedLength, extent.targets);
if (ends.length === 0) {
  console.log(`skipped: ${stream.ids.length} tokens are fewer than the longest context`);
  process.exit(0);
}
const cells = cellsOf(extent);
const study = previous() ?? {
  model: `${manifest.name}@${manifest.version}`,
  fingerprint,
  trainedLength,
  scored,
  tokens: stream.ids.length,
  excerpts: stream.excerpts,
  ends,
  machine: `${cpus().length} cores, ${cpus()[0]?.model.trim() ?? ''}`,
  loads: [],
  cells: {},
};
const open = cells.filter(({ id }) => study.cells[id] === undefined);
console.log(
  `${cells.length} cells, ${open.length} to measure; ${stream.ids.length} tokens of text`,
);
if (!values.report) {
  study.loads.push({ date: new Date().toISOString(), load: loadavg()[0] ?? 0, cells: open.length });
  await measureAll();
  save();
}
writeReport(study, cells);
console.log('wrote eval/results/extension.json, docs/extension-study.md and its plots');

/** What was measured of the same model on the same text. */
function previous(): Study | null {
  if (values.again || !existsSync(resultPath)) return null;
  const found: Study = JSON.parse(readFileSync(resultPath, 'utf8'));
  const same =
    found.fingerprint === fingerprint &&
    found.tokens === stream?.ids.length &&
    JSON.stringify(found.ends) === JSON.stringify(ends);
  return same ? found : null;
}

function taskOf(cell: Cell): Task {
  const end = ends[cell.target] ?? 0;
  const ids = new Uint32Array(cell.multiple * trainedLength);
  ids[0] = manifest.bos_token_id ?? 0;
  ids.set(stream?.ids.subarray(end - ids.length + 1, end) ?? [], 1);
  return { cell, ids };
}

function save(): void {
  mkdirSync(join('eval', 'results'), { recursive: true });
  writeFileSync(resultPath, `${JSON.stringify(study, null, 1)}\n`);
}

async function measureAll(): Promise<void> {
  const data: StudyWorkerData = { modelPath, shape };
  const waiting = open.slice();
  const lane = async (): Promise<void> => {
    const worker = startModuleWorker(siblingModule('worker', import.meta.url), data);
    for (;;) {
      const cell = waiting.shift();
      if (cell === undefined) break;
      const { id, ...rest } = await answer(worker, taskOf(cell));
      study.cells[id] = rest;
      save();
      const ppl = Math.exp(rest.nll).toFixed(2);
      console.log(`${id}: ${ppl} in ${(rest.ms / 1000).toFixed(1)} s; ${waiting.length} wait`);
    }
    worker.postMessage(null);
  };
  await Promise.all(Array.from({ length: Math.max(1, Number(values.workers)) }, lane));
}

function answer(worker: Worker, task: Task): Promise<Measured> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('message', (measured: Measured) => {
      worker.off('error', reject);
      resolve(measured);
    });
    worker.postMessage(task);
  });
}
