/** openapi.yaml for tests: its nodes, and its schemas as validators. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { specificationFile } from '../scripts/generate-openapi.ts';

export type Node = Record<string, unknown>;

export const specification: unknown = parse(readFileSync(specificationFile, 'utf8'));

export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The node at a path of keys; fails when there is none. */
export function at(node: unknown, ...keys: string[]): Node {
  const found = keys.reduce<unknown>(
    (inner, key) => (isNode(inner) ? inner[key] : undefined),
    node,
  );
  assert.ok(isNode(found), `nothing at ${keys.join(' > ')}`);
  return found;
}

export function resolve(node: Node): Node {
  const reference = node['$ref'];
  if (typeof reference !== 'string') return node;
  return at(specification, ...reference.replace('#/', '').split('/'));
}

/** A schema of the specification as a validator; references point into the components. */
export function validator(schema: Node): z.ZodType {
  const schemas = at(specification, 'components', 'schemas');
  const text = JSON.stringify({ ...schema, $defs: schemas });
  const document: unknown = JSON.parse(text.replaceAll('#/components/schemas/', '#/$defs/'));
  assert.ok(isNode(document));
  return z.fromJSONSchema(document);
}
