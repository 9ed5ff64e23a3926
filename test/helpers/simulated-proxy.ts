/** The pure core in the order in which the gateway will call it, in front of simulated backends. */
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { chainOf, type Chain } from '../../src/reuse/chain.ts';
import { createConversationBook } from '../../src/reuse/conversations.ts';
import { timeCosts } from '../../src/reuse/costs.ts';
import { domainOf, type Fingerprint } from '../../src/reuse/domain.ts';
import { readKvEvent } from '../../src/reuse/kv-events.ts';
import {
  endInMessage,
  identityCuts,
  offsetInMessage,
  identityBytes,
} from '../../src/reuse/markers.ts';
import { missReasonOf, type MissReason } from '../../src/reuse/miss.ts';
import { epochKey, modeOf, type Mode, type StoredConversation } from '../../src/reuse/mode.ts';
import { planRequest } from '../../src/reuse/planner.ts';
import type { PositionScheme } from '../../src/reuse/position.ts';
import { regime } from '../../src/reuse/regime.ts';
import {
  createReplicaIndex,
  type LayerGroup,
  type ReplicaIndex,
} from '../../src/reuse/replica-index.ts';
import { chooseReplica } from '../../src/reuse/router.ts';
import { learnFrom, newSession, type SessionState } from '../../src/reuse/session.ts';
import type { Ledger, MessageEdit, UnitDecision } from '../../src/reuse/types.ts';
import type { SimulatedBackend } from './simulated-backend.ts';
import {
  words,
  type Random,
  type SimulatedMessage,
  type SimulatedTurn,
} from './simulated-conversations.ts';

export interface SimulatedReplicaSetup {
  readonly backend: SimulatedBackend;
  readonly blockTokens: number;
  readonly groups: readonly LayerGroup[];
  readonly feed: 'events' | 'estimated';
  readonly maxBlocks: number;
  /** How a prompt becomes a chain here, where not by our own names. */
  readonly engineChain?: (tokens: Uint32Array, salt: string) => Chain;
}

export interface SimulatedProxyOptions {
  readonly replicas: readonly SimulatedReplicaSetup[];
  readonly position: PositionScheme;
  readonly ledger: Ledger;
  readonly random: Random;
  /** Chance that the compressor is too late for a unit. */
  readonly timeouts: number;
  /** False = what a careless proxy does: the regime is no part of the domain. */
  readonly isolateRegimes: boolean;
  /** False = every turn is compressed anew with a question-dependent choice, nothing is remembered. */
  readonly remember: boolean;
}

export interface SimulatedOutcome {
  readonly answer: string;
  readonly mode: Mode;
  readonly planned: number;
  readonly reported: number;
  readonly poisoned: boolean;
  readonly replica: number;
  readonly miss: MissReason | null;
  readonly epoch: number;
  /** Forwarded bytes of each unit without markers, with the key that fixes them. */
  readonly forwarded: readonly { readonly key: string; readonly text: string }[];
  readonly compressed: boolean;
}

export interface SimulatedProxy {
  handle(turn: SimulatedTurn, tenant: string): Promise<SimulatedOutcome>;
  /** The process starts anew: ledger and conversations are on disk, everything else is gone. */
  restart(): void;
  drain(replica: number, on: boolean): void;
  /** Time passes, in ms. */
  wait(ms: number): void;
}

const fingerprint: Fingerprint = {
  backend: 'simulated',
  model: 'm',
  revision: '1',
  lora: null,
  tokenizer: 't',
  kvDtype: null,
  kvEpoch: null,
  position: 'p',
  layout: null,
};
const ttlMs = 600_000;
const costs = timeCosts(2000, 40_000);

