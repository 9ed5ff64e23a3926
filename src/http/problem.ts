/** Errors on Sluice's own routes: RFC 9457 problem documents. */
import { SluiceError } from '../core/errors.ts';

export interface ProblemDocument {
  /** `urn:sluice:error:<code>`; docs/errors.md describes every code. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly remedy: string;
  readonly request_id: string;
}

export function problemDocument(error: SluiceError, requestId: string): ProblemDocument {
  return {
    type: `urn:sluice:error:${error.code}`,
    title: titleOf(error.code),
    status: error.status,
    detail: error.message,
    code: error.code,
    remedy: error.remedy,
    request_id: requestId,
  };
}

/** `BODY_TOO_LARGE` reads `Body too large`. */
function titleOf(code: string): string {
  const words = code.toLowerCase().replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Any thrown value as an error of ours. */
export function asSluiceError(error: unknown): SluiceError {
  if (SluiceError.isInstance(error)) return error;
  return new SluiceError('INTERNAL', 'The request could not be handled', { cause: error });
}
