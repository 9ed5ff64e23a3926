/** How fast a model is here, how much memory it takes, and how far it orders things as its fp32 original does. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { SluiceError } from '../core/errors.ts';
import { sentenceRanges } from '../tokenize/sentences.ts';
import { roleOf } from './create.ts';
import { maxBatchOf, modelId, poolingOf, readManifest, scorerFile } from './manifest.ts';
import { openModel, type ModelFile, type ModelInput, type ModelRole } from './model.ts';
import { inputOf, jobsOf, type Sequence } from './sequences.ts';
import { separatorOf, specialId } from './special-ids.ts';
import { openTokenTable } from './table.ts';
import type { ModelManifest } from './types.ts';
import { openVocabulary, type Vocabulary } from './vocabulary.ts';

export interface ModelBench {
  readonly id: string;
  readonly kind: ModelManifest['kind'];
  /** Tokens (special tokens included) per second of CPU time, one thread. */
  readonly tokensPerCpuSecond: number;
  /** What opening and running the model added to the memory of the process, bytes. */
  readonly memoryBytes: number;
  /** File that the values are compared with, or null. */
  readonly reference: string | null;
  /** Spearman's rank correlation of the values with the reference's; null without one. */
  readonly rankAgreement: number | null;
  /** Numbers that were compared. */
  readonly compared: number;
}

export interface BenchOptions {
  readonly folder: string;
  /** Text that is scored; a few thousand words. */
  readonly text: string;
  /** ONNX file to compare with; null = one of `fp32Names` in the folder, where there is one. */
  readonly reference: string | null;
  /** CPU time to spend on measuring the speed, seconds. */
  readonly seconds: number;
}

/** Names under which exports keep the original beside a quantised graph. */
const fp32Names = ['model_fp32.onnx', 'scorer_fp32.onnx', 'encoder_fp32.onnx', 'onnx/model.onnx'];

/** Question of the pairs and of the table. */
const QUESTION = 'What has to be configured before the server starts?';

/**
 * Opens the model in this thread, so that its CPU time and memory are those of the process.
 * @throws SluiceError MODEL_INVALID
 */
export async function benchModel(options: BenchOptions): Promise<ModelBench> {
  const manifest = readManifest(options.folder);
  const role = roleOf(manifest);
  return role === 'table' ? benchTable(options, manifest) : benchGraph(options, manifest, role);
}

const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

async function benchGraph(
  { folder, text, reference, seconds }: BenchOptions,
  manifest: ModelManifest,
  role: ModelRole,
): Promise<ModelBench> {
  const name = scorerFile(manifest);
  const file: ModelFile = {
    role,
    path: join(folder, name),
    maxBatch: maxBatchOf(manifest),
    contextLength: manifest.context_length,
    pooling: poolingOf(manifest),
  };
  const inputs = inputsFor(role, manifest, openVocabulary(folder), text);
  if (inputs.length === 0) throw new SluiceError('REQUEST_INVALID', 'The text has no tokens');
  const before = process.memoryUsage().rss;
  const model = await openModel(file, 1);
  const values: Float32Array[] = [];
  for (const input of inputs) values.push(await model.run(input));
  const memoryBytes = process.memoryUsage().rss - before;
  const start = cpuSeconds();
  let tokens = 0;
  while (cpuSeconds() - start < seconds)
    for (const input of inputs) {
      await model.run(input);
      tokens += input.ids.length;
    }
  const spent = cpuSeconds() - start;
  await model.close();
  const compared = await compare({ file, inputs, values, reference, folder });
  const id = modelId(manifest, name);
  return { id, kind: manifest.kind, tokensPerCpuSecond: tokens / spent, memoryBytes, ...compared };
}

interface Comparison {
  readonly file: ModelFile;
  readonly inputs: readonly ModelInput[];
  readonly values: readonly Float32Array[];
  readonly reference: string | null;
  readonly folder: string;
}

async function compare(
  comparison: Comparison,
): Promise<Pick<ModelBench, 'reference' | 'rankAgreement' | 'compared'>> {
  const { file, inputs, values, folder } = comparison;
  const beside = fp32Names.map((name) => join(folder, name));
  const path =
    comparison.reference ??
    beside.find((other) => other !== file.path && existsSync(other)) ??
    null;
  if (path === null) return { reference: null, rankAgreement: null, compared: 0 };
  const model = await openModel({ ...file, path, maxBatch: 1 }, 1);
  const wanted: Float32Array[] = [];
  for (const input of inputs) wanted.push(await model.run(input));
  await model.close();
  const numbers = file.role === 'vectors' ? cosinesOf : flat;
  const [ours, theirs] = [numbers(values, inputs), numbers(wanted, inputs)];
  if (ours.length !== theirs.length)
    throw new SluiceError('MODEL_INVALID', `${path} gives values of another shape`);
  return { reference: path, rankAgreement: spearman(ours, theirs), compared: ours.length };
}

const flat = (values: readonly Float32Array[]): number[] => values.flatMap((part) => [...part]);

/** Texts whose cosines with each other are compared. */
const COMPARED_TEXTS = 100;

