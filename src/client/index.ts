/**
 * The typed client of Sluice's own routes: paths, bodies and answers are checked against openapi.yaml at compile time.
 *
 * ```ts
 * const client = createClient({ baseUrl: 'http://127.0.0.1:8790' });
 * const { data, error } = await client.POST('/v1/compress', { body: { text, rate: 0.5 } });
 * ```
 */
import createFetchClient from 'openapi-fetch';
import type { Client } from 'openapi-fetch';
import type { components, operations, paths } from './schema.ts';

export type { components, operations, paths };

/** `GET`, `POST` and so on, each limited to the paths that have the method. */
export type SluiceClient = Client<paths>;

type Schemas = components['schemas'];
export type CompressTextRequest = Schemas['CompressTextRequest'];
export type CompressTextResponse = Schemas['CompressTextResponse'];
export type CompressMessagesRequest = Schemas['CompressMessagesRequest'];
export type CompressMessagesResponse = Schemas['CompressMessagesResponse'];
export type RequestReport = Schemas['RequestReport'];
export type SpanReport = Schemas['SpanReport'];
export type ExplainResponse = Schemas['ExplainResponse'];
export type ConversationPlan = Schemas['ConversationPlan'];
export type Totals = Schemas['Totals'];
export type Problem = Schemas['Problem'];

export interface ClientOptions {
  /** Address of the proxy, e.g. `http://127.0.0.1:8790`. */
  readonly baseUrl: string;
  /** Sent with every request, e.g. `x-sluice-tenant`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Takes the place of the global `fetch`, e.g. to add a proxy or a time limit. */
  readonly fetch?: (request: Request) => Promise<Response>;
}

/** A client over `fetch`; it holds no state and nothing has to be closed. */
export function createClient(options: ClientOptions): SluiceClient {
  const { baseUrl, headers, fetch } = options;
  return createFetchClient<paths>({
    baseUrl,
    ...(headers === undefined ? {} : { headers }),
    ...(fetch === undefined ? {} : { fetch }),
  });
}
