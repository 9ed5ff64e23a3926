/** Many streams, slow readers, large bodies: what is in memory is bounded. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { createServer, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSample } from '../../src/http/sample.ts';
import { startFakeUpstream } from '../helpers/fake-upstream.ts';
import { startProxy } from '../helpers/proxy.ts';

const post = (length: number, path = '/v1/chat/completions'): string =>
  `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n\r\n`;

interface ProxyProcess {
  readonly port: number;
  /** Resident bytes now (after a collection) and the highest since the last reset. */
  memory(reset?: boolean): Promise<{ readonly rss: number; readonly peak: number }>;
}

async function startProxyProcess(
  t: TestContext,
  upstream: string,
  inspectBytes: number,
): Promise<ProxyProcess> {
  const child = fork('test/helpers/proxy-process.ts', [upstream, String(inspectBytes)], {
    execArgv: ['--import', 'tsx', '--expose-gc'],
  });
  t.after(() => child.kill());
  const next = <T>(): Promise<T> =>
    new Promise((resolve) => child.once('message', resolve as never));
  const { url } = await next<{ url: string }>();
  return {
    port: Number(new URL(url).port),
    memory(reset = false) {
      const answer = next<{ rss: number; peak: number }>();
      child.send(reset ? 'reset' : 'read');
      return answer;
    },
  };
}

test('a reader that does not read pauses the upstream', async (t) => {
  let written = 0;
  const total = 256 << 20;
  const upstream = await startFakeUpstream(t);
  const proxy = await startProxy(t, { upstream: upstream.url });
  upstream.script = {
    type: 'custom',
    answer: (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const chunk = Buffer.alloc(64 * 1024, 'x');
      const fill = (): void => {
        while (written < total && !response.destroyed) {
          written += chunk.length;
          if (!response.write(chunk)) {
            response.once('drain', fill);
            return;
          }
        }
      };
      fill();
    },
  };
  const socket = connect(proxy.port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.pause();
  socket.write(`${post(2)}{}`);
  // Until nothing has moved for a while: what was taken then lies in socket buffers.
  let before = -1;
  while (before !== written || written === 0) {
    before = written;
    await sleep(150);
  }
  // Kernel buffers of two loopback connections grow to several MiB; 256 MiB would mean that nobody stopped.
  assert(written < 32 << 20, `${written} bytes were taken from the upstream`);
  const stopped = written;
  socket.resume();
  while (written < stopped + (8 << 20)) await sleep(20);
});

test('a slow reader does not make the proxy grow', async (t) => {
  const chunk = Buffer.alloc(64 * 1024, 'x');
  const writers = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    writers.add(response);
    const fill = (): void => {
      while (!response.destroyed)
        if (!response.write(chunk)) return void response.once('drain', fill);
    };
    fill();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const proxy = await startProxyProcess(t, `http://127.0.0.1:${port}`, 1 << 20);
  const start = await proxy.memory(true);
  const readers = Array.from({ length: 20 }, () => {
    const socket = connect(proxy.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.pause();
    socket.write(`${post(2)}{}`);
    return socket;
  });
  t.after(() => readers.forEach((socket) => socket.destroy()));
  await sleep(1500);
  const { rss } = await proxy.memory();
  const grown = (rss - start.rss) / readers.length;
  t.diagnostic(`${(grown / 1024).toFixed(0)} KiB per slow reader`);
  assert(grown < 3 << 20, `${(grown / 1024).toFixed(0)} KiB per slow reader`);
});

test('500 concurrent streams hold and lose no byte', async (t) => {
  const streams = 500;
  const open: ServerResponse[] = [];
  const upstream = await startFakeUpstream(t);
  const proxy = await startProxy(t, { upstream: upstream.url });
  upstream.script = {
    type: 'custom',
    answer: (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: 0\n\n');
      open.push(response);
    },
  };
  const received = Array.from({ length: streams }, () => '');
  const sockets = received.map((_, at) => {
    const socket = connect(proxy.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.on('data', (data) => (received[at] += data.toString('latin1')));
    socket.write(`${post(2)}{}`);
    return socket;
  });
  t.after(() => sockets.forEach((socket) => socket.destroy()));
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) await sleep(10);
  };
  await until(() => received.every((text) => text.includes('data: 0')));
  assert.equal(open.length, streams);
  for (let round = 1; round <= 5; round += 1) {
    for (const response of open) response.write(`data: ${round}\n\n`);
    await until(() => received.every((text) => text.includes(`data: ${round}`)));
  }
  for (const response of open) response.end('data: [DONE]\n\n');
  await until(() => received.every((text) => text.endsWith('0\r\n\r\n')));
  for (const text of received) {
    const events = [...text.matchAll(/data: (\S+)/g)].map((match) => match[1]);
    assert.deepEqual(events, ['0', '1', '2', '3', '4', '5', '[DONE]']);
  }
  assert.equal(proxy.gateway.settled.size, streams);
});

const bodyBytes = 50 << 20;

for (const { name, inspectBytes } of [
  { name: 'read whole', inspectBytes: 64 << 20 },
  { name: 'passed through unread', inspectBytes: 32 << 20 },
]) {
  test(`a 50 MB body ${name} costs at most three times its size`, async (t) => {
    const server = createServer((request, response) => {
      let length = 0;
      request.on('data', (chunk: Buffer) => (length += chunk.length));
      request.on('end', () => response.end(String(length)));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const proxy = await startProxyProcess(t, `http://127.0.0.1:${port}`, inspectBytes);
    const start = await proxy.memory(true);
    const content = Buffer.alloc(bodyBytes, 0x20);
    content.write('{"messages":[]');
    content.write('}', bodyBytes - 1);
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(proxy.port, '127.0.0.1');
      let text = '';
      socket.on('data', (data) => {
        text += data.toString();
        if (text.endsWith('0\r\n\r\n') || /\r\n\r\n\d+$/.test(text)) {
          socket.destroy();
          resolve(text);
        }
      });
      socket.on('error', reject);
      socket.write(post(bodyBytes));
      socket.write(content);
    });
    assert.match(answer, /^HTTP\/1\.1 200 /);
    assert(answer.includes(String(bodyBytes)));
    const { peak } = await proxy.memory();
    const growth = (peak - start.rss) / bodyBytes;
    t.diagnostic(`grew by ${growth.toFixed(2)} x`);
    assert(growth <= 3, `resident memory grew by ${growth.toFixed(2)} x the body`);
  });
}

test('the sample of a response is bounded whatever its chunks are', () => {
  for (const size of [1, 200, 5000, 70_000, 300_000]) {
    const sample = createSample();
    const all: Buffer[] = [];
    for (let total = 0; total < 600_000; total += size) {
      const chunk = Buffer.alloc(size, String.fromCharCode(97 + (all.length % 26)));
      all.push(chunk);
      sample.add(chunk);
    }
    const whole = Buffer.concat(all);
    const { head, tail } = sample.take();
    assert.equal(head.length, 4096);
    assert.equal(tail.length, 65_536);
    assert(whole.subarray(0, 4096).equals(head));
    assert(whole.subarray(whole.length - 65_536).equals(tail));
  }
  const short = createSample();
  short.add(Buffer.from('ab'));
  short.add(Buffer.from('c'));
  const { head, tail } = short.take();
  assert.equal(Buffer.from(head).toString(), 'abc');
  assert.equal(Buffer.from(tail).toString(), 'abc');
});
