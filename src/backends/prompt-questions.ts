/** The tokens of a prompt, asked of the server that will get it. */
import { field, text, tokenIds } from './json-fields.ts';
import { isGiven, type ChatPrompt, type Prompt, type TextPrompt } from './prompt-body.ts';
import { Questions, type Answer, type Ask } from './questions.ts';
import type { BackendKind } from './types.ts';

/** These questions stand in the way of requests. */
export const promptsAskedAtOnce = 4;
const limits = { atOnce: promptsAskedAtOnce, mayWait: 64, askMs: 1000 };

/** null = not told. Never rejects. */
export type AskPrompt = (
  prompt: Exclude<Prompt, { type: 'ids' }>,
  body: Uint8Array,
  signal: AbortSignal,
) => Promise<Uint32Array | null>;

interface Asking {
  readonly ask: Ask;
  readonly questions: Questions;
}

/** Null when this kind of server is not known to tell. */
export function createPromptQuestions(kind: BackendKind, ask: Ask): AskPrompt | null {
  const questions = new Questions(limits);
  const asking = { ask, questions };
  switch (kind) {
    case 'vllm':
      return (prompt, _, signal) =>
        questions.ask(signal, (limited) => askVllm(asking, prompt, limited));
    case 'sglang':
      // It tokenizes texts; its chat template is not on offer.
      return (prompt, _, signal) =>
        prompt.type === 'chat'
          ? Promise.resolve(null)
          : questions.ask(signal, (limited) => askVllm(asking, prompt, limited));
    case 'llamacpp':
      return (prompt, body, signal) =>
        questions.ask(signal, (limited) => askLlamaCpp(asking, { prompt, body }, limited));
    default:
      return null;
  }
}

async function askVllm(
  { ask, questions }: Asking,
  prompt: ChatPrompt | TextPrompt,
  signal: AbortSignal,
): Promise<Uint32Array | null> {
  const answer = await ask('/tokenize', vllmQuestion(prompt), signal);
  // A model that it does not know says nothing about the route.
  if (answer.status === 404 && field(answer.json, 'error') !== undefined) return null;
  return idsOf(answer, questions);
}

/** The request's own members as they stand there, under the names that `/tokenize` has for them. */
function vllmQuestion(prompt: ChatPrompt | TextPrompt): string {
  const { members } = prompt;
  const asked = new Map<string, string>();
  const copy = (name: string): void => {
    const json = members.get(name);
    if (isGiven(json)) asked.set(name, json);
  };
  copy('model');
  copy('add_special_tokens');
  if (prompt.type === 'text') {
    asked.set('prompt', JSON.stringify(prompt.text));
    return objectOf(asked);
  }
  asked.set('messages', messagesOf(prompt));
  for (const name of ['tools', 'add_generation_prompt', 'continue_final_message', 'chat_template'])
    copy(name);
  const variables = templateVariables(members);
  if (variables !== null) asked.set('chat_template_kwargs', variables);
  return objectOf(asked);
}

/** `/tokenize` does not know the older name of reasoning, which the chat route takes. */
function messagesOf({ members, messages }: ChatPrompt): string {
  const older = messages.some(({ raw }) => (field(raw, 'reasoning_content') ?? null) !== null);
  if (!older) return members.get('messages') ?? '[]';
  return JSON.stringify(
    messages.map(({ raw }) => {
      const reasoning = field(raw, 'reasoning') ?? field(raw, 'reasoning_content');
      return reasoning === undefined ? raw : { ...raw, reasoning };
    }),
  );
}

/** What the chat route passes to the template beside `chat_template_kwargs`. null = nothing is to be passed. */
function templateVariables(members: ReadonlyMap<string, string>): string | null {
  const given = members.get('chat_template_kwargs');
  const more = extraVariables(members);
  if (more.size === 0) return isGiven(given) ? given : null;
  if (!isGiven(given)) return objectOf(more);
  const inner = given.trim().slice(1, -1).trim();
  const added = objectOf(more).slice(1);
  // Of a key that stands there twice the later one counts.
  return inner === '' ? `{${added}` : `{${inner},${added}`;
}

/** Variables that the chat route derives from other members, as JSON texts. */
export function extraVariables(members: ReadonlyMap<string, string>): Map<string, string> {
  const more = new Map<string, string>();
  const documents = members.get('documents');
  if (isGiven(documents)) more.set('documents', documents);
  const effort = members.get('reasoning_effort');
  if (!isGiven(effort)) return more;
  more.set('reasoning_effort', effort);
  if (!/"enable_thinking"\s*:/.test(members.get('chat_template_kwargs') ?? ''))
    more.set('enable_thinking', String(effort !== '"none"'));
  return more;
}

async function askLlamaCpp(
  { ask, questions }: Asking,
  { prompt, body }: { readonly prompt: ChatPrompt | TextPrompt; readonly body: Uint8Array },
  signal: AbortSignal,
): Promise<Uint32Array | null> {
  let content = prompt.type === 'text' ? prompt.text : null;
  if (content === null) {
    const rendered = await ask('/apply-template', Buffer.from(body).toString(), signal);
    // 500: the template refuses this one request.
    if (rendered.status === 500 || !questions.learn(rendered.status)) return null;
    content = text(field(rendered.json, 'prompt'));
    if (content === null) return null;
  }
  const question = { content, add_special: true, parse_special: true };
  return idsOf(await ask('/tokenize', JSON.stringify(question), signal), questions);
}

function idsOf({ status, json }: Answer, questions: Questions): Uint32Array | null {
  return questions.learn(status) ? tokenIds(field(json, 'tokens')) : null;
}

function objectOf(members: ReadonlyMap<string, string>): string {
  return `{${Array.from(members, ([name, json]) => `${JSON.stringify(name)}:${json}`).join(',')}}`;
}
