/** The server's garbage collection. Only `sluice serve` sets it: a library does not touch its host's heap. */
import { setFlagsFromString } from 'node:v8';

/** The heap may grow by this share over what was alive at the last full collection before the next one starts. */
const growthPercent = 200;

/**
 * Request bodies arrive in buffers outside the heap, which V8 counts against a limit of a few megabytes above what is
 * alive in a small server. It then marks the whole heap every 15 MB of bodies or so, in some processes and not in
 * others; that cost more than everything else done with a long body. A higher limit leaves those buffers to the
 * collections of the young generation. See docs/decisions/2026-11-21-heap-growth.md.
 */
export function letHeapGrow(): void {
  setFlagsFromString(`--heap-growing-percent=${growthPercent}`);
}
