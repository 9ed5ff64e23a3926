/** The Python client against the embedded backend: what a fresh machine has. */
import { test } from 'node:test';
import { runPython, startSluice, stop } from './processes.ts';

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
    await runPython(python, [`${sluice.url}/v1`, 'scout']);
  } finally {
    await stop(sluice.child);
  }
});
