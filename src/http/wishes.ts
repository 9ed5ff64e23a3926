/** The `x-sluice-*` request headers, checked. */
import { SluiceError } from '../core/errors.ts';
import { methodNames, type MethodName } from '../core/method.ts';
import type { Wishes } from '../gateway/types.ts';

const sessionLength = 256;
const mostWindows = 1000;
const tenantPattern = /^[\w.:@-]{1,128}$/;

export const defaultTenant = 'default';

/**
 * A client's wishes from its headers (lower-case name to value).
 *
 * @throws SluiceError REQUEST_INVALID naming the header: a wish that cannot be understood is not ignored
 */
export function readWishes(headers: ReadonlyMap<string, string> | null): Wishes {
  if (headers === null) return {};
  const windows = windowsOf(headers.get('x-sluice-windows'));
  const compress = compressOf(headers.get('x-sluice-compress'));
  const rate = numberIn('x-sluice-rate', headers.get('x-sluice-rate'), 1);
  const target = numberIn('x-sluice-target-tokens', headers.get('x-sluice-target-tokens'), 2 ** 31);
  const method = methodOf(headers.get('x-sluice-method'));
  const session = sessionOf(headers.get('x-sluice-session'));
  return {
    ...(compress === undefined ? {} : { compress }),
    ...(rate === undefined ? {} : { rate }),
    ...(target === undefined ? {} : { targetTokens: Math.max(1, Math.floor(target)) }),
    ...(method === undefined ? {} : { method }),
    ...(session === undefined ? {} : { session }),
    ...(windows === undefined ? {} : { windows }),
  };
}

function compressOf(value: string | undefined): boolean | undefined {
  if (value === undefined) return undefined;
  const lower = value.toLowerCase();
  if (lower === 'on' || lower === 'off') return lower === 'on';
  throw invalid('x-sluice-compress', value, "'on' or 'off'");
}

function windowsOf(value: string | undefined): 'off' | 'auto' | number | undefined {
  if (value === undefined) return undefined;
  const lower = value.toLowerCase();
  if (lower === 'off' || lower === 'auto') return lower;
  const number = /^\d{1,4}$/.test(lower) ? Number(lower) : 0;
  if (number > 0 && number <= mostWindows) return number;
  throw invalid('x-sluice-windows', value, `'off', 'auto' or a number from 1 to ${mostWindows}`);
}

function methodOf(value: string | undefined): MethodName | undefined {
  if (value === undefined) return undefined;
  const known = methodNames.find((name) => name === value);
  if (known !== undefined) return known;
  throw invalid('x-sluice-method', value, `one of ${methodNames.join(', ')}`);
}

function sessionOf(value: string | undefined): string | undefined {
  if (value === undefined || (value !== '' && value.length <= sessionLength)) return value;
  throw invalid('x-sluice-session', value, `1 to ${sessionLength} characters`);
}

/** The tenant that a request belongs to; the header counts only behind a trusted hop. */
export function readTenant(
  headers: ReadonlyMap<string, string> | null,
  trustHeader: boolean,
): string {
  const named = trustHeader ? headers?.get('x-sluice-tenant') : undefined;
  if (named === undefined) return defaultTenant;
  if (!tenantPattern.test(named)) {
    throw invalid('x-sluice-tenant', named, '1 to 128 letters, digits or any of . : @ _ -');
  }
  return named;
}

function numberIn(name: string, value: string | undefined, upTo: number): number | undefined {
  if (value === undefined) return undefined;
  const number = value.trim() === '' ? Number.NaN : Number(value);
  if (number > 0 && number <= upTo) return number;
  throw invalid(name, value, `a number above 0 and up to ${upTo}`);
}

function invalid(name: string, value: string, expected: string): SluiceError {
  const shown = value.length > 64 ? `${value.slice(0, 64)}...` : value;
  return new SluiceError('REQUEST_INVALID', `Header ${name}: '${shown}' is not ${expected}`);
}
