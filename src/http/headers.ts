/** Which header fields cross the proxy. Pure functions over raw lists: name, value, name, value, ... */

export type RawHeaders = readonly string[];

/** Meant for one connection only (RFC 9110 section 7.6.1), plus the proxy's own credentials (section 11.7). */
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-authentication-info',
]);

/** What the proxy must know of a request's head, and what goes on to the upstream. */
export interface RequestHead {
  /** End-to-end fields as they came, without `host`, `content-length`, `expect`, `trailer` and `x-sluice-*`. */
  readonly forwarded: string[];
  /** `x-sluice-*` fields by lower-case name; null when there are none. */
  readonly sluice: ReadonlyMap<string, string> | null;
  /** Bytes of the body as announced; null = not announced. */
  readonly contentLength: number | null;
  readonly chunked: boolean;
  readonly contentEncoding: string | null;
  readonly upgrade: string | null;
}

/**
 * Splits a request's header list. `host` is the upstream's own (RFC 9110 section 7.2), `content-length` is set from
 * what is forwarded, `expect` was answered by this server (section 10.1.1), request trailers are discarded
 * (section 6.5.1) and with them their announcement.
 */
export function splitRequestHeaders(raw: RawHeaders): RequestHead {
  const forwarded: string[] = [];
  let sluice: Map<string, string> | null = null;
  let contentLength: number | null = null;
  let chunked = false;
  let contentEncoding: string | null = null;
  let upgrade: string | null = null;
  const named = connectionOptions(raw);
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? '';
    const value = raw[at + 1] ?? '';
    const lower = name.toLowerCase();
    if (lower === 'content-length') contentLength = Number(value);
    else if (lower === 'transfer-encoding') chunked = true;
    else if (lower === 'upgrade') upgrade = value;
    else if (lower.startsWith('x-sluice-')) (sluice ??= new Map()).set(lower, value.trim());
    else if (!dropped(lower, named)) {
      if (lower === 'content-encoding') contentEncoding = joined(contentEncoding, value);
      forwarded.push(name, value);
    }
  }
  return { forwarded, sluice, contentLength, chunked, contentEncoding, upgrade };
}

function dropped(lower: string, named: ReadonlySet<string> | null): boolean {
  if (lower === 'host' || lower === 'expect' || lower === 'trailer') return true;
  return hopByHop.has(lower) || (named !== null && named.has(lower));
}

function joined(before: string | null, value: string): string {
  return before === null ? value : `${before}, ${value}`;
}

/**
 * End-to-end fields of a response, as they came and in their order, duplicates included. An upstream's own
 * `x-sluice-*` fields are left out, since this proxy adds its own.
 */
export function forwardedResponseHeaders(raw: RawHeaders): string[] {
  const named = connectionOptions(raw);
  const forwarded: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? '';
    const lower = name.toLowerCase();
    if (hopByHop.has(lower) || lower.startsWith('x-sluice-')) continue;
    if (named !== null && named.has(lower)) continue;
    forwarded.push(name, raw[at + 1] ?? '');
  }
  return forwarded;
}

/** Fields that `Connection` names are meant for this hop only (RFC 9110 section 7.6.1); null = it names none. */
export function connectionOptions(raw: RawHeaders): ReadonlySet<string> | null {
  let named: Set<string> | null = null;
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? '';
    if (name.length !== 10 || name.toLowerCase() !== 'connection') continue;
    for (const option of (raw[at + 1] ?? '').split(',')) {
      const lower = option.trim().toLowerCase();
      // `close` and `keep-alive` speak about the connection itself; a framing field cannot be named away.
      if (lower === '' || lower === 'close' || lower === 'keep-alive') continue;
      if (lower === 'content-length') continue;
      (named ??= new Set()).add(lower);
    }
  }
  return named;
}
