/** One question of ours to a backend. */
import { SluiceError } from '../../core/errors.ts';
import { TooLong } from '../../core/too-long.ts';
import type { Backend, ForwardRequest } from '../../backends/types.ts';

/** Bytes of an answer that are read. */
const maxAnswerBytes = 16 << 20;

/** A backend that answered a question of ours with another status than 200. */
export class AnsweredStatus extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`The backend answered ${status}`);
    this.name = 'AnsweredStatus';
    this.status = status;
  }
}

/** @throws TooLong, AnsweredStatus, SluiceError ABORTED or of the connection */
export function askBackend(
  backend: Backend,
  request: ForwardRequest,
  signal: AbortSignal,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    let status = 0;
    const gone = (): void => {
      handle.abort();
      reject(new SluiceError('ABORTED', 'The caller went away'));
    };
    const done = (settle: () => void): void => {
      signal.removeEventListener('abort', gone);
      settle();
    };
    const handle = backend.forward(request, {
      onHead: (code) => {
        status = code;
      },
      onData: (chunk) => {
        bytes += chunk.length;
        if (bytes <= maxAnswerBytes) chunks.push(Buffer.from(chunk));
        return true;
      },
      onEnd: () =>
        done(() => {
          const body = Buffer.concat(chunks);
          if (status === 200) return resolve(body);
          const refusal = backend.refusedLength?.(status, body) ?? null;
          reject(refusal === null ? new AnsweredStatus(status) : new TooLong(refusal));
        }),
      onError: (error) => done(() => reject(error)),
    });
    if (signal.aborted) gone();
    else signal.addEventListener('abort', gone, { once: true });
  });
}

/** The client's headers for a question of ours: another length, and an answer that can be read. */
export function questionHeaders(headers: readonly string[], length: number): string[] {
  const kept: string[] = [];
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at] ?? '';
    const lower = name.toLowerCase();
    if (lower === 'content-length' || lower === 'accept-encoding') continue;
    kept.push(name, headers[at + 1] ?? '');
  }
  return [...kept, 'accept-encoding', 'identity', 'content-length', String(length)];
}

/** The client's headers for its own request with other bytes. */
export function finalHeaders(headers: readonly string[], length: number): string[] {
  const kept: string[] = [];
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at] ?? '';
    if (name.toLowerCase() !== 'content-length') kept.push(name, headers[at + 1] ?? '');
  }
  return [...kept, 'content-length', String(length)];
}
