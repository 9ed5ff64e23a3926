/** Starting of worker threads from a module of this package, compiled or not. */
import { Worker } from 'node:worker_threads';

/**
 * Address of a module beside `here`: `name` with the extension that `here` itself has, `.js` when compiled and `.ts`
 * when the sources run.
 * @param here `import.meta.url` of the calling module
 */
export function siblingModule(name: string, here: string): URL {
  return new URL(`./${name}.${here.endsWith('.ts') ? 'ts' : 'js'}`, here);
}

/**
 * A worker thread that runs `entry`. Workers of Node 20 do not inherit the loader that makes TypeScript run in the
 * main thread, so for a `.ts` module (tests, never an installed package) a one-line module registers it first.
 */
export function startModuleWorker(entry: URL, workerData: unknown): Worker {
  if (!entry.pathname.endsWith('.ts') || 'typescript' in process.features)
    return new Worker(entry, { workerData });
  const loader = import.meta.resolve('tsx/esm/api');
  const source =
    `import { register } from ${JSON.stringify(loader)};` +
    `register(); await import(${JSON.stringify(entry.href)});`;
  return new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), { workerData });
}
