import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { generateTypes, typesFile } from '../scripts/generate-openapi.ts';
import type {
  ConversationPlan as ClientPlan,
  RequestReport as ClientRequestReport,
  SpanReport as ClientSpanReport,
  Totals as ClientTotals,
  components,
} from '../src/client/index.ts';
import { backendKinds } from '../src/core/backend-kind.ts';
import { errorTable } from '../src/core/errors.ts';
import { keepReasons } from '../src/core/mask.ts';
import { methodNames } from '../src/core/method.ts';
import { skipReasons } from '../src/core/report.ts';
import type { RequestReport, SpanReport } from '../src/core/report.ts';
import { contentKinds, spanKinds } from '../src/core/span.ts';
import { windowStrategies } from '../src/core/window-words.ts';
import type { CompressTextResult, Totals } from '../src/gateway/types.ts';
import { isOwnPath } from '../src/http/own-paths.ts';
import type { ConversationPlan } from '../src/plan-conversation.ts';
import { version } from '../src/version.ts';
import type { Node } from './specification.ts';
import { at, isNode, resolve, specification, validator } from './specification.ts';

const httpMethods = ['get', 'post', 'put', 'patch', 'delete'];

function operations(): { name: string; path: string; operation: Node }[] {
  return Object.entries(at(specification, 'paths')).flatMap(([path, item]) =>
    Object.entries(at({ item }, 'item'))
      .filter(([method]) => httpMethods.includes(method))
      .map(([method, operation]) => ({
        name: `${method.toUpperCase()} ${path}`,
        path,
        operation: at({ operation }, 'operation'),
      })),
  );
}

test('the generated types are in step with the specification, which is valid', async () => {
  assert.equal(
    readFileSync(typesFile, 'utf8'),
    await generateTypes(),
    'run npm run generate and commit the result',
  );
});

test('the specification names this version', () => {
  assert.equal(at(specification, 'info')['version'], version);
});

const routes = [
  'POST /v1/chat/completions',
  'POST /v1/completions',
  'POST /v1/compress',
  'POST /v1/explain',
  'POST /v1/plan',
  'POST /v1/windows',
  'GET /v1/retrieve/{hash}',
  'GET /v1/requests/{id}',
  'GET /v1/stats',
  'GET /healthz',
  'GET /readyz',
  'GET /metrics',
  'GET /openapi.yaml',
  'GET /dashboard',
  'POST /compact',
  'POST /llm/v1/compressPrompt',
  'GET /status',
];

test('every route is described, and every described path of its own is one that the server answers', () => {
  assert.deepEqual(
    operations()
      .map(({ name }) => name)
      .sort(),
    [...routes].sort(),
  );
  for (const { path, operation } of operations()) {
    const forwarded = Array.isArray(operation['tags']) && operation['tags'].includes('dialects');
    assert.equal(isOwnPath(path.replaceAll(/[{}]/g, '')), !forwarded, path);
  }
});

test('every operation has a name of its own, a summary and a tag', () => {
  const ids = operations().map(({ operation }) => operation['operationId']);
  assert.equal(new Set(ids).size, ids.length);
  for (const { name, operation } of operations()) {
    assert.equal(typeof operation['summary'], 'string', name);
    assert.ok(Array.isArray(operation['tags']) && operation['tags'].length === 1, name);
  }
});

test('lists of the specification are the lists of the code', () => {
  const lists: Record<string, readonly string[]> = {
    Decision: ['compressed', 'replayed', 'unchanged', 'bypassed', 'failed-open'],
    SkipReason: skipReasons,
    MethodName: methodNames,
    ContentKind: contentKinds,
    SpanKind: spanKinds,
    KeepReason: keepReasons,
    ErrorCode: Object.keys(errorTable),
    BackendKind: backendKinds,
    WindowStrategy: windowStrategies,
  };
  for (const [name, list] of Object.entries(lists)) {
    const schema = at(specification, 'components', 'schemas', name);
    assert.deepEqual(schema['enum'], list, name);
  }
});

