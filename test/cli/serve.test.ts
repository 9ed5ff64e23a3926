import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { finish, start } from './helpers.ts';

/** An upstream that answers every request with its own path, after `delay` milliseconds. */
async function upstream(t: TestContext, delay = 0): Promise<string> {
  const server = createServer((request, response) => {
    setTimeout(() => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ path: request.url }));
    }, delay);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('serve tells its address first, forwards, and finishes running requests at a signal', async (t) => {
  const url = await upstream(t, 300);
  const child = start(['serve', '--port', '0', '--upstream', url, '--backend', 'openai']);
  t.after(() => child.kill('SIGKILL'));
  const ended = finish(child);
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  const address = /^sluice listening on (http:\/\/127\.0\.0\.1:\d+)$/.exec(line)?.[1];
  assert.ok(address, line);

  const health = await fetch(`${address}/healthz`);
  assert.equal(health.status, 200);
  const running = fetch(`${address}/v1/models`);
  await new Promise((resolve) => setTimeout(resolve, 100));
  child.kill('SIGTERM');
  assert.deepEqual(await (await running).json(), { path: '/v1/models' });
  const { status, stdout, stderr } = await ended;
  assert.equal(status, 0, stderr);
  assert.equal(stdout, `${line}\n`);
  assert.match(stderr, /SIGTERM: finishing running requests/);
});

test('a port that is taken is told with what to do', async (t) => {
  const url = await upstream(t);
  const { port } = new URL(url);
  const child = start(['serve', '--port', port, '--upstream', url, '--backend', 'openai']);
  t.after(() => child.kill('SIGKILL'));
  const { status, stdout, stderr } = await finish(child);
  assert.equal(status, 1);
  assert.equal(stdout, '');
  assert.match(stderr, new RegExp(`127\\.0\\.0\\.1:${port} is in use; .*--port`));
});

test('a reader that goes away ends explain quietly', async (t) => {
  const child = start(['explain', '-', '--method', 'extractive']);
  t.after(() => child.kill('SIGKILL'));
  const ended = finish(child);
  child.stdout.destroy();
  child.stdin.end('One sentence is here. Another one is there. '.repeat(2000));
  const { status, stderr } = await ended;
  assert.equal(status, 0, stderr);
  assert.equal(stderr, '');
});