export function createSimulatedProxy(options: SimulatedProxyOptions): SimulatedProxy {
  const { replicas, random } = options;
  const book = createConversationBook({ maxConversations: 10_000, maxUnits: 200_000 });
  const sessions = new Map<string, SessionState>();
  const draining = new Set<number>();
  let indexes = replicas.map(indexOf);
  let now = 0;
  return {
    wait(ms) {
      now += ms;
    },
    drain(replica, on) {
      if (on) draining.add(replica);
      else draining.delete(replica);
    },
    restart() {
      sessions.clear();
      indexes = replicas.map(indexOf);
      for (const [at, index] of indexes.entries()) {
        for (const batch of replicas[at]?.backend.replay(0) ?? []) feed(index, batch, now);
      }
    },
    async handle(turn, tenant) {
      const request = readTurn(turn);
      const keys = options.ledger.lineage(
        tenant,
        request.units.map(({ canonical }) => canonical),
      );
      const stored = book.find(null, keys);
      const alive = stored === null ? null : now - stored.at < ttlMs;
      const mode = modeOf({ stored, keys, domain: 'one', alive });
      const name = `${tenant} ${keys[0]}`;
      const session = sessions.get(name) ?? newSession;
      const replayed = mode.sharedTokens ?? 0;
      const fresh = request.tokens - Math.min(request.tokens, replayed);
      const epoch = stored?.epoch ?? 0;
      const plan = planRequest(
        {
          mode,
          expectedHit: mode.mode === 'cold' ? 0 : replayed,
          exactness: 'exact',
          epoch,
          replayedTokens: stored === null ? 0 : (stored.forwardedTokens[mode.sharedUnits - 1] ?? 0),
          compressibleTokens: fresh,
          fixedTokens: 0,
          maxNewTokens: 40,
          shorter: stored === null || epoch > 1 ? null : { tokens: 100, compressed: 100 },
          expectedTurns: 4,
          limitTokens: 4000,
          regimeBorder: options.position.originalLength,
        },
        session,
        costs,
        { highWater: 0.8, lowWater: 0.4, minClearTokens: 50, minRate: 0.3, regimeReserve: 0.1 },
      );
      const decided = await decideAll(request, keys, {
        ...options,
        epoch: plan.epoch,
        compress: plan.compress,
      });
      // From here to the end nothing waits: one forward after the other.
      now += 1000;
      const tokens = Uint32Array.from(
        decided.flatMap(({ tokens: unit }) => unit).concat(1, roles.indexOf('assistant')),
      );
      const where = options.isolateRegimes ? regime(options.position, tokens.length) : '';
      const domain = domainOf({ fingerprint, tenant, salt: 'secret', regime: where });
      const salt = Buffer.from(domain).toString('hex');
      const chainFor = (setup: SimulatedReplicaSetup, prompt: Uint32Array): Chain =>
        setup.engineChain?.(prompt, salt) ??
        chainOf(prompt, { domain, blockTokens: setup.blockTokens });
      const chains = replicas.map((setup) => chainFor(setup, tokens));
      const matches = indexes.map((index, at) => index.match(chainAt(chains, at), now));
      const route = chooseReplica(
        { promptTokens: tokens.length, previous: stored?.replica ?? null },
        matches.map((match, at) => ({
          id: String(at),
          eligible: !draining.has(at),
          hitTokens: match.tokens,
          creditTokens: match.credit,
          prefillRate: 2000,
          queuedTokens: Math.floor(random() * 3000),
          running: 0,
          activeTokens: 0,
          capacityTokens: null,
          recentTokens: 0,
        })),
      );
      const replica = route?.replica ?? 0;
      const index = indexes[replica];
      const setup = replicas[replica];
      if (index === undefined || setup === undefined) throw new Error(`no replica ${replica}`);
      const answer = words(random, 5 + Math.floor(random() * 40));
      const answered = Uint32Array.from([...contentTokens(answer), 2]);
      index.record(chainAt(chains, replica), now);
      const served = setup.backend.serve({ tokens, salt, answer: answered });
      if (served.batch !== null) feed(index, served.batch, now);
      const whole = chainFor(setup, Uint32Array.of(...tokens, ...answered));
      // With events the engine has now said what it keeps; without, it keeps what it generated as well.
      if (setup.feed === 'events') index.retract(whole, 0);
      else index.record(whole, now);
      const planned = matches[replica]?.tokens ?? 0;
      const counts = decided.map(({ tokens: unit }) => unit.length);
      const forwardedTokens = counts.map((_, at) =>
        counts.slice(0, at + 1).reduce((a, b) => a + b, 0),
      );
      const conversation: StoredConversation = {
        keys,
        forwardedTokens,
        epoch: plan.epoch,
        domain: 'one',
        replica: String(replica),
        at: now,
      };
      book.store(null, conversation);
      const miss = missReasonOf({
        reported: served.cachedTokens,
        planned,
        reusable: plan.rewrite ? 0 : (mode.sharedTokens ?? 0),
        promptTokens: tokens.length,
        blockTokens: setup.blockTokens,
        known: plan.miss,
        moved: stored !== null && stored.replica !== String(replica),
        minimumTokens: 0,
        exactIndex: setup.feed === 'events',
      });
      sessions.set(
        name,
        learnFrom(
          session,
          {
            promptTokens: tokens.length,
            rawTokens: request.tokens,
            planned,
            reported: served.cachedTokens,
            passThroughReusable: planned,
            compressedBefore: plan.compress ? fresh : 0,
            compressedAfter: plan.compress ? fresh / 2 : 0,
            miss,
          },
          costs,
        ),
      );
      return {
        answer,
        mode: plan.mode,
        planned,
        reported: served.cachedTokens,
        poisoned: served.poisoned,
        replica,
        miss,
        epoch: plan.epoch,
        forwarded: decided.map(({ key, text }) => ({ key, text })),
        compressed: decided.some(({ edits }) => edits > 0),
      };
    },
  };
}

