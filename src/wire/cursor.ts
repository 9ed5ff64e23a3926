/**
 * A validating cursor over JSON bytes (RFC 8259). It walks values without building them: a value is either passed
 * (checked and skipped) or read member by member. Nothing is decoded except the keys of objects that are read.
 */
import type { SkipReason } from '../core/report.ts';

/** Containers may nest this deep; a body that nests deeper is passed through untouched. */
export const maxDepth = 200;

/** Thrown inside wire/ when a body cannot be read; `readRequest` turns it into a value. Carries no prompt text. */
export class ScanStop extends Error {
  readonly reason: SkipReason;

  constructor(reason: SkipReason, detail: string) {
    super(detail);
    this.name = 'ScanStop';
    this.reason = reason;
  }
}

/** Half-open byte range of the body. */
export interface ByteRange {
  readonly byteStart: number;
  readonly byteEnd: number;
}

/** The content of one JSON string token: bytes between the quotes, and what the scan saw in them. */
export interface RawString extends ByteRange {
  /** There is at least one backslash. */
  readonly escaped: boolean;
  /** There is at least one `\uD8xx`-`\uDFxx` escape, so surrogates may be unpaired. */
  readonly surrogates: boolean;
}

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const objectOpen = 0x7b;
const objectClose = 0x7d;
const arrayOpen = 0x5b;
const arrayClose = 0x5d;

const isHex = tableOf('0123456789abcdefABCDEF');
const isShortEscape = tableOf('"\\/bfnrt');
/** Bytes that end a plain run inside a string: quote, backslash, control characters. */
const endsRun = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < 0x20 || byte === quote || byte === backslash ? 1 : 0,
);

function tableOf(characters: string): Uint8Array {
  const table = new Uint8Array(256);
  for (const character of characters) table[character.charCodeAt(0)] = 1;
  return table;
}

/**
 * Public methods work at `at`; private ones take a position and return the one after what they passed, so that the
 * hot loops keep it in a register.
 */
export class JsonCursor {
  /** The whole body. */
  readonly bytes: Buffer;
  /** Position of the next byte. */
  at = 0;
  #depth = 0;
  /** The body as aligned 32-bit words; byte i of the body is byte `i + #phase` of them. */
  readonly #words: Int32Array;
  readonly #phase: number;
  /** Set by escapes, cleared where somebody wants to know. */
  #escaped = false;
  #surrogates = false;

  constructor(body: Uint8Array) {
    this.bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    this.#phase = body.byteOffset & 3;
    this.#words = new Int32Array(
      body.buffer,
      body.byteOffset - this.#phase,
      (this.#phase + body.byteLength) >> 2,
    );
  }

  /** Skips white space and returns the next byte, or -1 at the end. */
  peek(): number {
    this.at = this.#space(this.at);
    return this.bytes[this.at] ?? -1;
  }

  isObject(): boolean {
    return this.peek() === objectOpen;
  }

  isArray(): boolean {
    return this.peek() === arrayOpen;
  }

  isString(): boolean {
    return this.peek() === quote;
  }

  isNull(): boolean {
    return this.peek() === 0x6e;
  }

  /** Checks and skips one value of any kind. @throws ScanStop */
  passValue(): void {
    this.at = this.#value(this.#space(this.at));
  }

  /** Passes the string at the cursor and says where its content is. @throws ScanStop when there is no string */
  passRawString(): RawString {
    if (this.peek() !== quote) this.fail('a string');
    const byteStart = this.at + 1;
    this.#escaped = false;
    this.#surrogates = false;
    this.at = this.#string(this.at);
    return {
      byteStart,
      byteEnd: this.at - 1,
      escaped: this.#escaped,
      surrogates: this.#surrogates,
    };
  }

