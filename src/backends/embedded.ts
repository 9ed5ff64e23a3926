/**
 * The backend that a fresh machine has: OpenAI chat and completions answered by the shipped model in this process.
 * It exists so that everything works offline and end to end; the model is far too small to be clever.
 */
import { once } from 'node:events';
import { SluiceError } from '../core/errors.ts';
import { loadGguf } from '../engine/gguf/load.ts';
import { loadEngine } from '../engine/load.ts';
import { readLengthRefusal } from './length-refusal.ts';
import type { TextEngine } from '../engine/types.ts';
import { generate } from './embedded-generate.ts';
import { Output } from './embedded-output.ts';
import { DialectError, readTextRequest } from './embedded-request.ts';
import type { Backend, ForwardHandle, ForwardHandler, ForwardRequest } from './types.ts';

export interface EmbeddedBackendOptions {
  /** Folder of a model of ours, or a `.gguf` file. */
  readonly folder: string;
  readonly threads: number;
  /** Tokens generated when a request names no limit. */
  readonly maxTokens: number;
  readonly queue: number;
  /** Bodies above this are refused. */
  readonly maxBodyBytes: number;
}

/** @throws SluiceError MODEL_INVALID */
export async function createEmbeddedBackend(options: EmbeddedBackendOptions): Promise<Backend> {
  const { folder } = options;
  const engine: TextEngine = folder.endsWith('.gguf')
    ? await loadGguf({ ...options, file: folder })
    : await loadEngine(options);
  return {
    kind: 'embedded',
    name: `embedded:${engine.name}`,
    capabilities: {
      prefixCache: true,
      reportsCachedTokens: true,
      tokenizeRoute: '/tokenize',
      contextWindow: engine.contextLimit,
      refusesLength: true,
      noticesAbort: true,
    },
    fingerprint: engine.fingerprint,
    tokenizer: engine.tokenizer,
    forward: (request, handler) => forward(request, handler, engine, options),
    refusedLength: readLengthRefusal,
    start: () => engine.start(),
    check: () => check(engine),
    close: () => engine.close(),
  };
}

/** Asking whether it is ready opens it: the answer is about the loaded model, never about the intention. */
async function check(engine: TextEngine): Promise<{ ok: boolean; detail: string }> {
  try {
    await engine.start();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { ok: false, detail: `${engine.name} is not loaded: ${why}` };
  }
  return engine.failure === null
    ? { ok: true, detail: `${engine.name} is loaded` }
    : { ok: false, detail: `${engine.name} has stopped: ${engine.failure}` };
}

function forward(
  request: ForwardRequest,
  handler: ForwardHandler,
  engine: TextEngine,
  options: EmbeddedBackendOptions,
): ForwardHandle {
  const output = new Output(handler);
  answer(request, output, engine, options).catch((error: unknown) => answerError(error, output));
  return output;
}

async function answer(
  request: ForwardRequest,
  output: Output,
  engine: TextEngine,
  options: EmbeddedBackendOptions,
): Promise<void> {
  const body = await bodyOf(request, options.maxBodyBytes);
  const path = request.path.split('?')[0] ?? '';
  switch (`${request.method} ${path}`) {
    case 'POST /v1/chat/completions':
      return generate(readTextRequest(body, true), output, engine, options.maxTokens);
    case 'POST /v1/completions':
      return generate(readTextRequest(body, false), output, engine, options.maxTokens);
    case 'GET /v1/models': {
      const model = { id: engine.name, object: 'model', created: 0, owned_by: 'sluice' };
      return json(output, {
        object: 'list',
        data: [{ ...model, max_model_len: engine.contextLimit }],
      });
    }
    case 'POST /tokenize':
      return tokenize(body, output, engine);
    case 'GET /health':
      return json(output, { status: 'ok' });
    default:
      throw new DialectError(404, `The embedded backend has no ${request.method} ${path}`);
  }
}

function answerError(error: unknown, output: Output): void {
  if (error instanceof DialectError) {
    const { status, message, type, param, code } = error;
    return json(output, { error: { message, type, param, code } }, status);
  }
  if (SluiceError.isInstance(error) && error.code === 'QUEUE_FULL') {
    const message = `${error.message}. ${error.remedy}`;
    return json(
      output,
      { error: { message, type: 'server_error', param: null, code: error.code } },
      503,
    );
  }
  output.fail(
    error instanceof Error ? error : new SluiceError('INTERNAL', 'The embedded backend failed'),
  );
}

function json(output: Output, value: unknown, status = 200): void {
  output.head(status, 'application/json');
  output.write(JSON.stringify(value));
  output.end();
}

async function bodyOf(request: ForwardRequest, limit: number): Promise<Uint8Array> {
  const { body } = request;
  if (body === null) return new Uint8Array(0);
  if (body instanceof Uint8Array) return body;
  const chunks: Buffer[] = [];
  let bytes = 0;
  body.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= limit) chunks.push(chunk);
  });
  await once(body, 'end');
  if (bytes > limit) {
    throw new DialectError(
      413,
      `The body has ${bytes} bytes, more than the ${limit} that are read`,
    );
  }
  return Buffer.concat(chunks);
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8'));
  } catch {
    throw new DialectError(400, 'The body is not JSON');
  }
}

function tokenize(body: Uint8Array, output: Output, engine: TextEngine): void {
  const value = parseJson(body);
  const content =
    typeof value === 'object' && value !== null && 'content' in value
      ? value.content
      : typeof value === 'object' && value !== null && 'prompt' in value
        ? value.prompt
        : null;
  if (typeof content !== 'string') {
    throw new DialectError(400, 'content (or prompt) must be a string', { param: 'content' });
  }
  const ids = [...engine.tokenizer.encode(content).ids];
  json(output, { tokens: ids, count: ids.length, max_model_len: engine.contextLimit });
}
