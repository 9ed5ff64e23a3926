/** How a defect of ours is logged. */
import { SluiceError } from '../core/errors.ts';
import type { LogFields } from './types.ts';

/** Code and stack frames of an error, without its message: parsers quote their input there, and input is a prompt. */
export function defectFields(error: unknown): LogFields {
  const code = SluiceError.isInstance(error) ? error.code : 'INTERNAL';
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  const frames = stack.split('\n').filter((line) => /^\s+at /.test(line));
  return { code, frames: frames.slice(0, 8) };
}
