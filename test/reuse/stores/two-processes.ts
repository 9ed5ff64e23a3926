/** Two processes with one ledger, whose conversations go back and forth between them, sometimes to both at once. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import type { Forwarded, Turn } from './forwarder.ts';
import { chainKeys, exitOf, startProgram } from './helpers.ts';

/** Fails when a unit was forwarded in two ways or an epoch went back. `place`: folder, or URL of Redis. */
export async function converseWithTwo(
  t: TestContext,
  place: string,
  conversations: number,
): Promise<void> {
  const processes = ['p', 'q'].map((name) => startProgram(t, 'forwarder', [place, name]));
  await Promise.all(processes.map((child) => once(child, 'message')));
  const answers = new Map<string, (forwarded: Forwarded) => void>();
  for (const [at, child] of processes.entries()) {
    child.on('message', (forwarded: Forwarded) =>
      answers.get(`${at} ${forwarded.id}`)?.(forwarded),
    );
  }
  const send = (at: number, turn: Turn): Promise<Forwarded> =>
    new Promise((resolve) => {
      answers.set(`${at} ${turn.id}`, resolve);
      processes[at]?.send(turn);
    });
  const texts = new Map<string, Set<string>>();
  let goneBack = 0;
  let id = 0;
  let seed = 7;
  const random = (): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
    return seed / 0x7fffffff;
  };
  const converse = async (conversation: number): Promise<void> => {
    const names = ['system', `first ${conversation}`];
    let epoch = 0;
    for (let round = 0; round < 4; round += 1) {
      const keys = chainKeys(names);
      const name = conversation % 3 === 0 ? `session ${conversation}` : null;
      const rewrite = round > 0 && random() < 0.1;
      const turn = (): Turn => ({ id: (id += 1), keys, name, rewrite });
      // A client that tries again, or two copies of one request: both processes have it at once.
      const targets = random() < 0.4 ? [0, 1] : [(conversation + round) % 2];
      const done = await Promise.all(targets.map((at) => send(at, turn())));
      for (const { found, units } of done) {
        if (found !== null && found < epoch) goneBack += 1;
        for (const { key, text } of units) {
          const seen = texts.get(key) ?? new Set();
          texts.set(key, seen.add(text));
        }
      }
      epoch = Math.max(epoch, ...done.map((forwarded) => forwarded.epoch));
      names.push(`${conversation} ${round} a`, `${conversation} ${round} b`);
      // Sometimes the client goes back and asks something else.
      if (random() < 0.15) {
        names.splice(2);
        names.push(`${conversation} other ${round}`);
        epoch = 0;
      }
    }
  };
  await Promise.all(Array.from({ length: conversations }, (_, at) => converse(at)));
  for (const child of processes) child.send('end');
  await Promise.all(processes.map(exitOf));
  const violations = [...texts].filter(([, seen]) => seen.size > 1);
  assert.deepEqual(violations, []);
  assert.equal(goneBack, 0);
  const writers = new Set([...texts.values()].flatMap((seen) => [...seen]).map((text) => text[0]));
  assert.deepEqual([...writers].toSorted(), ['p', 'q']);
  assert.ok(texts.size > conversations * 6, `${texts.size} units`);
}
