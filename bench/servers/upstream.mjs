// The server behind the proxies: a canned answer of 1 KB, or an event stream when the body asks for one.
import { createServer } from 'node:http';

const [, , chunkCount = '100', gapMs = '1'] = process.argv;
const answer = Buffer.from(
  JSON.stringify({
    id: 'chatcmpl-bench',
    object: 'chat.completion',
    choices: [{ index: 0, message: { role: 'assistant', content: 'x'.repeat(800) } }],
    usage: { prompt_tokens: 100, completion_tokens: 200, total_tokens: 300 },
  }),
);
const event = Buffer.from(
  `data: ${JSON.stringify({
    id: 'chatcmpl-bench',
    object: 'chat.completion.chunk',
    choices: [{ index: 0, delta: { content: ' token' }, finish_reason: null }],
  })}\n\n`,
);
const last = Buffer.from(
  'data: {"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":100}}\n\ndata: [DONE]\n\n',
);

function stream(response) {
  let left = Number(chunkCount);
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  const next = () => {
    if (response.destroyed) return;
    if (left === 0) {
      response.end(last);
      return;
    }
    left -= 1;
    response.write(event);
    setTimeout(next, Number(gapMs));
  };
  next();
}

const server = createServer((request, response) => {
  let streaming = false;
  request.on('data', (chunk) => {
    // The flag stands at the front of every body of this bench.
    if (!streaming && chunk.subarray(0, 64).includes('"stream":true')) streaming = true;
  });
  request.on('end', () => {
    if (streaming) stream(response);
    else {
      response.writeHead(200, {
        'content-type': 'application/json',
        'content-length': answer.length,
      });
      response.end(answer);
    }
  });
});
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