  /**
   * Reads the object at the cursor. `visit` is called with each decoded key, must consume the value, and answers
   * whether the member is to be cut out. Returns the range whose removal leaves the object without that member and
   * its comma, or null. @throws ScanStop `duplicate-key` when a key occurs twice
   */
  readObject(visit: (key: string) => 'keep' | 'cut'): ByteRange | null {
    this.#enter(this.at);
    this.at++;
    const keys = new Set<string>();
    let cut: ByteRange | null = null;
    let previousEnd = -1;
    let openCut = -1;
    for (let more = this.peek() !== objectClose; more; more = this.#more(objectClose)) {
      if (this.peek() !== quote) this.fail('a key');
      const keyStart = this.at;
      if (openCut >= 0) cut = { byteStart: openCut, byteEnd: keyStart };
      openCut = -1;
      const key = this.#readKey();
      if (keys.has(key))
        throw new ScanStop(
          'duplicate-key',
          `An object has the same key twice, at byte ${keyStart}`,
        );
      keys.add(key);
      if (visit(key) === 'cut') {
        cut = { byteStart: previousEnd < 0 ? keyStart : previousEnd, byteEnd: this.at };
        if (previousEnd < 0) openCut = keyStart;
      }
      previousEnd = this.at;
    }
    this.at++;
    this.#depth--;
    return cut;
  }

  /** Reads the array at the cursor; `visit` must consume each element. @throws ScanStop */
  readArray(visit: (index: number) => void): void {
    this.#enter(this.at);
    this.at++;
    let index = 0;
    for (let more = this.peek() !== arrayClose; more; more = this.#more(arrayClose)) {
      this.peek();
      visit(index++);
    }
    this.at++;
    this.#depth--;
  }

  /** Only white space may follow. @throws ScanStop */
  expectEnd(): void {
    if (this.peek() !== -1) this.fail('the end');
  }

  /** @throws ScanStop `not-json`, always */
  fail(expected: string, at: number = this.at): never {
    throw new ScanStop('not-json', `Expected ${expected} at byte ${at}`);
  }

