/**
 * The one place that opens an ONNX session. `run` of onnxruntime-node computes on the calling thread (it only
 * defers by one turn of the event loop), so sessions are opened inside worker threads: the scorers' own, and the
 * engine's.
 */
import { readFile } from 'node:fs/promises';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { SluiceError } from '../core/errors.ts';

export { Tensor };

/** A loaded model: `run(feeds, fetches)`, `inputNames`, `inputMetadata`, `outputNames`, `release()`. */
export type OrtSession = InferenceSession;

export interface SessionOptions {
  /** Intra-op threads, at least 1; workers x threads should not exceed the cores. */
  readonly threads: number;
  /** Where a model given as bytes has its external data files, if any. */
  readonly folder?: string;
}

/**
 * Opens a model for the CPU: all graph optimisations, operators one after another, threads that sleep instead of
 * spinning while they wait (the process shares its cores with a server).
 *
 * @param model Path of an .onnx file, or its bytes (a serialised ModelProto without external data).
 * @throws SluiceError MODEL_INVALID when the file is missing or ONNX Runtime refuses it
 */
export async function openSession(
  model: string | Uint8Array,
  options: SessionOptions,
): Promise<OrtSession> {
  const settings: InferenceSession.SessionOptions = {
    executionProviders: ['cpu'],
    intraOpNumThreads: Math.max(1, Math.floor(options.threads)),
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
    extra: {
      session: {
        intra_op: { allow_spinning: '0' },
        ...(options.folder === undefined
          ? {}
          : { model_external_initializers_file_folder_path: options.folder }),
      },
    },
  };
  try {
    if (typeof model === 'string') return await InferenceSession.create(model, settings);
    return await InferenceSession.create(model, settings);
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : String(cause);
    const what = typeof model === 'string' ? model : `a model of ${model.byteLength} bytes`;
    throw new SluiceError('MODEL_INVALID', `ONNX Runtime cannot open ${what}: ${found}`, { cause });
  }
}

/** Reads a model file into memory, for models that are changed before they are opened. */
export async function readModelBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new SluiceError('MODEL_INVALID', `Cannot read the model file ${path}`, { cause });
  }
}