function chainAt(chains: readonly Chain[], at: number): Chain {
  const chain = chains[at];
  if (chain === undefined) throw new Error(`no chain ${at}`);
  return chain;
}

function indexOf(setup: SimulatedReplicaSetup): ReplicaIndex {
  return createReplicaIndex({
    blockTokens: setup.blockTokens,
    groups: setup.groups,
    maxBlocks: setup.maxBlocks,
    feed: setup.feed,
    names: setup.engineChain === undefined ? 'chain' : 'engine',
    speculativeMs: 2000,
    expiryMs: null,
    // The salt of a first block is its domain; later blocks have it from their parent.
    eventDomain: (event) => {
      const salt = event.extraKeys?.[0]?.[0];
      return {
        domain: new Uint8Array(
          Buffer.from(typeof salt === 'string' ? salt : '00'.repeat(16), 'hex'),
        ),
      };
    },
  });
}

function feed(
  index: ReplicaIndex,
  batch: { readonly sequence: number; readonly events: readonly unknown[] },
  now: number,
): void {
  const events = batch.events.flatMap((raw) => readKvEvent(raw) ?? []);
  const verdict = index.applyBatch({ sequence: batch.sequence, events }, now);
  if (verdict.type !== 'apply') throw new Error(`batch ${batch.sequence}: ${verdict.type}`);
}

interface TurnUnit {
  readonly messages: readonly SimulatedMessage[];
  /** As the client sent them, markers included. */
  readonly raw: readonly Uint8Array[];
  readonly canonical: readonly Uint8Array[];
}

/** Messages as bytes; runs of user messages are one unit. */
function readTurn(turn: SimulatedTurn): {
  readonly units: readonly TurnUnit[];
  readonly tokens: number;
} {
  const units: { messages: SimulatedMessage[]; raw: Uint8Array[]; canonical: Uint8Array[] }[] = [];
  for (const [at, message] of turn.messages.entries()) {
    // As clients do: a list of blocks where a marker is wanted, else a plain string.
    const marker = { type: 'ephemeral' };
    const content =
      turn.marked === at
        ? [{ type: 'text', text: message.text, cache_control: marker }]
        : message.text;
    const raw = Buffer.from(JSON.stringify({ role: message.role, content }));
    const last = units.at(-1);
    if (last !== undefined && message.role === 'user' && last.messages[0]?.role === 'user') {
      last.messages.push(message);
      last.raw.push(raw);
      last.canonical.push(identityBytes(raw));
    } else {
      units.push({ messages: [message], raw: [raw], canonical: [identityBytes(raw)] });
    }
  }
  const tokens = turn.messages.reduce((sum, { text }) => sum + text.split(' ').length + 3, 2);
  return { units, tokens };
}