/** Every example of a body, with the schema that it must fit. */
function* examples(): Generator<{ name: string; schema: Node; value: unknown }> {
  for (const { name, operation } of operations()) {
    const bodies: [string, Node][] = [];
    if (operation['requestBody'] !== undefined)
      bodies.push([`${name} request`, at(operation, 'requestBody')]);
    for (const [status, response] of Object.entries(at(operation, 'responses')))
      bodies.push([`${name} ${status}`, resolve(at({ response }, 'response'))]);
    for (const [place, body] of bodies) {
      for (const [type, media] of Object.entries(isNode(body['content']) ? body['content'] : {})) {
        const content = at({ media }, 'media');
        const list = isNode(content['examples']) ? content['examples'] : {};
        for (const [key, example] of Object.entries(list))
          yield {
            name: `${place} ${type} ${key}`,
            schema: at(content, 'schema'),
            value: at({ example }, 'example')['value'],
          };
      }
    }
  }
}

test('every example fits its schema', () => {
  let count = 0;
  for (const { name, schema, value } of examples()) {
    const result = validator(schema).safeParse(value);
    assert.ok(result.success, `${name}: ${result.error?.message}`);
    count += 1;
  }
  assert.ok(count >= 30, `only ${count} examples`);
});

test('a value that does not fit is noticed', () => {
  const report = at(specification, 'components', 'schemas', 'CompressTextRequest');
  assert.ok(validator(report).safeParse({ text: 'a', rate: 0.5 }).success);
  assert.ok(!validator(report).safeParse({ text: 'a', rate: 2 }).success);
  assert.ok(!validator(report).safeParse({ text: 'a', ratio: 0.5 }).success);
});

test('every request and every JSON answer has an example', () => {
  const with200 = [...examples()].map(({ name }) => name);
  for (const { name, operation } of operations()) {
    if (operation['requestBody'] !== undefined)
      assert.ok(
        with200.some((example) => example.startsWith(`${name} request`)),
        `${name} request`,
      );
    const tags = operation['tags'];
    const content = at(operation, 'responses', '200', 'content');
    const ours = Array.isArray(tags) && !tags.includes('dialects');
    if (ours && content['application/json'] !== undefined)
      assert.ok(
        with200.some((example) => example.startsWith(`${name} 200`)),
        `${name} 200`,
      );
  }
});

/** Types of the code in the names of the wire: what the routes send must be what the specification says. */
type Snake<S extends string> = S extends `${infer Head}${infer Tail}`
  ? Head extends Lowercase<Head>
    ? `${Head}${Snake<Tail>}`
    : `_${Lowercase<Head>}${Snake<Tail>}`
  : '';
type OnTheWire<T> = T extends readonly (infer Item)[]
  ? readonly OnTheWire<Item>[]
  : T extends object
    ? { readonly [Key in keyof T as Key extends string ? Snake<Key> : never]: OnTheWire<T[Key]> }
    : T;

/** Never called: it compiles only while code and specification agree. */
export function mustCompile(sent: {
  readonly request: OnTheWire<RequestReport>;
  readonly span: OnTheWire<SpanReport>;
  readonly totals: OnTheWire<Totals>;
  readonly plan: OnTheWire<ConversationPlan>;
}): unknown {
  const request: ClientRequestReport = sent.request;
  const span: ClientSpanReport = sent.span;
  const totals: ClientTotals = sent.totals;
  const plan: ClientPlan = sent.plan;
  return [request, span, totals, plan];
}

test('the report of a compressed text has the names of the specification', () => {
  const result: CompressTextResult['report'] = {
    tokensBefore: 1,
    tokensAfter: 1,
    tokenizer: 't',
    estimated: false,
    budgetTokens: null,
    segments: [],
    order: [],
    notes: [],
    compressMs: 0,
  };
  const names = Object.keys(result).map((name) =>
    name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
  );
  const schema = at(specification, 'components', 'schemas', 'TextReport');
  assert.deepEqual(Object.keys(at(schema, 'properties')).sort(), names.sort());
  const typed: keyof components['schemas']['TextReport'] = 'tokens_before';
  assert.ok(names.includes(typed));
});