/** The cosine of every pair of texts: what vectors are used for. */
function cosinesOf(values: readonly Float32Array[], inputs: readonly ModelInput[]): number[] {
  const vectors: Float32Array[] = [];
  for (const [at, part] of values.entries()) {
    const rows = inputs[at]?.lengths?.length ?? 1;
    const size = part.length / rows;
    for (let row = 0; row < rows; row++) vectors.push(part.subarray(row * size, (row + 1) * size));
  }
  const some = vectors.slice(0, COMPARED_TEXTS);
  return some.flatMap((a, i) => some.slice(i + 1).map((b) => dot(a, b)));
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}

/** Rank correlation of two lists of equal length; ties share the mean of their ranks. In [-1, 1]. */
export function spearman(a: readonly number[], b: readonly number[]): number {
  const [x, y] = [ranksOf(a), ranksOf(b)];
  const mean = (a.length - 1) / 2;
  let [both, left, right] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const [dx, dy] = [(x[i] ?? 0) - mean, (y[i] ?? 0) - mean];
    both += dx * dy;
    left += dx * dx;
    right += dy * dy;
  }
  return left === 0 || right === 0 ? 0 : both / Math.sqrt(left * right);
}

function ranksOf(values: readonly number[]): Float64Array {
  const order = [...values.keys()].sort((i, j) => (values[i] ?? 0) - (values[j] ?? 0));
  const ranks = new Float64Array(values.length);
  for (let from = 0; from < order.length;) {
    const value = values[order[from] ?? 0];
    let to = from + 1;
    while (to < order.length && values[order[to] ?? 0] === value) to++;
    for (let i = from; i < to; i++) ranks[order[i] ?? 0] = (from + to - 1) / 2;
    from = to;
  }
  return ranks;
}

/** Tokens of a causal model's pass, as the scorer feeds them; and the most that a bench reads. */
const PASS_TOKENS = 256;
const BENCH_TOKENS = 4096;

function inputsFor(
  role: ModelRole,
  manifest: ModelManifest,
  vocabulary: Vocabulary,
  text: string,
): ModelInput[] {
  if (role === 'vectors' || role === 'pairs') {
    const sequences = sentenceSequences(role, manifest, vocabulary, text);
    return [...jobsOf(sequences)].map(inputOf);
  }
  const ids = vocabulary.idsOf(text).subarray(0, BENCH_TOKENS);
  const { tokenizer } = vocabulary;
  const bos = manifest.bos_token_id;
  const lead = role === 'keep' ? [specialId(tokenizer, 'opening')] : bos === null ? [] : [bos];
  const tail = role === 'keep' ? [specialId(tokenizer, 'closing')] : [];
  const room = Math.min(PASS_TOKENS, manifest.context_length - lead.length - tail.length);
  const inputs: ModelInput[] = [];
  for (let from = 0; from < ids.length; from += room) {
    const whole = [...lead, ...ids.subarray(from, from + room), ...tail];
    inputs.push({ ids: Uint32Array.from(whole), lengths: null, seconds: null });
  }
  return inputs;
}

function sentenceSequences(
  role: 'vectors' | 'pairs',
  manifest: ModelManifest,
  { tokenizer, idsOf }: Vocabulary,
  text: string,
): Sequence<null>[] {
  const opening = specialId(tokenizer, 'opening');
  const closing = specialId(tokenizer, 'closing');
  const question = [...idsOf(QUESTION).subarray(0, Math.floor(manifest.context_length / 4))];
  const lead = role === 'pairs' ? [opening, ...question, ...separatorOf(tokenizer)] : [opening];
  const room = manifest.context_length - lead.length - 1;
  const sequences: Sequence<null>[] = [];
  let tokens = 0;
  for (const { start, end } of sentenceRanges(text)) {
    const ids = idsOf(text.slice(start, end)).subarray(0, room);
    if (ids.length === 0) continue;
    if (tokens >= BENCH_TOKENS) break;
    const second = role === 'pairs' ? lead.length : 0;
    sequences.push({ key: null, ids: [...lead, ...ids, closing], second });
    tokens += ids.length;
  }
  return sequences;
}

function benchTable({ folder, text, seconds }: BenchOptions, manifest: ModelManifest): ModelBench {
  const vocabulary = openVocabulary(folder);
  vocabulary.idsOf(text);
  const before = process.memoryUsage().rss;
  const table = openTokenTable(folder, manifest, vocabulary);
  const texts = sentenceRanges(text).map(({ start, end }) => text.slice(start, end));
  const size = texts.reduce((sum, part) => sum + table.encode(part).length, 0);
  const memoryBytes = process.memoryUsage().rss - before;
  const start = cpuSeconds();
  let tokens = 0;
  while (cpuSeconds() - start < seconds) {
    table.scores(QUESTION, texts);
    tokens += size;
  }
  const tokensPerCpuSecond = tokens / (cpuSeconds() - start);
  const nothing = { reference: null, rankAgreement: null, compared: 0 };
  return { id: table.id, kind: manifest.kind, tokensPerCpuSecond, memoryBytes, ...nothing };
}
