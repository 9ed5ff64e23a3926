/** The paths that Sluice answers itself; every other path belongs to the upstream. */

const exact: ReadonlySet<string> = new Set([
  '/v1/compress',
  '/v1/explain',
  '/v1/stats',
  '/v1/plan',
  '/v1/windows',
  '/compact',
  '/llm/v1/compressPrompt',
  '/status',
  '/healthz',
  '/readyz',
  '/metrics',
  '/dashboard',
  '/openapi.yaml',
]);

const prefixes = ['/v1/retrieve/', '/v1/requests/'] as const;

export function isOwnPath(path: string): boolean {
  return exact.has(path) || prefixes.some((prefix) => path.startsWith(prefix));
}
