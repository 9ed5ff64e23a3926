/** The Python client against the embedded backend: what a fresh machine has. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { startSluice, stop } from './processes.ts';

test('the Python client of OpenAI chats with the embedded backend', async (t) => {
  const python = process.env['SLUICE_IT_PYTHON'];
  if (python === undefined) {
    const reason = 'SLUICE_IT_PYTHON does not name a Python with the openai package';
    console.log(`skipped: ${reason}`);
    t.skip(reason);
    return;
  }
  const sluice = await startSluice([]);
  try {
    const run = spawnSync(
      python,
      ['test/integration/openai_client.py', `${sluice.url}/v1`, 'scout'],
      {
        encoding: 'utf8',
      },
    );
    assert.equal(run.status, 0, run.stderr);
  } finally {
    await stop(sluice.child);
  }
});
