/** The nodes that turn logits into surprisal, and the protobuf around them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { nllNodes, readGraphShape } from '../../src/score/nll-graph.ts';
import { bytesField, fieldsOf, numberField } from '../../src/score/protobuf.ts';
import { openSession, Tensor } from '../../src/score/session.ts';
import { tinyCausal } from './helpers.ts';

const model = readFileSync(join(tinyCausal, 'model.onnx'));

test('names, types and operator set are read from the file', () => {
  const shape = readGraphShape(model);
  assert.equal(shape.opset, 17);
  assert.deepEqual(
    shape.inputs.map((input) => input.name),
    [
      'input_ids',
      'attention_mask',
      'position_ids',
      'past_key_values.0.key',
      'past_key_values.0.value',
      'past_key_values.1.key',
      'past_key_values.1.value',
    ],
  );
  assert.deepEqual(shape.outputs[0], { name: 'logits', elementType: 1 });
});

test('bytes that are no model are refused', () => {
  assert.throws(() => readGraphShape(Buffer.from('not a model at all')), { code: 'MODEL_INVALID' });
  assert.throws(() => nllNodes({ opset: 17, inputs: [], outputs: [] }), { code: 'MODEL_INVALID' });
  const shape = readGraphShape(model);
  assert.throws(() => nllNodes({ ...shape, opset: 11 }), {
    code: 'MODEL_INVALID',
    message: /operator set 13/,
  });
});

test('the appended output is the log-softmax of the logits, gathered and shifted by one', async () => {
  const session = await openSession(Buffer.concat([model, nllNodes(readGraphShape(model))]), {
    threads: 1,
  });
  const ids = [0, 336, 759, 622, 605];
  const integers = (values: readonly number[]): Tensor =>
    new Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length]);
  const past = (): Tensor => new Tensor('float32', new Float32Array(0), [1, 2, 0, 16]);
  const results = await session.run(
    {
      input_ids: integers(ids),
      attention_mask: integers(ids.map(() => 1)),
      position_ids: integers(ids.map((_, i) => i)),
      'past_key_values.0.key': past(),
      'past_key_values.0.value': past(),
      'past_key_values.1.key': past(),
      'past_key_values.1.value': past(),
    },
    ['nll', 'logits'],
  );
  const logits = results['logits']!.data as Float32Array;
  const vocabulary = logits.length / ids.length;
  const wanted = ids.map((id, i) => {
    if (i === 0) return 0;
    const row = logits.subarray((i - 1) * vocabulary, i * vocabulary);
    const top = Math.max(...row);
    const total = row.reduce((sum, value) => sum + Math.exp(value - top), 0);
    return top + Math.log(total) - row[id]!;
  });
  const found = results['nll']!.data as Float32Array;
  assert.deepEqual(results['nll']!.dims, [1, ids.length]);
  for (const [i, value] of wanted.entries()) assert.ok(Math.abs(found[i]! - value) < 1e-4);
  await session.release();
});

test('fields written are the fields read', () => {
  const big = 2 ** 40 + 5;
  const message = Uint8Array.from([
    ...numberField(1, big),
    ...bytesField(2, 'né'),
    ...numberField(3, 0),
  ]);
  const found = [...fieldsOf(message)];
  assert.deepEqual(
    found.map((field) => field.number),
    [1, 2, 3],
  );
  assert.equal(found[0]?.value, big);
  assert.equal(Buffer.from(message.subarray(found[1]!.start, found[1]!.end)).toString(), 'né');
  assert.throws(() => [...fieldsOf(message.subarray(0, 9))], RangeError);
});

test('a file that is missing or no model says which', async () => {
  await assert.rejects(openSession('/no/such.onnx', { threads: 1 }), {
    code: 'MODEL_INVALID',
    message: /no\/such\.onnx/,
  });
  await assert.rejects(openSession(Buffer.from('x'), { threads: 1 }), { code: 'MODEL_INVALID' });
});
