/** Kinds of server or API that can stand behind Sluice. */
export const backendKinds = [
  'openai',
  'vllm',
  'sglang',
  'llamacpp',
  'ollama',
  'tgi',
  'anthropic',
  'embedded',
] as const;
export type BackendKind = (typeof backendKinds)[number];

/** Kinds that are started by their owner, with flags for positions: those that extensions are planned for. */
export const planServers = [
  'vllm',
  'sglang',
  'llamacpp',
  'ollama',
] as const satisfies readonly BackendKind[];

export type PlanServer = (typeof planServers)[number];
