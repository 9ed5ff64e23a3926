/**
 * The shipped model in double precision: LLaMA's forward pass over the weights inside engine.onnx, with attention as a
 * scheme of `reference/` decides it. Slow, obvious, and independent of the graph and of everything that batches.
 */
import { readFileSync } from 'node:fs';
import { causal } from '../../src/engine/reference/attention.ts';
import type { AttentionScheme } from '../../src/engine/reference/attention.ts';
import {
  accumulate,
  add,
  at,
  createRandom,
  dot,
  multiply,
  silu,
  softmax,
} from '../../src/engine/reference/numbers.ts';
import type { Call } from '../../src/engine/reference/types.ts';
import type { ModelShape } from '../../src/engine/types.ts';
import { fieldsOf } from '../../src/score/protobuf.ts';

export const modelPath = 'models/scout/engine.onnx';

export const shape: ModelShape = {
  layers: 5,
  kvHeads: 2,
  heads: 6,
  headDim: 32,
  vocabularySize: 8192,
  ropeBase: 10000,
  trainedLength: 1024,
};

/** A tensor of the file: shape, and where its bytes are. */
interface Initializer {
  readonly dims: readonly number[];
  readonly start: number;
  readonly end: number;
}

const float16 = 10;

/** All float16 tensors of a serialised model (ModelProto.graph.initializer), by name. */
function initializersOf(bytes: Uint8Array): Map<string, Initializer> {
  const found = new Map<string, Initializer>();
  for (const graph of fieldsOf(bytes)) {
    if (graph.number !== 7) continue;
    for (const field of fieldsOf(bytes, graph.start, graph.end)) {
      if (field.number !== 5) continue;
      const dims: number[] = [];
      let [name, type, start, end] = ['', 0, 0, 0];
      for (const part of fieldsOf(bytes, field.start, field.end)) {
        if (part.number === 1) dims.push(...packedOrOne(bytes, part));
        if (part.number === 2) type = part.value;
        if (part.number === 8)
          name = Buffer.from(bytes.subarray(part.start, part.end)).toString('utf8');
        if (part.number === 9) [start, end] = [part.start, part.end];
      }
      if (type === float16) found.set(name.replace(/\.f16$/, ''), { dims, start, end });
    }
  }
  return found;
}

/** Repeated int64: one varint per field, or several packed into one. */
function packedOrOne(
  bytes: Uint8Array,
  { value, start, end }: { readonly value: number; readonly start: number; readonly end: number },
): number[] {
  if (value !== 0) return [value];
  const values: number[] = [];
  let [current, scale] = [0, 1];
  for (const byte of bytes.subarray(start, end)) {
    current += (byte & 127) * scale;
    scale *= 128;
    if (byte >= 128) continue;
    values.push(current);
    [current, scale] = [0, 1];
  }
  return values;
}

function halfToNumber(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 0) return sign * 2 ** -24 * fraction;
  return sign * 2 ** (exponent - 25) * (1024 + fraction);
}

/** Row-major; vectors have one row. */
interface Weight {
  readonly columns: number;
  readonly data: Float64Array;
}

export interface Llama {
  readonly weight: (name: string) => Weight;
  readonly shape: ModelShape;
}

export function readModel(bytes: Uint8Array = readFileSync(modelPath)): Llama {
  const weights = new Map<string, Weight>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const [name, { dims, start, end }] of initializersOf(bytes)) {
    const data = Float64Array.from({ length: (end - start) / 2 }, (_, i) =>
      halfToNumber(view.getUint16(start + 2 * i, true)),
    );
    const [rows = 0, columns = rows] = dims;
    // The graph has [in, out] for what it multiplies with; the table of embeddings is rows of tokens.
    const turned = dims.length === 2 && name !== 'model.embed_tokens.weight';
    weights.set(name, turned ? transposed(data, rows, columns) : { columns, data });
  }
  const weight = (name: string): Weight => {
    const found = weights.get(name);
    if (found === undefined) throw new Error(`no weight ${name}: ${[...weights.keys()].join(' ')}`);
    return found;
  };
  return { weight, shape };
}

function transposed(data: Float64Array, rows: number, columns: number): Weight {
  const result = new Float64Array(data.length);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      result[column * rows + row] = data[row * columns + column] ?? 0;
    }
  }
  return { columns: rows, data: result };
}

/** The same file with the numbers of every weight matrix in random order: another model of the same graph. */
export function shuffledModel(seed: number): Uint8Array {
  const bytes = new Uint8Array(readFileSync(modelPath));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const random = createRandom(seed);
  for (const { start, end } of initializersOf(bytes).values()) {
    for (let i = (end - start) / 2 - 1; i > 0; i -= 1) {
      const j = Math.floor(random() * (i + 1));
      const [a, b] = [start + 2 * i, start + 2 * j];
      const kept = view.getUint16(a, true);
      view.setUint16(a, view.getUint16(b, true), true);
      view.setUint16(b, kept, true);
    }
  }
  return bytes;
}

/** Cached token of one layer, keys as the scheme stores them. */
interface OracleEntry {
  readonly position: number;
  readonly tag: number;
  /** One per KV head. */
  readonly keys: readonly Float64Array[];
  readonly values: readonly Float64Array[];
  readonly call: Call;
}

export interface OracleState {
  readonly length: number;
  readonly layers: readonly (readonly OracleEntry[])[];
}

export const emptyOracle: OracleState = {
  length: 0,
  layers: Array.from({ length: shape.layers }, () => []),
};

export interface OracleRun {
  readonly state: OracleState;
  /** One vector of logits per token wanted, the last ones. */
  readonly logits: readonly Float64Array[];
}

