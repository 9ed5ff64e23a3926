/** The one switch over all methods. */
import { assertNever } from '../core/errors.ts';
import { baselineNames } from '../core/method.ts';
import type { BaselineName, MethodName } from '../core/method.ts';
import { createAuto } from './auto.ts';
import { createBaseline } from './baselines.ts';
import { createExtractive } from './extractive.ts';
import { createLlmlingua } from './llmlingua.ts';
import { createLlmlingua2 } from './llmlingua2.ts';
import { createLongLlmlingua } from './longllmlingua.ts';
import { createSelectiveContext } from './selective-context.ts';
import { createStructural } from './structural/structural.ts';
import type { Compressor, CompressorDeps } from './types.ts';

/** A compressor by name. A method whose model is missing is created all the same and says so when it is used. */
export function createCompressor(
  method: MethodName | BaselineName,
  deps: CompressorDeps,
): Compressor {
  if (isBaseline(method)) return createBaseline(method, deps);
  switch (method) {
    case 'auto':
      return createAuto(deps);
    case 'extractive':
      return createExtractive(deps);
    case 'structural':
      return createStructural(deps);
    case 'selective-context':
      return createSelectiveContext(deps);
    case 'llmlingua':
      return createLlmlingua(deps);
    case 'longllmlingua':
      return createLongLlmlingua(deps);
    case 'llmlingua2':
      return createLlmlingua2(deps);
    default:
      return assertNever(method);
  }
}

function isBaseline(method: MethodName | BaselineName): method is BaselineName {
  return baselineNames.some((name) => name === method);
}
