/** The engine without a worker: sequences under one scheme, computed on the calling thread. */
import { openSession } from '../score/session.ts';
import { readEngineModel } from './model.ts';
import { EngineRuntime } from './runtime.ts';
import type { SchemeConfig } from './schemes/create.ts';

export interface OpenRuntimeOptions {
  /** Folder with manifest.json and engine.onnx. */
  readonly folder: string;
  readonly scheme: SchemeConfig;
  /** Tokens whose KV may exist at once. */
  readonly kvTokens: number;
  readonly threads?: number;
}

export interface OpenRuntime {
  readonly runtime: EngineRuntime;
  /** Gives the model's memory back. */
  close(): Promise<void>;
}

/** @throws SluiceError MODEL_INVALID, or REQUEST_INVALID for a scheme that does not fit */
export async function openRuntime(options: OpenRuntimeOptions): Promise<OpenRuntime> {
  const { folder, scheme, kvTokens, threads = 1 } = options;
  const { modelPath, shape, weights } = readEngineModel(folder);
  const session = await openSession(modelPath, { threads });
  const runtime = new EngineRuntime(session, { shape, scheme, kvTokens, fingerprint: weights });
  return { runtime, close: () => session.release() };
}