export interface OracleOptions {
  readonly state?: OracleState;
  /** Position of the first token; the state's length. */
  readonly start?: number;
  readonly tag?: number;
  /** Tokens whose logits are wanted, counted from the end; 1. */
  readonly wanted?: number;
  /** Total length that a length-dependent scheme is told. */
  readonly total?: number;
}

/** Continues a state by tokens. */
export function oracle(
  { weight, shape: sizes }: Llama,
  scheme: AttentionScheme,
  tokens: readonly number[],
  { state = emptyOracle, start = state.length, tag = 0, wanted = 1, total }: OracleOptions = {},
): OracleRun {
  const length = start + tokens.length;
  const call: Call = { total: total ?? length, process: 0, companion: 0, start, tag };
  const embeddings = weight('model.embed_tokens.weight');
  const width = embeddings.columns;
  let hidden: Float64Array[] = tokens.map((id) =>
    embeddings.data.slice(id * width, (id + 1) * width),
  );
  const layers: OracleEntry[][] = [];
  for (let layer = 0; layer < sizes.layers; layer += 1) {
    const name = `model.layers.${layer}.`;
    const named = (part: string): Weight => weight(name + part);
    const projected = hidden.map((vector) =>
      product(norm(vector, named('input_layernorm.weight')), named('qkv')),
    );
    const { outputs, entries } = attend(sizes, scheme, {
      projected,
      cached: at(state.layers, layer),
      call,
    });
    layers.push(entries);
    hidden = hidden.map((vector, i) => {
      const x = add(vector, product(at(outputs, i), named('o')));
      const both = product(norm(x, named('post_attention_layernorm.weight')), named('gate_up'));
      const half = both.length / 2;
      const gated = both.slice(0, half).map((gate, j) => silu(gate) * at(both, half + j));
      return add(x, product(gated, named('down')));
    });
  }
  const last = hidden.slice(-wanted);
  const logits = last.map((vector) => {
    const final = norm(vector, weight('model.norm.weight'));
    return Float64Array.from({ length: sizes.vocabularySize }, (_, id) =>
      dot(embeddings.data.subarray(id * width, (id + 1) * width), final),
    );
  });
  return { state: { length, layers }, logits };
}

function attend(
  { heads, kvHeads, headDim }: ModelShape,
  scheme: AttentionScheme,
  {
    projected,
    cached,
    call,
  }: {
    readonly projected: readonly Float64Array[];
    readonly cached: readonly OracleEntry[];
    readonly call: Call;
  },
): { readonly outputs: Float64Array[]; readonly entries: OracleEntry[] } {
  const part = (vector: Float64Array, index: number): Float64Array =>
    vector.slice(index * headDim, (index + 1) * headDim);
  const bare = cached.map((entry) => ({
    ...entry,
    key: new Float64Array(0),
    value: entry.values[0] ?? new Float64Array(0),
  }));
  const keptIndices = new Set(
    (scheme.retain?.(bare, projected.length) ?? bare).map((entry) => entry.position),
  );
  const kept =
    scheme.retain === undefined
      ? cached
      : cached.filter(({ position }) => keptIndices.has(position));
  const fresh = projected.map((vector, i): OracleEntry => {
    const position = call.start + i;
    const byHead = (from: number): Float64Array[] =>
      Array.from({ length: kvHeads }, (_, head) => part(vector, from + head));
    return {
      position,
      tag: call.tag,
      call,
      keys: byHead(heads).map((key, head) => scheme.store(key, { head, position, call })),
      values: byHead(heads + kvHeads),
    };
  });
  const entries = [...kept, ...fresh];
  const outputs = projected.map((vector, i) => {
    const query = call.start + i;
    const output = new Float64Array(heads * headDim);
    for (let head = 0; head < heads; head += 1) {
      const kvHead = Math.floor(head / (heads / kvHeads));
      const prepared = scheme.prepare(part(vector, head), { head, position: query, call });
      const logits: number[] = [];
      const values: Float64Array[] = [];
      for (const [keyIndex, entry] of entries.entries()) {
        const pair = {
          head,
          query,
          key: entry.position,
          queryTag: call.tag,
          keyTag: entry.tag,
          queryIndex: kept.length + i,
          keyIndex,
          call,
        };
        if (!causal(pair) || !scheme.visible(pair)) continue;
        logits.push(scheme.logit(prepared, at(entry.keys, kvHead), pair));
        values.push(at(entry.values, kvHead));
      }
      const seen = output.subarray(head * headDim, (head + 1) * headDim);
      for (const [j, weight] of softmax(logits).entries()) accumulate(seen, at(values, j), weight);
    }
    return output;
  });
  return { outputs, entries };
}

/** Vector times a matrix of the graph. */
function product(vector: Float64Array, { columns, data }: Weight): Float64Array {
  return multiply({ rows: data.length / columns, columns, data }, vector);
}

/** RMSNorm with the model's epsilon. */
function norm(vector: Float64Array, { data }: Weight): Float64Array {
  const scale = 1 / Math.sqrt(dot(vector, vector) / vector.length + 1e-5);
  return vector.map((value, i) => value * scale * at(data, i));
}

/** Largest difference, relative to the largest number of the reference. */
export function relativeError(found: ArrayLike<number>, reference: ArrayLike<number>): number {
  let [difference, largest] = [0, 0];
  for (let i = 0; i < reference.length; i += 1) {
    difference = Math.max(difference, Math.abs((found[i] ?? NaN) - (reference[i] ?? NaN)));
    largest = Math.max(largest, Math.abs(reference[i] ?? NaN));
  }
  return found.length === reference.length ? difference / largest : NaN;
}

/** Token ids without special ones. */
export function randomIds(seed: number, count: number): number[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, () => 10 + Math.floor(random() * 8000));
}
