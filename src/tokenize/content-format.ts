/**
 * Whether a chat template walks through the parts of a message's content. Engines look at the template to decide whether
 * a text is handed over as it is or as a list with one part; the search is the one that vLLM documents for its
 * `--chat-template-content-format auto`.
 */
import { isRecord } from './definition.ts';

type Node = Readonly<Record<string, unknown>> & { readonly type: string };

interface Loop {
  readonly node: Node;
  /** Name of the loop's variable. */
  readonly variable: string;
}

/** @param program The parsed template */
export function contentFormatOf(program: unknown): 'string' | 'parts' {
  const nodes = [...nodesOf(program)];
  const loops = nodes.filter(({ type }) => type === 'For').flatMap(loopOf);
  const lists = aliasesOf('messages', nodes);
  const messages = loops
    .filter(({ node }) => lists.some((name) => isAccess(iterated(node), name, null)))
    .map(({ variable }) => variable);
  const isContent = (value: unknown): boolean =>
    messages.some((name) => isAccess(value, name, 'content'));
  if (loops.some(({ node }) => isContent(iterated(node)))) return 'parts';
  const macros = nodes.filter(({ type }) => type === 'Macro');
  const inMacros = new Set(macros.flatMap((macro) => [...nodesOf(macro['body'])]));
  const overContent = loops.some(
    ({ node }) => !inMacros.has(node) && nameOf(iterated(node)) === 'content',
  );
  if (overContent) return 'parts';
  return macros.some((macro) => loopsOverContent(macro, nodes, isContent)) ? 'parts' : 'string';
}

/** True when a macro is called with a message's content and loops over that parameter. */
function loopsOverContent(
  macro: Node,
  nodes: readonly Node[],
  isContent: (value: unknown) => boolean,
): boolean {
  const parameters = listOf(macro['args']).map(parameterName);
  const given = new Set<string>();
  for (const call of nodes) {
    if (call.type !== 'CallExpression' || nameOf(call['callee']) !== nameOf(macro['name']))
      continue;
    for (const [at, argument] of listOf(call['args']).entries()) {
      const named = isNode(argument) && argument.type === 'KeywordArgumentExpression';
      const name = named ? nameOf(argument['key']) : parameters[at];
      const value = named ? argument['value'] : argument;
      if (typeof name === 'string' && parameters.includes(name) && isContent(value))
        given.add(name);
    }
  }
  return [...nodesOf(macro['body'])].some((node) => {
    const name = node.type === 'For' ? nameOf(iterated(node)) : null;
    return name !== null && given.has(name);
  });
}

/** The variable and every one that it, or a part of it, is assigned to. */
function aliasesOf(variable: string, nodes: readonly Node[]): string[] {
  const names = [variable];
  for (const name of names) {
    for (const node of nodes) {
      if (node.type !== 'Set' || !isAccess(node['value'], name, null)) continue;
      const target = nameOf(node['assignee']);
      if (target !== null && !names.includes(target)) names.push(target);
    }
  }
  return names;
}

/** `name`, `name[1:]`, `name | filter`, `name is test`; with a key `name.key` and `name['key']` in place of `name`. */
function isAccess(value: unknown, name: string, key: string | null): boolean {
  if (!isNode(value)) return false;
  if (value.type === 'FilterExpression' || value.type === 'TestExpression')
    return isAccess(value['operand'], name, key);
  if (value.type !== 'MemberExpression') return key === null && nameOf(value) === name;
  const property = value['property'];
  if (isNode(property) && property.type === 'SliceExpression')
    return isAccess(value['object'], name, key);
  if (key === null || nameOf(value['object']) !== name || !isNode(property)) return false;
  const constant = value['computed'] === true ? 'StringLiteral' : 'Identifier';
  return property.type === constant && property['value'] === key;
}

/** What a loop walks through, without its `if`. */
function iterated(loop: Node): unknown {
  const { iterable } = loop;
  return isNode(iterable) && iterable.type === 'SelectExpression' ? iterable['lhs'] : iterable;
}

function loopOf(node: Node): Loop[] {
  const variable = nameOf(node['loopvar']);
  return variable === null ? [] : [{ node, variable }];
}

function parameterName(parameter: unknown): string | null {
  if (!isNode(parameter)) return null;
  return parameter.type === 'KeywordArgumentExpression'
    ? nameOf(parameter['key'])
    : nameOf(parameter);
}

function nameOf(value: unknown): string | null {
  if (!isNode(value) || value.type !== 'Identifier') return null;
  return typeof value['value'] === 'string' ? value['value'] : null;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function isNode(value: unknown): value is Node {
  return isRecord(value) && typeof value['type'] === 'string';
}

function* nodesOf(value: unknown): Generator<Node> {
  if (Array.isArray(value)) {
    for (const item of value) yield* nodesOf(item);
  } else if (value instanceof Map) {
    for (const entry of value) yield* nodesOf(entry);
  } else if (isRecord(value)) {
    if (isNode(value)) yield value;
    for (const child of Object.values(value)) {
      if (typeof child === 'object' && child !== null) yield* nodesOf(child);
    }
  }
}
