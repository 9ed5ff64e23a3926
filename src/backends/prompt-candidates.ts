/** The ways in which a server may render a request's prompt, and what requests have in common that are rendered alike. */
import { createHash } from 'node:crypto';
import type {
  ChatTemplate,
  PromptEncoder,
  RenderedChat,
  TextTokenizer,
} from '../tokenize/types.ts';
import { templateMessages, toolForms } from './chat-messages.ts';
import { field, text } from './json-fields.ts';
import {
  faithful,
  isGiven,
  parsed,
  type ChatPrompt,
  type Prompt,
  type TextPrompt,
} from './prompt-body.ts';
import { extraVariables } from './prompt-questions.ts';
import type { BackendKind } from './types.ts';

/** One way in which a server may make the prompt. */
export interface Candidate {
  /** Throws when the template refuses. */
  render(): RenderedChat;
  /** With the tokens that the tokenizer puts around a text. */
  readonly edges: boolean;
}

/** What is known of the server's model. */
export interface LocalModel {
  readonly kind: BackendKind;
  readonly tokenizer: TextTokenizer | null;
  readonly template: ChatTemplate | null;
}

export type AskedPrompt = Exclude<Prompt, { type: 'ids' }>;

/** In the order in which they are likely; none = not certain, or not known. */
export function candidatesOf(prompt: AskedPrompt, model: LocalModel): readonly Candidate[] {
  const encoder = model.tokenizer?.prompts;
  if (encoder === undefined) return [];
  if (prompt.type === 'text') return textCandidates(prompt, encoder);
  const { template, kind } = model;
  if (template === null) return [];
  const llama = kind === 'llamacpp';
  const inputs = llama ? llamaInputs(prompt) : chatInputs(prompt, template);
  const withEdges = llama && hasEdges(encoder) ? [false, true] : [false];
  return inputs.flatMap((input) => {
    let rendered: RenderedChat | null = null;
    const render = (): RenderedChat => (rendered ??= template.render(input));
    return withEdges.map((edges) => ({ render, edges }));
  });
}

function textCandidates(prompt: TextPrompt, encoder: PromptEncoder): Candidate[] {
  const render = (): RenderedChat => ({ text: prompt.text, clock: [] });
  const plain = { render, edges: false };
  const added = parsed(prompt.members.get('add_special_tokens')) !== false;
  if (!added || !hasEdges(encoder)) return encoder.edges === null && added ? [] : [plain];
  return [{ render, edges: true }, plain];
}

function hasEdges({ edges }: PromptEncoder): boolean {
  return edges !== null && edges.before.length + edges.after.length > 0;
}

type Input = Parameters<ChatTemplate['render']>[0];

/** What vLLM and servers like it render. None = not certain. */
function chatInputs(prompt: ChatPrompt, template: ChatTemplate): Input[] {
  const { members } = prompt;
  if (needsServer(members)) return [];
  const toolsJson = members.get('tools');
  const tools = isGiven(toolsJson) ? faithful(toolsJson) : null;
  const variables = variablesOf(members);
  if (variables === null || (tools !== null && !Array.isArray(tools))) return [];
  const withTools = tools !== null;
  const messages = templateMessages(prompt.messages, {
    format: template.contentFormat(withTools),
    developer: template.namesDeveloper(withTools),
  });
  if (messages === null) return [];
  const addGenerationPrompt = parsed(members.get('add_generation_prompt')) !== false;
  const forms = tools === null ? [null] : toolForms.map((form) => form(tools));
  return forms.map((form) => ({ messages, tools: form, addGenerationPrompt, variables }));
}

/** llama.cpp changes much depending on the template: only plain turns are certain. None = not certain. */
function llamaInputs(prompt: ChatPrompt): Input[] {
  const { members, messages } = prompt;
  const more = [
    'tools',
    'chat_template_kwargs',
    'reasoning_effort',
    'response_format',
    'json_schema',
  ];
  if (needsServer(members) || more.some((name) => isGiven(members.get(name)))) return [];
  const roles = new Set(['system', 'user', 'assistant']);
  const plain = messages.every(
    ({ role, content, raw }) =>
      roles.has(role) && typeof content === 'string' && Object.keys(raw).length === 2,
  );
  // It goes on with a last message of the assistant.
  if (!plain || messages.at(-1)?.role === 'assistant') return [];
  const addGenerationPrompt = parsed(members.get('add_generation_prompt')) !== false;
  const given = messages.map(({ role, content }) => ({ role, content }));
  return [{ messages: given, tools: null, addGenerationPrompt, variables: {} }];
}

/** Members whose effect only the server knows. */
function needsServer(members: ReadonlyMap<string, string>): boolean {
  return (
    isGiven(members.get('chat_template')) ||
    parsed(members.get('continue_final_message')) === true ||
    parsed(members.get('add_special_tokens')) === true
  );
}

/** Variables of the template; null = not certain. */
function variablesOf(members: ReadonlyMap<string, string>): Record<string, unknown> | null {
  const variables: Record<string, unknown> = {};
  const given = members.get('chat_template_kwargs');
  if (isGiven(given)) {
    const values = faithful(given);
    if (typeof values !== 'object' || values === null) return null;
    Object.assign(variables, values);
  }
  for (const [name, json] of extraVariables(members)) {
    const value = faithful(json);
    if (value === undefined) return null;
    variables[name] = value;
  }
  return 'messages' in variables || 'tools' in variables ? null : variables;
}

/** Requests of one shape go through the same parts of a template and of an engine. Holds no prompt text. */
export function shapeOf(prompt: AskedPrompt, clock: string): string {
  const { members, model } = prompt;
  const features = new Set<string>();
  if (prompt.type === 'chat') {
    for (const { role, content, raw } of prompt.messages) {
      const kind = content === null ? 'none' : typeof content === 'string' ? 'text' : 'parts';
      features.add(`${role}:${kind}:${Object.keys(raw).toSorted().join()}:${callTypes(raw)}`);
    }
    features.add(`last:${prompt.messages.at(-1)?.role ?? ''}`);
  }
  const shaping = ['tools', 'tool_choice', 'add_generation_prompt', 'add_special_tokens'];
  const more = ['chat_template_kwargs', 'reasoning_effort', 'documents', 'chat_template'];
  const values = [...shaping, ...more].map((name) => members.get(name) ?? '');
  const parts = [prompt.type, model, clock, ...[...features].toSorted(), ...values];
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64');
}

/** Types of the values in tool calls: templates write each type in a way of its own. */
function callTypes(raw: object): string {
  const calls = field(raw, 'tool_calls');
  if (!Array.isArray(calls)) return '';
  const types = new Set<string>();
  for (const call of calls) {
    const given = text(field(field(call, 'function'), 'arguments')) ?? '';
    addTypes(parsed(given), types, 0);
  }
  return `${calls.length > 1 ? 'several' : 'one'}${[...types].toSorted().join()}`;
}

function addTypes(value: unknown, types: Set<string>, depth: number): void {
  const type = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
  const whole = typeof value === 'number' && !Number.isInteger(value) ? 'float' : type;
  types.add(`${Math.min(depth, 2)}${whole}`);
  if (typeof value !== 'object' || value === null || depth > 8) return;
  for (const item of Object.values(value)) addTypes(item, types, depth + 1);
}