interface DecidedUnit {
  readonly key: string;
  /** Forwarded bytes without markers. */
  readonly text: string;
  readonly tokens: readonly number[];
  readonly edits: number;
}

async function decideAll(
  request: { readonly units: readonly TurnUnit[] },
  keys: readonly string[],
  options: SimulatedProxyOptions & { readonly epoch: number; readonly compress: boolean },
): Promise<readonly DecidedUnit[]> {
  const decided: DecidedUnit[] = [];
  for (const [at, unit] of request.units.entries()) {
    const key = epochKey(keys[at] ?? '', options.epoch);
    let decision = options.remember ? await options.ledger.get(key) : null;
    if (decision === null) {
      decision = await compressUnit(unit, request.units.length - at, options);
      if (options.remember) decision = await options.ledger.putIfAbsent(key, decision);
    }
    const forwarded = unit.raw.map((raw, message) => spliced(raw, message, decision.edits));
    decided.push({
      key,
      text: forwarded.map((bytes) => Buffer.from(identityBytes(bytes)).toString()).join('\n'),
      tokens: forwarded.flatMap(tokensOf),
      edits: decision.edits.length,
    });
  }
  return decided;
}

/** Keeps a share of the words of long texts; late answers keep all. Offsets are those of the message without markers. */
async function compressUnit(
  unit: TurnUnit,
  fromEnd: number,
  options: SimulatedProxyOptions & { readonly epoch: number; readonly compress: boolean },
): Promise<UnitDecision> {
  for (let rest = options.random() * 3; rest > 1; rest -= 1) await yieldToOthers();
  const late = options.random() < options.timeouts;
  if (late || !options.compress) return { edits: [], spans: [] };
  const every = options.remember ? 2 + options.epoch : 2 + (fromEnd % 3);
  const edits = unit.messages.flatMap(({ role, text }, message): readonly MessageEdit[] => {
    const all = text.split(' ');
    if (role === 'system' || role === 'assistant' || all.length < 25) return [];
    const prefix = Buffer.byteLength(JSON.stringify({ role, content: '' })) - 2;
    const kept = all.filter((_, at) => (options.epoch > 0 ? at % every === 0 : at % every !== 0));
    return [{ message, byteStart: prefix, byteEnd: prefix + text.length, text: kept.join(' ') }];
  });
  return { edits, spans: [] };
}

function spliced(raw: Uint8Array, message: number, edits: readonly MessageEdit[]): Uint8Array {
  const cuts = identityCuts(raw);
  let bytes = Buffer.from(raw);
  for (const edit of edits.filter((candidate) => candidate.message === message).toReversed()) {
    bytes = Buffer.concat([
      bytes.subarray(0, offsetInMessage(edit.byteStart, cuts)),
      Buffer.from(edit.text),
      bytes.subarray(endInMessage(edit.byteEnd, cuts)),
    ]);
  }
  return bytes;
}

const roles = ['system', 'user', 'assistant', 'tool'];

/** A chat template and a tokenizer in two lines: begin, role, one token a word, end. */
function tokensOf(bytes: Uint8Array): readonly number[] {
  const { role, content } = JSON.parse(Buffer.from(bytes).toString()) as {
    role: string;
    content: string | readonly { text: string }[];
  };
  const text = typeof content === 'string' ? content : (content[0]?.text ?? '');
  return [1, roles.indexOf(role), ...contentTokens(text), 2];
}

function contentTokens(text: string): readonly number[] {
  return text.split(' ').map((word) => {
    let hash = 7;
    for (let at = 0; at < word.length; at += 1)
      hash = (Math.imul(hash, 31) + word.charCodeAt(at)) >>> 0;
    return 10 + (hash % 60_000);
  });
}
