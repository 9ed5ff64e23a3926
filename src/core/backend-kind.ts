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
