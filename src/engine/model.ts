/** What a model folder says about its engine graph. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { SluiceError } from '../core/errors.ts';
import { readManifest } from '../score/manifest.ts';
import type { ModelManifest } from '../score/types.ts';
import type { ModelShape } from './types.ts';

export interface EngineModel {
  readonly manifest: ModelManifest;
  readonly modelPath: string;
  readonly shape: ModelShape;
  /** Names the weights; what KV belongs to. */
  readonly weights: string;
}

/** @throws SluiceError MODEL_INVALID when a file or a number is missing */
export function readEngineModel(folder: string): EngineModel {
  const manifest = readManifest(folder);
  const modelPath = join(folder, 'engine.onnx');
  if (!existsSync(modelPath)) throw new SluiceError('MODEL_INVALID', `${modelPath} is missing`);
  return {
    manifest,
    modelPath,
    shape: shapeOf(manifest, folder),
    weights: `${manifest.name}:${manifest.files['engine.onnx']?.sha256 ?? ''}`,
  };
}

function shapeOf(manifest: ModelManifest, folder: string): ModelShape {
  const graph = field(field(manifest, 'graph'), 'engine');
  const number = (name: string): number => {
    const value = field(graph, name);
    if (typeof value === 'number') return value;
    throw new SluiceError(
      'MODEL_INVALID',
      `${folder}/manifest.json has no number graph.engine.${name}`,
    );
  };
  const vocabulary = field(manifest, 'vocab_size');
  return {
    layers: number('layers'),
    kvHeads: number('kv_heads'),
    heads: number('heads'),
    headDim: number('head_dim'),
    ropeBase: number('rope_theta'),
    vocabularySize: typeof vocabulary === 'number' ? vocabulary : 0,
    trainedLength: manifest.context_length,
  };
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? Object.getOwnPropertyDescriptor(value, name)?.value
    : undefined;
}
