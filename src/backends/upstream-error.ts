/** Errors of the connection to an upstream, as errors of ours with the original as cause. */
import { SluiceError, type ErrorCode } from '../core/errors.ts';

/** Nothing was sent: name not found, nobody listens, no route. */
const refused: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'EADDRNOTAVAIL',
  'EACCES',
  'EPERM',
]);

const timeouts: Readonly<Record<string, string>> = {
  UND_ERR_CONNECT_TIMEOUT: 'did not accept the connection in time',
  ETIMEDOUT: 'did not accept the connection in time',
  UND_ERR_HEADERS_TIMEOUT: 'sent no response head in time',
  UND_ERR_BODY_TIMEOUT: 'fell silent in mid-response',
};

/** What went wrong with `target` (label without credentials). Keeps errors of ours as they are. */
export function upstreamError(error: Error, target: string): SluiceError {
  if (SluiceError.isInstance(error)) return error;
  const code = codeOf(error);
  const make = (kind: ErrorCode, what: string): SluiceError =>
    new SluiceError(kind, `Upstream ${target} ${what} (${code})`, { cause: error });
  if (refused.has(code)) return make('UPSTREAM_REFUSED', 'could not be reached');
  const late = timeouts[code];
  if (late !== undefined) return make('UPSTREAM_TIMEOUT', late);
  if (code.startsWith('ERR_TLS') || code.startsWith('CERT_') || code.includes('CERT')) {
    return make('UPSTREAM_REFUSED', 'has no certificate that is trusted here');
  }
  if (code === 'UND_ERR_DESTROYED' || code === 'UND_ERR_CLOSED') {
    return make('NOT_READY', 'is not used any more: Sluice is stopping');
  }
  if (code === 'UND_ERR_INVALID_ARG' || code === 'UND_ERR_NOT_SUPPORTED') {
    return make('REQUEST_INVALID', `cannot be sent this request: ${error.message}`);
  }
  if (code === 'HPE_INVALID' || code.startsWith('HPE_')) {
    return make('UPSTREAM_RESET', 'answered something that is not HTTP/1.1');
  }
  return make('UPSTREAM_RESET', 'broke the connection');
}

function codeOf(error: Error): string {
  const code: unknown = 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : error.name;
}
