// The least a streaming reverse proxy on undici's dispatcher can do; shared by the two baselines.
import { Pool } from 'undici';

const hopByHop = new Set(['host', 'connection', 'keep-alive', 'transfer-encoding', 'expect']);

/** @returns a request listener that forwards to `upstream`: body streamed in, answer streamed out with backpressure */
export function forwardTo(upstream) {
  const pool = new Pool(upstream, { connections: null });
  return (request, response) => {
    const { rawHeaders } = request;
    const headers = [];
    for (let at = 0; at < rawHeaders.length; at += 2) {
      if (!hopByHop.has(rawHeaders[at].toLowerCase()))
        headers.push(rawHeaders[at], rawHeaders[at + 1]);
    }
    let abort;
    response.on('close', () => response.writableEnded || abort?.());
    pool.dispatch(
      { path: request.originalUrl ?? request.url, method: request.method, headers, body: request },
      {
        onConnect(cancel) {
          abort = cancel;
        },
        onHeaders(status, raw, resume) {
          const fields = [];
          for (let at = 0; at < raw.length; at += 2) {
            const name = raw[at].toString('latin1');
            if (!hopByHop.has(name.toLowerCase()))
              fields.push(name, raw[at + 1].toString('latin1'));
          }
          response.writeHead(status, fields);
          response.on('drain', resume);
          return true;
        },
        onData: (chunk) => response.write(chunk),
        onComplete: () => void response.end(),
        onError: () => response.destroy(),
      },
    );
  };
}
