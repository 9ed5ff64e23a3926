/** The schema as a flat list of keys: what exists, what each expects, how it is written in the environment. */
import { closest, distance } from 'fastest-levenshtein';
import { settingsJsonSchema } from './schema.ts';

export type KeyType = 'string' | 'integer' | 'number' | 'boolean' | 'list';

export interface ConfigKey {
  /** Dotted path, e.g. `compress.rate`. */
  readonly path: string;
  /** Environment variable, e.g. `SLUICE_COMPRESS_RATE`. */
  readonly env: string;
  readonly type: KeyType;
  readonly nullable: boolean;
  /** What a value must be, as it is told in errors: `a number above 0 and at most 1`. */
  readonly expects: string;
  readonly default: unknown;
  readonly description: string;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** The branch of a nullable schema that is not `null`. */
function essence(schema: Record<string, unknown>): [Record<string, unknown>, boolean] {
  const branches = schema['anyOf'];
  if (!Array.isArray(branches)) return [schema, false];
  const main = branches.filter(isRecord).find((branch) => branch['type'] !== 'null');
  return [{ ...schema, ...main }, true];
}

function range(schema: Record<string, unknown>): string {
  const { minimum, maximum, exclusiveMinimum } = schema;
  const lower =
    typeof exclusiveMinimum === 'number'
      ? `above ${exclusiveMinimum}`
      : typeof minimum === 'number'
        ? `from ${minimum}`
        : '';
  const upper =
    typeof maximum === 'number'
      ? `${lower.startsWith('from') ? 'to' : 'and at most'} ${maximum}`
      : '';
  return [lower, upper].filter((part) => part !== '').join(' ');
}

function expectation(schema: Record<string, unknown>): string {
  const told = asText(schema['expects']);
  if (told !== '') return told;
  const choices = schema['enum'];
  if (Array.isArray(choices)) return `one of ${choices.join(', ')}`;
  switch (schema['type']) {
    case 'boolean':
      return 'true or false';
    case 'integer':
      return `a whole number ${range(schema)}`;
    case 'number':
      return `a number ${range(schema)}`;
    case 'array': {
      const items = isRecord(schema['items']) ? schema['items'] : {};
      return Array.isArray(items['enum'])
        ? `a list out of ${items['enum'].join(', ')}`
        : 'a list of strings';
    }
    default:
      return 'a string that is not empty';
  }
}

function typeOf(schema: Record<string, unknown>): KeyType {
  const type = schema['type'];
  if (type === 'boolean' || type === 'integer' || type === 'number') return type;
  return type === 'array' ? 'list' : 'string';
}

function collect(schema: Record<string, unknown>, prefix: string, keys: ConfigKey[]): void {
  const properties = isRecord(schema['properties']) ? schema['properties'] : {};
  for (const [name, property] of Object.entries(properties)) {
    if (!isRecord(property)) continue;
    const path = prefix === '' ? name : `${prefix}.${name}`;
    if (isRecord(property['properties'])) {
      collect(property, path, keys);
      continue;
    }
    const [main, nullable] = essence(property);
    keys.push({
      path,
      env: `SLUICE_${path.replaceAll('.', '_').toUpperCase()}`,
      type: typeOf(main),
      nullable,
      expects: `${expectation(main)}${nullable ? ', or null' : ''}`,
      default: property['default'],
      description: asText(property['description']),
    });
  }
}

/** Every key in the schema's order. */
export function listKeys(): readonly ConfigKey[] {
  const schema = settingsJsonSchema();
  const keys: ConfigKey[] = [];
  if (isRecord(schema)) collect(schema, '', keys);
  return keys;
}

/** Every dotted path that may appear: the keys and the sections above them. */
export function knownPaths(keys: readonly ConfigKey[]): ReadonlySet<string> {
  const paths = new Set<string>();
  for (const { path } of keys) {
    const parts = path.split('.');
    parts.forEach((_, index) => paths.add(parts.slice(0, index + 1).join('.')));
  }
  return paths;
}

/** Sets the value at a dotted path in a tree of plain objects that the caller owns. */
export function setPath(tree: Record<string, unknown>, path: string, value: unknown): void {
  const parts = path.split('.');
  const last = parts.pop() ?? path;
  let node = tree;
  for (const part of parts) {
    const next = node[part];
    const child: Record<string, unknown> = isRecord(next) ? next : {};
    node[part] = child;
    node = child;
  }
  node[last] = value;
}

function lastPart(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1);
}

/**
 * The known name nearest to an unknown one, by Levenshtein distance over the whole dotted path, or over the last part
 * when that is nearer (`rate` finds `compress.rate`); null when nothing is near enough to be meant.
 */
export function nearestPath(unknown: string, known: ReadonlySet<string>): string | null {
  const paths = [...known];
  const whole = closest(unknown, paths);
  const tail = paths.reduce((best, path) =>
    distance(lastPart(path), lastPart(unknown)) < distance(lastPart(best), lastPart(unknown))
      ? path
      : best,
  );
  const wholeDistance = distance(whole, unknown);
  const tailDistance = distance(lastPart(tail), lastPart(unknown));
  // A match in the wrong section costs a little, so that a typing error inside the right one wins.
  const nearest = tailDistance + 2 < wholeDistance ? tail : whole;
  const apart = Math.min(wholeDistance, tailDistance);
  return apart <= Math.max(2, Math.floor(lastPart(unknown).length / 2)) ? nearest : null;
}