  /** After a member or element: passes a comma (true), or stands on the closing bracket (false). */
  #more(close: number): boolean {
    const byte = this.peek();
    if (byte === comma) {
      this.at++;
      return true;
    }
    if (byte !== close) this.fail('a comma or the closing bracket');
    return false;
  }

  #readKey(): string {
    const start = this.at;
    this.#escaped = false;
    const end = this.#string(start);
    this.at = this.#space(this.#colon(end));
    if (!this.#escaped) return this.bytes.toString('utf8', start + 1, end - 1);
    return String(JSON.parse(this.bytes.toString('utf8', start, end)));
  }

  #enter(at: number): void {
    if (++this.#depth > maxDepth)
      throw new ScanStop('too-deep', `Nested deeper than ${maxDepth} containers at byte ${at}`);
  }

  #space(from: number): number {
    const { bytes } = this;
    let at = from;
    let byte = bytes[at];
    while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) byte = bytes[++at];
    return at;
  }

  #value(at: number): number {
    switch (this.bytes[at]) {
      case quote:
        return this.#string(at);
      case objectOpen:
        return this.#object(at);
      case arrayOpen:
        return this.#array(at);
      case 0x74:
        return this.#word(at, 'true');
      case 0x66:
        return this.#word(at, 'false');
      case 0x6e:
        return this.#word(at, 'null');
      default:
        return this.#number(at);
    }
  }

  #object(from: number): number {
    const { bytes } = this;
    this.#enter(from);
    let at = this.#space(from + 1);
    if (bytes[at] !== objectClose)
      for (;;) {
        if (bytes[at] !== quote) this.fail('a key', at);
        at = this.#space(this.#colon(this.#string(at)));
        at = this.#space(this.#value(at));
        if (bytes[at] !== comma) break;
        at = this.#space(at + 1);
      }
    if (bytes[at] !== objectClose) this.fail('a comma or the closing brace', at);
    this.#depth--;
    return at + 1;
  }

  #array(from: number): number {
    const { bytes } = this;
    this.#enter(from);
    let at = this.#space(from + 1);
    if (bytes[at] !== arrayClose)
      for (;;) {
        at = this.#space(this.#value(at));
        if (bytes[at] !== comma) break;
        at = this.#space(at + 1);
      }
    if (bytes[at] !== arrayClose) this.fail('a comma or the closing bracket', at);
    this.#depth--;
    return at + 1;
  }

  #colon(from: number): number {
    const at = this.bytes[from] === colon ? from : this.#space(from);
    if (this.bytes[at] !== colon) this.fail('a colon', at);
    return at + 1;
  }

  #word(at: number, word: 'true' | 'false' | 'null'): number {
    for (let i = 1; i < word.length; i++)
      if (this.bytes[at + i] !== word.charCodeAt(i)) this.fail('a JSON value', at);
    return at + word.length;
  }

  #number(from: number): number {
    const { bytes } = this;
    let at = bytes[from] === 0x2d ? from + 1 : from;
    at = bytes[at] === 0x30 ? at + 1 : this.#digits(at);
    if (bytes[at] === 0x2e) at = this.#digits(at + 1);
    if (bytes[at] === 0x65 || bytes[at] === 0x45) {
      const sign = bytes[at + 1];
      at = this.#digits(sign === 0x2b || sign === 0x2d ? at + 2 : at + 1);
    }
    return at;
  }

  /** At least one digit. */
  #digits(from: number): number {
    const { bytes } = this;
    let at = from;
    let byte = bytes[at] ?? 0;
    while (byte >= 0x30 && byte <= 0x39) byte = bytes[++at] ?? 0;
    if (at === from) this.fail('a JSON value', at);
    return at;
  }

  #string(from: number): number {
    const { bytes } = this;
    let at = this.#runEnd(from + 1);
    while (bytes[at] !== quote) {
      if (bytes[at] !== backslash)
        this.fail(
          at < bytes.length ? 'no control character in a string' : 'the end of a string',
          at,
        );
      at = this.#runEnd(this.#escape(at));
    }
    return at + 1;
  }

  #escape(at: number): number {
    const { bytes } = this;
    this.#escaped = true;
    const letter = bytes[at + 1] ?? 0;
    if (isShortEscape[letter] === 1) return at + 2;
    if (letter !== 0x75) this.fail('a JSON escape', at);
    for (let i = 2; i < 6; i++)
      if (isHex[bytes[at + i] ?? 0] !== 1) this.fail('four hex digits', at);
    // 'd' or 'D', then 8 or above
    if (((bytes[at + 2] ?? 0) | 0x20) === 0x64 && (bytes[at + 3] ?? 0) >= 0x38)
      this.#surrogates = true;
    return at + 6;
  }

  /**
   * First position from `from` on whose byte ends a plain run. Four bytes at a time: a byte below n is in word x
   * exactly when `(x - n*0x01010101) & ~x & 0x80808080` is not 0, and a byte equal to b is a zero byte of x ^ b
   * ("Bit Twiddling Hacks", S. E. Anderson). Flipping bit 1 moves the quote (0x22) to 0x20, below 0x21 beside the
   * control characters, and the space out of there. The order of bytes in a word does not matter here.
   */
  #runEnd(from: number): number {
    const { bytes } = this;
    const end = bytes.length;
    const words = this.#words;
    const phase = this.#phase;
    let at = from;
    while (((at + phase) & 3) !== 0) {
      if (at >= end || endsRun[bytes[at] ?? 0] === 1) return at;
      at++;
    }
    // two words a round, because the loop's own work would cost as much as one; the bytes of the last round follow
    const last = words.length - 1;
    let word = (at + phase) >> 2;
    for (; word < last; word += 2) {
      const x = words[word] ?? 0;
      const y = words[word + 1] ?? 0;
      const hitX = (((x ^ 0x02020202) - 0x21212121) | ((x ^ 0x5c5c5c5c) - 0x01010101)) & ~x;
      const hitY = (((y ^ 0x02020202) - 0x21212121) | ((y ^ 0x5c5c5c5c) - 0x01010101)) & ~y;
      if (((hitX | hitY) & 0x80808080) !== 0) break;
    }
    at = (word << 2) - phase;
    while (at < end && endsRun[bytes[at] ?? 0] !== 1) at++;
    return at;
  }
}
