/**
 * Chat templates count on how Python makes and trims texts; the renderer has JavaScript's ways. A parsed template is
 * changed so that these places call functions of ours: what is printed, `~`, the filters `string` and `trim`, and the
 * methods `strip`, `lstrip` and `rstrip`. Where Python's text of a value is not certain they throw.
 */
import { isRecord } from './definition.ts';

/** Names that no template uses. */
const textName = '__text';
const stripName = '__strip';

/** A value inside the renderer. */
interface RuntimeValue {
  readonly type: string;
  readonly value: unknown;
}

/** What the renderer's variables offer, as far as it is used. */
interface Variables {
  set(name: string, value: unknown): object;
}

/** Gives a changed template the functions that it calls. */
export function addPythonFunctions(variables: Variables): void {
  const add = (name: string, call: (args: readonly RuntimeValue[]) => string): void => {
    const added = variables.set(name, call);
    const wrapped: unknown = Reflect.get(added, 'value');
    if (typeof wrapped !== 'function') throw new Error('The renderer does not take functions');
    // The renderer unwraps arguments, and then null looks like what is not defined: they come wrapped.
    Reflect.set(added, 'value', (args: unknown, scope: unknown): unknown =>
      Reflect.apply(wrapped, null, [[{ value: args }], scope]),
    );
  };
  add(textName, ([value]) => pythonText(value));
  add(stripName, (args) => pythonStrip(args));
}

const sides: Readonly<Record<string, Side>> = { strip: 'both', lstrip: 'left', rstrip: 'right' };
type Side = 'both' | 'left' | 'right';

/** Statements; everything else that stands in a body is printed. */
const statements: ReadonlySet<unknown> = new Set([
  'Program',
  'If',
  'For',
  'Break',
  'Continue',
  'Set',
  'Macro',
  'Comment',
  'CallStatement',
  'FilterStatement',
  'StringLiteral',
]);

/** Changes a parsed template in place. */
export function speakPython(node: unknown): void {
  if (Array.isArray(node)) {
    for (const item of node) speakPython(item);
    return;
  }
  if (node instanceof Map) {
    for (const entry of node) speakPython(entry);
    return;
  }
  if (!isRecord(node)) return;
  for (const child of Object.values(node)) speakPython(child);
  for (const key of ['body', 'alternate', 'defaultBlock']) printAsPython(node, key);
  if (node['type'] === 'FilterExpression') changeFilter(node);
  if (node['type'] === 'CallExpression') changeCall(node);
  const { operator } = node;
  if (node['type'] === 'BinaryExpression' && isRecord(operator) && operator['value'] === '~') {
    node['left'] = textCall(node['left']);
    node['right'] = textCall(node['right']);
  }
}

function printAsPython(node: Record<string, unknown>, key: string): void {
  const body = node[key];
  if (!Array.isArray(body)) return;
  node[key] = body.map((item: unknown) =>
    isRecord(item) && !statements.has(item['type']) ? textCall(item) : item,
  );
}

function changeFilter(node: Record<string, unknown>): void {
  const { filter, operand } = node;
  const called = isRecord(filter) && filter['type'] === 'CallExpression';
  const name = called ? filter['callee'] : filter;
  const given: unknown = called ? filter['args'] : [];
  if (!isRecord(name) || !Array.isArray(given)) return;
  if (name['value'] === 'string') become(node, textName, [operand]);
  if (name['value'] === 'trim') become(node, stripName, [operand, literal('both'), ...given]);
}

function changeCall(node: Record<string, unknown>): void {
  const { callee, args } = node;
  if (!isRecord(callee) || callee['type'] !== 'MemberExpression' || callee['computed'] === true)
    return;
  const method = isRecord(callee['property']) ? callee['property']['value'] : null;
  const side = typeof method === 'string' && Object.hasOwn(sides, method) ? sides[method] : null;
  if (side === undefined || side === null || !Array.isArray(args)) return;
  become(node, stripName, [callee['object'], literal(side), ...args.map((arg: unknown) => arg)]);
}

/** The node turns into a call of one of our functions. */
function become(node: Record<string, unknown>, name: string, args: readonly unknown[]): void {
  node['type'] = 'CallExpression';
  node['callee'] = { type: 'Identifier', value: name };
  node['args'] = args;
}

function textCall(operand: unknown): Record<string, unknown> {
  const node: Record<string, unknown> = {};
  become(node, textName, [operand]);
  return node;
}

function literal(value: string): Record<string, unknown> {
  return { type: 'StringLiteral', value };
}

/** Python's `str` of a value; of what is not defined it is empty. Throws for lists, objects and extreme numbers. */
function pythonText(given: RuntimeValue | undefined): string {
  const { type, value } = given ?? { type: 'UndefinedValue', value: null };
  if (type === 'UndefinedValue') return '';
  if (type === 'NullValue') return 'None';
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'number' && isPlain(value, type)) return String(value);
  throw new Error('The chat template prints a value whose text is not certain');
}

/** Between these sizes both languages write the shortest digits that name the number; Python adds `.0` to whole floats. */
function isPlain(value: number, type: string): boolean {
  if (Number.isInteger(value)) return type === 'IntegerValue' && Number.isSafeInteger(value);
  return Math.abs(value) >= 1e-4 && Math.abs(value) < 1e16;
}

/** White space of Python's `str.strip`. */
function isPythonSpace(character: string): boolean {
  const code = character.charCodeAt(0);
  if ((code >= 0x1c && code <= 0x1f) || code === 0x85) return true;
  return code !== 0xfeff && /\s/.test(character);
}

/** @param args The text, the side, and the characters to strip (left out = white space) */
function pythonStrip([given, where, stripped]: readonly RuntimeValue[]): string {
  const text = pythonText(given);
  const side = where?.value;
  const all = stripped === undefined || stripped.type === 'NullValue';
  const set = all ? null : new Set(pythonText(stripped));
  const goes = (character: string): boolean =>
    set === null ? isPythonSpace(character) : set.has(character);
  let from = 0;
  let to = text.length;
  while (side !== 'right' && from < to) {
    const character = String.fromCodePoint(text.codePointAt(from) ?? 0);
    if (!goes(character)) break;
    from += character.length;
  }
  while (side !== 'left' && to > from) {
    const pair = /[\uDC00-\uDFFF]/.test(text.charAt(to - 1)) && to - from > 1;
    const character = pair ? text.slice(to - 2, to) : text.charAt(to - 1);
    if (!goes(character)) break;
    to -= character.length;
  }
  return text.slice(from, to);
}
