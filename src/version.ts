/** The version of this package, as package.json has it; the file lies beside src/ and beside dist/. */
import { createRequire } from 'node:module';

function read(): string {
  const manifest: unknown = createRequire(import.meta.url)('../package.json');
  if (typeof manifest !== 'object' || manifest === null || !('version' in manifest))
    return 'unknown';
  return typeof manifest.version === 'string' ? manifest.version : 'unknown';
}

export const version: string = read();
