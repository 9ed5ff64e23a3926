/** Manifests of models as Hugging Face exports them: folders without `manifest.json`. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { SluiceError } from '../core/errors.ts';
import { idOf, invalid, type Json, readJson } from './json-file.ts';
import type { ModelManifest } from './types.ts';

type Kind = ModelManifest['kind'];

/** Endings of `architectures[0]` and what such a model is; the first that fits. */
const architectures: readonly (readonly [ending: string, kind: Kind])[] = [
  ['ForTokenClassification', 'token-classifier'],
  ['ForSequenceClassification', 'cross-encoder'],
  ['ForCausalLM', 'causal-lm'],
  ['LMHeadModel', 'causal-lm'],
  ['Model', 'sentence-encoder'],
];

/** Model types whose positions are counted from the padding id on: two of the table's places are never used. */
const shifted = ['roberta', 'xlm-roberta', 'camembert', 'mpnet'];

/**
 * A folder with `config.json`, `tokenizer.json` and `model.onnx` or `onnx/model.onnx`. The kind follows from the
 * architecture's name; hashes are those of the files as they are. Of a sentence encoder, `1_Pooling/config.json` and
 * `sentence_bert_config.json` (sentence-transformers) are honoured; without them its vectors are means over the tokens.
 * @throws SluiceError MODEL_INVALID saying what was looked for
 */
export function deriveManifest(folder: string): ModelManifest {
  const graph = ['model.onnx', 'onnx/model.onnx'].find((name) => existsSync(join(folder, name)));
  const needed = ['config.json', 'tokenizer.json'];
  if (graph === undefined || needed.some((name) => !existsSync(join(folder, name))))
    throw new SluiceError(
      'MODEL_INVALID',
      `${folder} has neither manifest.json nor config.json, tokenizer.json and model.onnx`,
    );
  const path = join(folder, 'config.json');
  const config = readJson(path);
  const kind = kindOfConfig(config, path);
  const rest = ['tokenizer_config.json'].filter((name) => existsSync(join(folder, name)));
  const names = [...needed, ...rest, graph, ...weightsBeside(folder, graph)];
  return {
    name: basename(resolve(folder)),
    version: '0',
    kind,
    licence: 'unknown',
    files: Object.fromEntries(names.map((name) => [name, fileEntry(join(folder, name))])),
    context_length: contextOf(folder, config),
    bos_token_id: idOf(config, 'bos_token_id', path),
    eos_token_id: idOf(config, 'eos_token_id', path),
    graph: { scorer: { file: graph } },
    ...(kind === 'sentence-encoder' ? encoderKeys(folder, config) : {}),
  };
}

function kindOfConfig(config: Json, path: string): Kind {
  const list: unknown = config['architectures'];
  const name: unknown = Array.isArray(list) ? list[0] : undefined;
  if (typeof name === 'string')
    for (const [ending, kind] of architectures) if (name.endsWith(ending)) return kind;
  throw invalid(
    path,
    'architectures',
    `a model whose name ends in ${architectures.map(([ending]) => ending).join(', ')}`,
  );
}

/** Files in which big models keep their weights outside the graph. */
function weightsBeside(folder: string, graph: string): string[] {
  const place = dirname(graph);
  return readdirSync(join(folder, place))
    .filter((name) => /\.onnx[._]data/.test(name))
    .map((name) => (place === '.' ? name : `${place}/${name}`))
    .sort();
}

function fileEntry(path: string): { sha256: string; bytes: number } {
  const sha256 = createHash('sha256').update(readFileSync(path)).digest('hex');
  return { sha256, bytes: statSync(path).size };
}

const DEFAULT_POSITIONS = 512;

function contextOf(folder: string, config: Json): number {
  const stated = config['max_position_embeddings'] ?? config['n_positions'];
  const type: unknown = config['model_type'];
  const unused = typeof type === 'string' && shifted.includes(type) ? 2 : 0;
  const positions = typeof stated === 'number' ? stated - unused : DEFAULT_POSITIONS;
  const limit = optionalJson(join(folder, 'sentence_bert_config.json'))['max_seq_length'];
  return typeof limit === 'number' ? Math.min(positions, limit) : positions;
}

function encoderKeys(folder: string, config: Json): Json {
  const pooling = optionalJson(join(folder, '1_Pooling/config.json'));
  return {
    dimension: config['hidden_size'] ?? config['dim'] ?? config['d_model'],
    pooling: pooling['pooling_mode_cls_token'] === true ? 'first' : 'mean',
  };
}

function optionalJson(path: string): Json {
  return existsSync(path) ? readJson(path) : {};
}
