/** One generation: prompt to engine, tokens to text, text to the dialect's answer. */
import { randomUUID } from 'node:crypto';
import type { GenerateEvents, TextEngine } from '../engine/types.ts';
import type { Output } from './embedded-output.ts';
import { DialectError, type TextRequest } from './embedded-request.ts';
import {
  chunk,
  doneEvent,
  outputLimit,
  usageChunk,
  wholeAnswer,
  type AnswerFacts,
} from './embedded-response.ts';
import { createTextStream, type TextStream } from './embedded-text.ts';

function idsOf({ prompt }: TextRequest, engine: TextEngine): Uint32Array {
  if ('text' in prompt) return engine.textIds(prompt.text);
  if ('ids' in prompt) return Uint32Array.from([...engine.textIds(''), ...prompt.ids]);
  try {
    return engine.chatIds(prompt.messages);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new DialectError(400, why, { param: 'messages' });
  }
}

/** Prompt ids with BOS; refuses what does not fit. @throws DialectError 400 context_length_exceeded */
function promptIds(request: TextRequest, engine: TextEngine): Uint32Array {
  const prompt = idsOf(request, engine);
  if (prompt.some((id) => id >= engine.tokenizer.vocabularySize)) {
    throw new DialectError(
      400,
      `prompt holds a token id outside the vocabulary of ${engine.tokenizer.vocabularySize}`,
      { param: 'prompt' },
    );
  }
  if (prompt.length >= engine.contextLimit) {
    throw new DialectError(
      400,
      `The prompt has ${prompt.length} tokens; this model's maximum context length is ${engine.contextLimit}`,
      { code: 'context_length_exceeded', param: request.chat ? 'messages' : 'prompt' },
    );
  }
  return prompt;
}

/** @param maxTokens tokens generated when the request names no limit */
export function generate(
  request: TextRequest,
  output: Output,
  engine: TextEngine,
  maxTokens: number,
): void {
  const prompt = promptIds(request, engine);
  const answer = new Answer(request, output, engine, prompt.length);
  const abort = engine.generate(
    {
      promptIds: prompt,
      maxTokens: outputLimit(request, engine.contextLimit - prompt.length, maxTokens),
      temperature: request.temperature,
      topP: request.topP,
      seed: request.seed,
    },
    answer,
  );
  answer.abort = abort;
  output.onAbort = abort;
}

class Answer implements GenerateEvents {
  abort: () => void = () => {};
  readonly #request: TextRequest;
  readonly #output: Output;
  readonly #facts: AnswerFacts;
  readonly #stream: TextStream;
  readonly #promptTokens: number;
  #text = '';
  #completionTokens = 0;
  #cachedTokens = 0;

  constructor(request: TextRequest, output: Output, engine: TextEngine, promptTokens: number) {
    this.#request = request;
    this.#output = output;
    this.#promptTokens = promptTokens;
    this.#stream = createTextStream(engine.tokenizer, [
      ...request.stop,
      ...(request.chat ? engine.chatStops : []),
    ]);
    this.#facts = {
      id: `${request.chat ? 'chatcmpl' : 'cmpl'}-${randomUUID()}`,
      created: Math.floor(Date.now() / 1000),
      model: engine.name,
      chat: request.chat,
    };
  }

  onStart(cachedTokens: number): void {
    this.#cachedTokens = cachedTokens;
    if (!this.#request.stream) return;
    this.#output.head(200, 'text/event-stream; charset=utf-8');
    if (!this.#request.chat) return;
    this.#output.write(chunk(this.#facts, { role: 'assistant', text: '' }, null));
  }

  onToken(id: number): void {
    if (this.#stream.stopped) return;
    this.#completionTokens += 1;
    this.#emit(this.#stream.push(id));
    if (!this.#stream.stopped) return;
    this.abort();
    this.#finish('stop');
  }

  onEnd(reason: 'stop' | 'length' | 'aborted'): void {
    if (reason !== 'aborted') this.#finish(reason);
  }

  onError(error: Error): void {
    this.#output.fail(error);
  }

  #emit(piece: string): void {
    if (!this.#request.stream) this.#text += piece;
    else if (piece !== '') this.#output.write(chunk(this.#facts, { text: piece }, null));
  }

  #finish(reason: 'stop' | 'length'): void {
    this.#emit(this.#stream.flush());
    const usage = {
      promptTokens: this.#promptTokens,
      completionTokens: this.#completionTokens,
      cachedTokens: this.#cachedTokens,
    };
    if (this.#request.stream) {
      this.#output.write(chunk(this.#facts, {}, reason));
      if (this.#request.includeUsage) this.#output.write(usageChunk(this.#facts, usage));
      this.#output.write(doneEvent);
    } else {
      this.#output.head(200, 'application/json');
      this.#output.write(wholeAnswer(this.#facts, this.#text, reason, usage));
    }
    this.#output.end();
  }
}
