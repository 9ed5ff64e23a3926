/**
 * node-llama-cpp as far as it is used here. It is not a dependency: with its binaries for every kind of GPU it takes
 * hundreds of megabytes, so whoever wants to serve a GGUF file installs it beside Sluice.
 */
import { SluiceError } from '../../core/errors.ts';

export interface LlamaSequence {
  readonly contextTokens: readonly number[];
  /** Keeps the longest common prefix of its state and `tokens`. */
  adaptStateToTokens(tokens: readonly number[], allowShift: boolean): Promise<void>;
  /** Reads `tokens`, then generates one token after the other until the consumer stops. */
  evaluate(
    tokens: readonly number[],
    options: {
      readonly temperature: number;
      readonly topP: number;
      readonly topK: number;
      readonly minP: number;
      readonly seed: number;
      readonly yieldEogToken: boolean;
    },
  ): AsyncGenerator<number, void, void>;
}

export interface LlamaModel {
  readonly tokens: { readonly bos: number | null; readonly shouldPrependBosToken: boolean };
  readonly fileInfo: { readonly metadata: unknown };
  tokenize(text: string, specialTokens: boolean, how?: 'trimLeadingSpace'): readonly number[];
  detokenize(tokens: readonly number[], specialTokens: boolean): string;
  isEogToken(token: number): boolean;
  createContext(options: {
    readonly sequences: number;
    readonly contextSize: number;
    readonly threads: number;
  }): Promise<LlamaContext>;
  dispose(): Promise<void>;
}

export interface LlamaContext {
  getSequence(): LlamaSequence;
  readonly contextSize: number;
}

export interface Llama {
  loadModel(options: {
    readonly modelPath: string;
    readonly vocabOnly?: boolean;
  }): Promise<LlamaModel>;
  dispose(): Promise<void>;
}

export interface LlamaLibrary {
  getLlama(options: {
    readonly build: 'never';
    readonly logLevel: 'error';
    readonly skipDownload: true;
  }): Promise<Llama>;
}

/** A name that no bundler and no compiler looks for. */
const packageName: string = 'node-llama-cpp';

/** @throws SluiceError MODEL_INVALID when the package is not installed or has no binary for this machine */
export async function openLlama(
  load: () => Promise<LlamaLibrary> = () => import(packageName),
): Promise<Llama> {
  const library = await load().catch((cause: unknown) => {
    throw new SluiceError(
      'MODEL_INVALID',
      'Serving a GGUF file needs the package node-llama-cpp, which is not installed (npm install node-llama-cpp@3)',
      { cause },
    );
  });
  try {
    return await library.getLlama({ build: 'never', skipDownload: true, logLevel: 'error' });
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : String(cause);
    throw new SluiceError('MODEL_INVALID', `node-llama-cpp cannot run here: ${found}`, { cause });
  }
}
