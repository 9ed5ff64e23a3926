/**
 * What engines hand to a chat template for the messages and tools of a request: they fill in, join and parse. Restated
 * from the behaviour of vLLM 0.32; where it is not certain, there is no answer.
 */
import { field, text } from './json-fields.ts';
import { faithful, type TextMessage, type TextPart } from './prompt-body.ts';

type Fields = Record<string, unknown>;

export interface MessageRules {
  /** See `ChatTemplate.contentFormat`. */
  readonly format: 'string' | 'parts';
  /** The template knows the role `developer`. */
  readonly developer: boolean;
}

/** Only as a line of its own in front of a system text, and engines take it away. */
const billingHeader = 'x-anthropic-billing-header';

/** @returns null when it is not certain */
export function templateMessages(
  messages: readonly TextMessage[],
  rules: MessageRules,
): Fields[] | null {
  const given: Fields[] = [];
  for (const message of messages) {
    const fields = templateMessage(message, rules);
    if (fields === null) return null;
    given.push(fields);
  }
  return given;
}

function templateMessage(message: TextMessage, rules: MessageRules): Fields | null {
  const { role, raw } = message;
  if (role === 'developer' && !rules.developer) return null;
  const parts = partsOf(message);
  if (role === 'system' && parts.some((part) => part.text.startsWith(billingHeader))) return null;
  const asText = rules.format === 'string' || role === 'tool';
  const content = asText ? parts.map((part) => part.text).join('\n') : parts;
  const fields: Fields = { role, content };
  if (!addFieldsOfRole(fields, role, raw)) return null;
  for (const name of ['name', 'task']) {
    const value = text(field(raw, name));
    if (value !== null) fields[name] = value;
  }
  return fields;
}

/** False = not certain. */
function addFieldsOfRole(fields: Fields, role: string, raw: object): boolean {
  if (role === 'developer') fields['tools'] = field(raw, 'tools') ?? null;
  const callId = field(raw, 'tool_call_id');
  if (role === 'tool' && callId !== undefined) fields['tool_call_id'] = callId;
  if (role !== 'assistant') return true;
  const reasoning = field(raw, 'reasoning') ?? field(raw, 'reasoning_content') ?? null;
  const calls = addToolCalls(fields, field(raw, 'tool_calls'));
  if (reasoning !== null) {
    fields['reasoning'] = reasoning;
    fields['reasoning_content'] = reasoning;
  }
  return calls;
}

function partsOf({ content }: TextMessage): readonly TextPart[] {
  if (content === null) return [];
  return typeof content === 'string' ? [{ type: 'text', text: content }] : content;
}

/** Arguments that came as JSON text become values. False = not certain. */
function addToolCalls(fields: Fields, calls: unknown): boolean {
  if (calls === undefined || calls === null) return true;
  if (!Array.isArray(calls)) return false;
  if (calls.length === 0) return true;
  const parsedCalls: unknown[] = [];
  for (const call of calls) {
    const called = field(call, 'function');
    if (typeof called !== 'object' || called === null || field(call, 'type') !== 'function')
      return false;
    const given = field(called, 'arguments');
    if (typeof given !== 'string') return false;
    const values = given === '' ? {} : faithful(given);
    if (typeof values !== 'object' || values === null || Array.isArray(values)) return false;
    parsedCalls.push({ ...call, function: { ...called, arguments: values } });
  }
  fields['tool_calls'] = parsedCalls;
  return true;
}

/** How a list of tools may reach the template; which of them it is depends on the engine and its version. */
export const toolForms: readonly ((tools: readonly unknown[]) => readonly unknown[])[] = [
  // vLLM: its own fields only, in their order, filled with null
  (tools) =>
    tools.map((tool) => ({
      type: 'function',
      function: withFields(field(tool, 'function'), ['name', 'description', 'parameters']),
    })),
  // as sent
  (tools) => tools,
  // SGLang: its own fields in another order
  (tools) =>
    tools.map((tool) => {
      const called = field(tool, 'function');
      const fields = withFields(called, ['description', 'name', 'parameters']);
      return {
        type: 'function',
        function: { ...fields, strict: field(called, 'strict') === true },
      };
    }),
];

function withFields(value: unknown, names: readonly string[]): Fields {
  const fields: Fields = Object.fromEntries(
    names.map((name) => [name, field(value, name) ?? null]),
  );
  const strict = field(value, 'strict');
  if (typeof strict === 'boolean' && names[0] === 'name') fields['strict'] = strict;
  return fields;
}
