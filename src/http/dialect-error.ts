/** Errors of ours on dialect and pass-through routes, in the shape that the dialect's clients read. */
import type { ServerResponse } from 'node:http';
import type { SluiceError } from '../core/errors.ts';
import type { RawHeaders } from './headers.ts';

/** Answers `{"error":{message,type,code}}`; the response head must not have been sent. */
export function sendDialectError(
  response: ServerResponse,
  error: SluiceError,
  extraHeaders: RawHeaders,
): void {
  if (response.destroyed) return;
  const body = JSON.stringify({
    error: {
      message: `${error.message}. ${error.remedy}`,
      type: error.status < 500 ? 'invalid_request_error' : 'upstream_error',
      param: null,
      code: error.code,
    },
  });
  response.writeHead(error.status, [
    'content-type',
    'application/json',
    'content-length',
    String(Buffer.byteLength(body)),
    ...extraHeaders,
  ]);
  response.end(body);
}
