/**
 * What Sluice costs when it compresses nothing: CPU of its process against an Express 5 + undici pass-through, a bare
 * node:http one and Portkey's gateway, and the time it adds to the first byte.
 *
 * Every server has its own process and is asked for its own CPU time. Rounds go from server to server and a ratio is
 * taken within each round; the median over the rounds is reported, so that other load on the machine, which falls on
 * all of them, matters little.
 */
import { chatBody, openConnection, requestBytes, runRequests, type Connection } from './load.ts';
import { compileSource, startPortkey, startProxies, startUpstream } from './passthrough-servers.ts';
import type { Subject } from './passthrough-servers.ts';
import type { BenchModule, BenchResult, BenchRow } from './types.ts';

const warmUp = 600;
const concurrency = 8;
const chunksPerStream = 100;

const sizes = [
  { kilobytes: 1, perRound: 300, rounds: 15, minimalBar: 1.3, portkeyBar: 0.4 },
  { kilobytes: 32, perRound: 200, rounds: 15, minimalBar: 1.3, portkeyBar: 0.3 },
  { kilobytes: 512, perRound: 60, rounds: 11, minimalBar: 1.3, portkeyBar: 0.3 },
] as const;

/** Measured without a bar: the minimal proxy with the heap setting that `sluice serve` has, and node:http alone. */
const informative = { 'minimal, heap grown': null, bare: null } as const;

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

async function openConnections(subject: Subject): Promise<Connection[]> {
  const connections: Connection[] = [];
  for (let n = 0; n < concurrency; n += 1) connections.push(await openConnection(subject.port));
  return connections;
}

/** Sends `count` requests on fresh connections: idle ones would be closed while it is another server's turn. */
async function cpuOf(subject: Subject, body: Buffer, count: number): Promise<number> {
  const request = requestBytes(subject, body);
  const connections = await openConnections(subject);
  // Accepting is not what is measured.
  await runRequests(connections, request, concurrency);
  const before = await subject.usage();
  await runRequests(connections, request, count);
  const after = await subject.usage();
  for (const connection of connections) connection.close();
  return after.cpuSeconds - before.cpuSeconds;
}

/** CPU seconds by server and round. */
async function measure(
  subjects: readonly Subject[],
  body: Buffer,
  plan: { readonly perRound: number; readonly rounds: number; readonly warmUp: number },
): Promise<Map<string, number[]>> {
  const seconds = new Map<string, number[]>();
  for (const subject of subjects) {
    await cpuOf(subject, body, plan.warmUp);
    seconds.set(subject.name, []);
  }
  for (let round = 0; round < plan.rounds; round += 1) {
    // Another order every round: nobody always follows the same neighbour.
    const turn = round % subjects.length;
    for (const subject of [...subjects.slice(turn), ...subjects.slice(0, turn)]) {
      seconds.get(subject.name)?.push(await cpuOf(subject, body, plan.perRound));
    }
  }
  return seconds;
}

/** Rows `sluice / baseline` for every baseline that was measured. */
function ratioRows(
  label: string,
  seconds: ReadonlyMap<string, readonly number[]>,
  units: { readonly perRound: number; readonly unit: string; readonly scale: number },
  bars: Readonly<Record<string, number | null>>,
): BenchRow[] {
  const ours = seconds.get('sluice') ?? [];
  const cost = (values: readonly number[]): number =>
    (median(values) / units.perRound) * units.scale;
  return Object.entries(bars).flatMap(([baseline, bar]) => {
    const theirs = seconds.get(baseline);
    if (theirs === undefined) return [];
    const ratios = ours.map((value, at) => value / (theirs[at] ?? Number.NaN));
    return [
      {
        name: label,
        value: median(ratios),
        unit: 'x CPU',
        baseline,
        bar,
        detail: {
          [`sluice_${units.unit}`]: Number(cost(ours).toFixed(4)),
          [`${baseline}_${units.unit}`]: Number(cost(theirs).toFixed(4)),
          lowest_ratio: Number(Math.min(...ratios).toFixed(3)),
          highest_ratio: Number(Math.max(...ratios).toFixed(3)),
          rounds: ratios.length,
        },
      },
    ];
  });
}

/** Milliseconds to the first byte of a stream: direct and through Sluice, turn by turn on idle connections. */
async function firstByte(upstream: Subject, sluice: Subject): Promise<BenchRow> {
  const body = chatBody(1024, true);
  const direct = await openConnection(upstream.port);
  const proxied = await openConnection(sluice.port);
  const times = { direct: [] as number[], proxied: [] as number[] };
  for (let n = 0; n < 120; n += 1) {
    times.direct.push((await direct.exchange(requestBytes(upstream, body))).firstByteMs);
    times.proxied.push((await proxied.exchange(requestBytes(sluice, body))).firstByteMs);
  }
  direct.close();
  proxied.close();
  const added = times.proxied.map((value, at) => value - (times.direct[at] ?? 0)).slice(20);
  return {
    name: 'first byte of a stream, added',
    value: median(added),
    unit: 'ms',
    baseline: 'direct',
    bar: 2,
    detail: {
      direct_ms: Number(median(times.direct.slice(20)).toFixed(3)),
      sluice_ms: Number(median(times.proxied.slice(20)).toFixed(3)),
      samples: added.length,
    },
  };
}

async function run(): Promise<BenchResult> {
  compileSource();
  const notes: string[] = [];
  const upstream = await startUpstream(chunksPerStream, 1);
  const origin = `http://127.0.0.1:${upstream.port}`;
  const subjects = await startProxies(origin);
  const portkey = await startPortkey(origin);
  if (typeof portkey === 'string') notes.push(portkey);
  else subjects.push(portkey);
  try {
    const rows: BenchRow[] = [];
    const ms = { unit: 'ms_per_request', scale: 1000 };
    for (const size of sizes) {
      const body = chatBody(size.kilobytes * 1024, false);
      const seconds = await measure(subjects, body, { ...size, warmUp });
      const bars = { minimal: size.minimalBar, ...informative, portkey: size.portkeyBar };
      const label = `compression off, ${size.kilobytes} KB request`;
      rows.push(...ratioRows(label, seconds, { ...ms, perRound: size.perRound }, bars));
    }
    const streams = { perRound: 16, rounds: 9, warmUp: 32 };
    const seconds = await measure(subjects, chatBody(1024, true), streams);
    const perChunk = { unit: 'us_per_chunk', scale: 1e6, perRound: 16 * chunksPerStream };
    const bars = { minimal: 1.3, ...informative, portkey: null };
    rows.push(...ratioRows('event stream, per chunk', seconds, perChunk, bars));
    const sluice = subjects.find(({ name }) => name === 'sluice');
    if (sluice !== undefined) rows.push(await firstByte(upstream, sluice));
    return { rows, notes };
  } finally {
    for (const subject of [upstream, ...subjects]) subject.stop();
  }
}

export const passthrough: BenchModule = {
  name: 'passthrough',
  title: 'Pass-through: what Sluice costs when it compresses nothing',
  run,
};
