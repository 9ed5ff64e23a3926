/**
 * Surprisal inside the graph. A causal model whose only output is `logits` [B,T,V] gets a second output `nll` [B,T]
 * by appending a serialised ModelProto that holds nothing but the extra nodes: concatenated messages merge
 * (protobuf semantics), so the weights are not touched. Only `nll` is fetched, and logits never leave the runtime.
 *
 * Field numbers are those of onnx.proto3: ModelProto.graph 7, opset_import 8; GraphProto.node 1, initializer 5,
 * input 11, output 12; NodeProto.input 1, output 2, op_type 4, attribute 5.
 */
import { SluiceError } from '../core/errors.ts';
import { bytesField, type Field, fieldsOf, numberField } from './protobuf.ts';

/** TensorProto.DataType */
const FLOAT = 1;
const INT64 = 7;

export interface GraphValue {
  readonly name: string;
  /** TensorProto.DataType of its elements; 0 = not stated. */
  readonly elementType: number;
}

export interface GraphShape {
  /** Version of the default operator set. */
  readonly opset: number;
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
}

const text = (bytes: Uint8Array, start: number, end: number): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8');

/** The sub-messages with the given field numbers, one inside the other. */
function* within(bytes: Uint8Array, message: Field, path: readonly number[]): Generator<Field> {
  const [number, ...deeper] = path;
  for (const field of fieldsOf(bytes, message.start, message.end)) {
    if (field.number !== number) continue;
    if (deeper.length === 0) yield field;
    else yield* within(bytes, field, deeper);
  }
}

/** ValueInfoProto: name 1, type 2 { tensor_type 1 { elem_type 1 } }. */
function readValue(bytes: Uint8Array, value: Field): GraphValue {
  let name = '';
  let elementType = 0;
  for (const field of within(bytes, value, [1])) name = text(bytes, field.start, field.end);
  for (const field of within(bytes, value, [2, 1, 1])) elementType = field.value;
  return { name, elementType };
}

/** OperatorSetIdProto: domain 1, version 2. Zero for other domains. */
function readOpset(bytes: Uint8Array, start: number, end: number): number {
  let version = 0;
  for (const field of fieldsOf(bytes, start, end)) {
    if (field.number === 1 && field.end > field.start) {
      const domain = text(bytes, field.start, field.end);
      if (domain !== 'ai.onnx') return 0;
    }
    if (field.number === 2) version = field.value;
  }
  return version;
}

/** Reads names and types of a model's inputs and outputs. @throws SluiceError MODEL_INVALID for other bytes */
export function readGraphShape(bytes: Uint8Array): GraphShape {
  let opset = 0;
  const inputs: GraphValue[] = [];
  const outputs: GraphValue[] = [];
  try {
    for (const field of fieldsOf(bytes)) {
      if (field.number === 8) opset = Math.max(opset, readOpset(bytes, field.start, field.end));
      if (field.number !== 7) continue;
      for (const input of within(bytes, field, [11])) inputs.push(readValue(bytes, input));
      for (const output of within(bytes, field, [12])) outputs.push(readValue(bytes, output));
    }
  } catch (cause) {
    throw new SluiceError('MODEL_INVALID', 'The file is not an ONNX model', { cause });
  }
  return { opset, inputs, outputs };
}

/** TensorProto: dims 1, data_type 2, int64_data 7, name 8. */
function integers(name: string, values: readonly number[]): number[] {
  const data = values.flatMap((value) => numberField(7, value));
  return bytesField(5, [
    ...numberField(1, values.length),
    ...numberField(2, INT64),
    ...data,
    ...bytesField(8, name),
  ]);
}

/** AttributeProto: name 1, i 3, ints 8, type 20 (2 = INT, 7 = INTS). */
function attribute(name: string, value: number | readonly number[]): number[] {
  const body =
    typeof value === 'number'
      ? [...numberField(3, value), ...numberField(20, 2)]
      : [...value.flatMap((entry) => numberField(8, entry)), ...numberField(20, 7)];
  return bytesField(5, [...bytesField(1, name), ...body]);
}

function node(
  operator: string,
  inputs: readonly string[],
  output: string,
  attributes: readonly number[] = [],
): number[] {
  return bytesField(1, [
    ...inputs.flatMap((input) => bytesField(1, input)),
    ...bytesField(2, output),
    ...bytesField(4, operator),
    ...attributes,
  ]);
}

/** ValueInfoProto of a float tensor with two free dimensions. */
function floatOutput(name: string): number[] {
  const dimension = (parameter: string): number[] => bytesField(1, bytesField(2, parameter));
  const shape = bytesField(2, [...dimension('nll_batch'), ...dimension('nll_length')]);
  const type = bytesField(2, bytesField(1, [...numberField(1, FLOAT), ...shape]));
  return bytesField(12, [...bytesField(1, name), ...type]);
}

/**
 * Bytes to append to a model: `nll`[b,0] = 0 and `nll`[b,t] = logsumexp(logits[b,t-1]) - logits[b,t-1,ids[b,t]].
 * Works on the whole logits tensor (a slice of it would be a copy of T x V floats) and shifts the small result.
 *
 * @throws SluiceError MODEL_INVALID when the model has no `logits` output, no integer ids input, or an operator set
 *   below 13
 */
export function nllNodes(shape: GraphShape): Uint8Array {
  const logits = shape.outputs.find((output) => output.name === 'logits');
  const ids =
    shape.inputs.find((input) => input.name === 'input_ids') ??
    shape.inputs.find((input) => input.elementType === INT64);
  if (logits === undefined || ids === undefined || shape.opset < 13) {
    const found = shape.outputs.map((output) => output.name).join(', ');
    throw new SluiceError(
      'MODEL_INVALID',
      `Need an output "logits" and operator set 13 or later, found [${found}] and ${shape.opset}`,
    );
  }
  const own = (name: string): string => `sluice_nll_${name}`;
  const cast =
    logits.elementType === FLOAT || logits.elementType === 0
      ? []
      : node('Cast', ['logits'], own('logits'), attribute('to', FLOAT));
  const scores = cast.length === 0 ? 'logits' : own('logits');
  // the axes of reductions moved from an attribute to an input with operator set 18
  const reduce =
    shape.opset >= 18
      ? node('ReduceLogSumExp', [scores, own('last')], own('total'))
      : node('ReduceLogSumExp', [scores], own('total'), attribute('axes', [-1]));
  const graph = [
    ...integers(own('zero'), [0]),
    ...integers(own('one'), [1]),
    ...integers(own('last'), [-1]),
    ...integers(own('far'), [2 ** 31 - 1]),
    ...integers(own('pads'), [0, 1, 0, 0]),
    ...cast,
    ...reduce,
    // target of position t is id t+1; the last position gets any id and is cut off below
    ...node('Slice', [ids.name, own('one'), own('far'), own('one')], own('rest')),
    ...node('Slice', [ids.name, own('zero'), own('one'), own('one')], own('first')),
    ...node('Concat', [own('rest'), own('first')], own('targets'), attribute('axis', 1)),
    ...node('Unsqueeze', [own('targets'), own('last')], own('columns')),
    ...node('GatherElements', [scores, own('columns')], own('chosen'), attribute('axis', 2)),
    ...node('Sub', [own('total'), own('chosen')], own('gap')),
    ...node('Squeeze', [own('gap'), own('last')], own('flat')),
    ...node('Slice', [own('flat'), own('zero'), own('last'), own('one')], own('kept')),
    ...node('Pad', [own('kept'), own('pads')], 'nll'),
    ...floatOutput('nll'),
  ];
  return Uint8Array.from(bytesField(7, graph));
}
