/** How routers of distributed engines are told which conversation a request belongs to. */

/**
 * The header that carries an opaque, stable name of the conversation, by router:
 * - production-stack: the one named by `--session-key`, by convention this one (`--routing-logic session`)
 * - vllm-router: with `--policy consistent_hash`
 * - llm-d: its session-aware plugins; what it sets itself (`x-session-token`) is the client's to send back
 * - sglang: SMG and sglang-router, policy `manual` or with `--routing-key-override`
 * - dynamo: a name only, unless its session affinity is on
 * - aibrix: with `routing-strategy: session-affinity`, at most 256 characters
 */
export const affinityHeaders = {
  'production-stack': 'x-session-id',
  'vllm-router': 'x-session-id',
  'llm-d': 'x-session-id',
  sglang: 'x-smg-routing-key',
  dynamo: 'x-dynamo-session-id',
  aibrix: 'x-aibrix-session-key',
} as const;

export type AffinityRouter = keyof typeof affinityHeaders;

/**
 * The headers to add to a forwarded request; none when it has that header already. OpenAI reads the field
 * `prompt_cache_key` of the body instead, which clients set themselves.
 * @param session Name of the conversation; ASCII without spaces, at most 256 characters
 */
export function affinityHeader(
  router: AffinityRouter,
  session: string,
  headers: readonly string[],
): readonly string[] {
  const name = affinityHeaders[router];
  const given = headers.some((field, at) => at % 2 === 0 && field.toLowerCase() === name);
  return given ? [] : [name, session];
}
