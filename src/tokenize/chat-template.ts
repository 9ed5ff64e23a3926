/** Chat templates of model folders, rendered as transformers' `apply_chat_template` does. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';
import { contentFormatOf } from './content-format.ts';
import { isRecord, stringAt } from './definition.ts';
import { addPythonFunctions, speakPython } from './python-text.ts';
import type { ChatTemplate, ChatTemplateInput, RenderedChat } from './types.ts';

/** A parsed template. */
interface Compiled {
  readonly source: string;
  readonly program: ReturnType<typeof parse>;
  readonly format: 'string' | 'parts';
}

/** Named special tokens that templates may use as variables. */
const specialNames = [
  'bos_token',
  'eos_token',
  'unk_token',
  'sep_token',
  'pad_token',
  'cls_token',
  'mask_token',
] as const;

/**
 * Reads a folder's chat template: `chat_template.jinja` (and `additional_chat_templates/`), else `chat_template` of
 * `tokenizer_config.json`. A path that ends in `.json` is taken as a file beside it. Synchronous: it runs at start-up.
 * @param now Local time, for templates that write a date
 * @returns null when there is none, or when it uses what the renderer does not know: then nothing can be rendered
 */
export function loadChatTemplate(
  path: string,
  now: () => Date = () => new Date(),
): ChatTemplate | null {
  const folder = path.endsWith('.json') ? dirname(path) : path;
  const config = readConfig(folder);
  const templates = new Map<string, Compiled>();
  for (const [name, source] of sourcesOf(folder, config)) {
    const compiled = compile(source);
    // With one of them unreadable it is not known which one a request would have needed.
    if (compiled === null) return null;
    templates.set(name, compiled);
  }
  const tokens = specialTokens(folder, config);
  // A template of its own for requests with tools is taken for any list of tools, an empty one too.
  const pick = (withTools: boolean): Compiled | undefined =>
    (withTools ? templates.get('tool_use') : undefined) ?? templates.get('default');
  const fallback = pick(false);
  if (fallback === undefined) return null;
  const chosen = (withTools: boolean): Compiled => pick(withTools) ?? fallback;
  return {
    contentFormat: (withTools) => chosen(withTools).format,
    namesDeveloper: (withTools) => /(["'])developer\1/.test(chosen(withTools).source),
    render: (input) => render(chosen(input.tools !== null), input, tokens, now),
  };
}

/**
 * A template given as text, as GGUF files hold it.
 * @param tokens Texts of the special tokens that it may name
 * @returns null when it uses what the renderer does not know
 */
export function chatTemplateOf(
  source: string,
  tokens: Readonly<Record<string, string>>,
  now: () => Date = () => new Date(),
): ChatTemplate | null {
  const compiled = compile(source);
  if (compiled === null) return null;
  return {
    contentFormat: () => compiled.format,
    namesDeveloper: () => /(["'])developer\1/.test(source),
    render: (input) => render(compiled, input, tokens, now),
  };
}

function compile(source: string): Compiled | null {
  try {
    const program = parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
    const format = contentFormatOf(program);
    speakPython(program);
    return { source, program, format };
  } catch {
    return null;
  }
}

function render(
  { program }: Compiled,
  { messages, tools, addGenerationPrompt, variables }: ChatTemplateInput,
  tokens: Readonly<Record<string, string>>,
  now: () => Date,
): RenderedChat {
  const clock: string[] = [];
  const globals: Readonly<Record<string, unknown>> = {
    true: true,
    false: false,
    none: null,
    True: true,
    False: false,
    None: null,
    range,
    raise_exception(message: unknown) {
      throw new Error(`The chat template refuses the request: ${String(message)}`);
    },
    strftime_now(format: string) {
      const text = strftime(now(), format);
      clock.push(text);
      return text;
    },
  };
  const environment = new Environment();
  addPythonFunctions(environment);
  const all = {
    ...tokens,
    documents: null,
    ...variables,
    messages,
    tools,
    add_generation_prompt: addGenerationPrompt,
    ...globals,
  };
  for (const [name, value] of Object.entries(all)) environment.set(name, value);
  const result: { readonly value: unknown } = new Interpreter(environment).run(program);
  if (typeof result.value !== 'string') throw new Error('The chat template gave no text');
  return { text: result.value, clock };
}

/** Python's `range`. */
function range(first: number, second?: number, step = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  const length = Math.max(0, Math.ceil((stop - start) / step));
  return Array.from({ length }, (_, at) => start + at * step);
}

const monthNames = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];
const dayNames = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];

/** Python's `strftime` in the C locale, for what templates write. Throws for other directives. */
function strftime(date: Date, format: string): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const month = monthNames[date.getMonth()] ?? '';
  const day = dayNames[date.getDay()] ?? '';
  const values: Readonly<Record<string, string>> = {
    Y: String(date.getFullYear()),
    y: two(date.getFullYear() % 100),
    m: two(date.getMonth() + 1),
    B: month,
    b: month.slice(0, 3),
    d: two(date.getDate()),
    '-d': String(date.getDate()),
    A: day,
    a: day.slice(0, 3),
    H: two(date.getHours()),
    M: two(date.getMinutes()),
    S: two(date.getSeconds()),
    '%': '%',
  };
  return format.replace(/%(-?.)/g, (directive, letter: string) => {
    const value = values[letter];
    if (value === undefined) throw new Error(`Unknown time format ${directive}`);
    return value;
  });
}

/** Name and source of every template of the folder. */
function* sourcesOf(
  folder: string,
  config: Readonly<Record<string, unknown>>,
): Generator<readonly [name: string, source: string]> {
  const file = readText(join(folder, 'chat_template.jinja'));
  if (file !== null) {
    yield ['default', file];
    yield* additional(join(folder, 'additional_chat_templates'));
    return;
  }
  const inConfig = config['chat_template'];
  if (typeof inConfig === 'string') yield ['default', inConfig];
  if (!Array.isArray(inConfig)) return;
  for (const entry of inConfig) {
    const [name, source] = [stringAt(entry, 'name'), stringAt(entry, 'template')];
    if (name !== null && source !== null) yield [name, source];
  }
}

function* additional(folder: string): Generator<readonly [name: string, source: string]> {
  for (const name of listed(folder)) {
    const source = name.endsWith('.jinja') ? readText(join(folder, name)) : null;
    if (source !== null) yield [basename(name, '.jinja'), source];
  }
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Special tokens by name; written as a string or as an object with `content`, in either of two files. */
function specialTokens(
  folder: string,
  config: Readonly<Record<string, unknown>>,
): Record<string, string> {
  const map = readJson(join(folder, 'special_tokens_map.json'));
  const tokens: Record<string, string> = {};
  for (const name of specialNames) {
    const text = tokenText(config[name]) ?? tokenText(map[name]);
    if (text !== null) tokens[name] = text;
  }
  return tokens;
}

function tokenText(value: unknown): string | null {
  return typeof value === 'string' ? value : stringAt(value, 'content');
}

function readConfig(folder: string): Record<string, unknown> {
  return readJson(join(folder, 'tokenizer_config.json'));
}

function readJson(path: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return isRecord(value) ? value : {};
  } catch {
    return {};
  }
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
