/** Calls of a store that must neither fail nor hold up a request. */
import { SluiceError } from '../core/errors.ts';

export interface Guard {
  /** The call's result, or `otherwise` when it fails or is late. Never rejects. */
  <T>(call: () => Promise<T>, otherwise: T): Promise<T>;
}

/** @param onFailure told of every failure and every late answer */
export function createGuard(ms: number, onFailure: (error: unknown) => void): Guard {
  return async (call, otherwise) => {
    let timer: NodeJS.Timeout | null = null;
    try {
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(lateError(ms)), ms);
      });
      return await Promise.race([call(), late]);
    } catch (error) {
      onFailure(error);
      return otherwise;
    } finally {
      if (timer !== null) clearTimeout(timer);
    }
  };
}

function lateError(ms: number): SluiceError {
  return new SluiceError(
    'DEADLINE_EXCEEDED',
    `The store of decisions did not answer within ${ms} ms`,
  );
}
