/** The compressors of one tokenizer and its scorers. */
import { createCompressor } from './compress/create.ts';
import type { Compressor, CompressorDeps } from './compress/types.ts';
import type { BaselineName, MethodName } from './core/method.ts';

export type CompressorSource = (method: MethodName | BaselineName) => Compressor;

/** One compressor per method, made when first asked for. */
export function compressorSource(deps: CompressorDeps): CompressorSource {
  const made = new Map<MethodName | BaselineName, Compressor>();
  return (method) => {
    const known = made.get(method);
    if (known !== undefined) return known;
    const compressor = createCompressor(method, deps);
    made.set(method, compressor);
    return compressor;
  };
}
