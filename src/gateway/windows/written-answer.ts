/** An answer that is made here piece by piece (`nbce`), in the shape of the backend's own. */
import type { ForwardHandle, ForwardHandler } from '../../backends/types.ts';
import type { WindowRun } from '../../context/windows/types.ts';
import { completionEvent, wholeCompletion } from './answers.ts';
import type { WindowRequest } from './request.ts';
import { createStops } from './stops.ts';

export class WrittenAnswer implements ForwardHandle {
  readonly #handler: ForwardHandler;
  readonly #request: WindowRequest;
  readonly #now: () => number;
  #aborted = false;
  #paused: (() => void) | null = null;

  /** @param now milliseconds since 1970 */
  constructor(handler: ForwardHandler, request: WindowRequest, now: () => number) {
    this.#handler = handler;
    this.#request = request;
    this.#now = now;
  }

  abort(): void {
    this.#aborted = true;
    this.resume();
  }

  resume(): void {
    const paused = this.#paused;
    this.#paused = null;
    paused?.();
  }

  /**
   * Writes until the pieces end, a stop string comes, or nobody reads any more. Rejects with what making a piece threw.
   * @param run of the pieces; says at their end whether they were cut off
   * @param atEnd called before the last bytes are sent
   */
  async write(pieces: AsyncIterable<string>, run: WindowRun, atEnd: () => void): Promise<void> {
    const { stream, model, root, maxTokens } = this.#request;
    const created = Math.floor(this.#now() / 1000);
    const own = { id: `cmpl-${created}`, created, model };
    const type = stream ? 'text/event-stream' : 'application/json';
    const stops = createStops(root['stop']);
    let text = '';
    let count = 0;
    const add = async (ready: string): Promise<void> => {
      text += ready;
      if (stream && ready !== '') await this.#send(completionEvent(own, ready, null));
    };
    if (stream) this.#handler.onHead(200, ['content-type', type], 'OK');
    for await (const piece of pieces) {
      if (this.#aborted) return;
      count += 1;
      await add(stops.push(piece));
      if (stops.stopped) break;
    }
    await add(stops.rest());
    atEnd();
    const cut = run.cutOff || count >= (maxTokens ?? Infinity);
    const finish = cut && !stops.stopped ? 'length' : 'stop';
    const closing = stream
      ? Buffer.concat([completionEvent(own, '', finish), Buffer.from('data: [DONE]\n\n')])
      : wholeCompletion(own, text, finish);
    if (!stream) {
      const length = ['content-length', String(closing.byteLength)];
      this.#handler.onHead(200, ['content-type', type, ...length], 'OK');
    }
    await this.#send(closing);
    this.#handler.onEnd([]);
  }

  async #send(bytes: Uint8Array): Promise<void> {
    if (this.#aborted || this.#handler.onData(Buffer.from(bytes))) return;
    await new Promise<void>((resolve) => {
      this.#paused = resolve;
    });
  }
}
