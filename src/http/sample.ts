/** Head and tail of a response, kept by reference while it streams past, for reading `usage` once at the end. */

const headBytes = 4 * 1024;
const tailBytes = 64 * 1024;

export interface Sample {
  add(chunk: Buffer): void;
  /** The first and the last bytes seen; they overlap or meet when the response was short. */
  take(): { readonly head: Uint8Array; readonly tail: Uint8Array };
}

/** Holds at most 4 KiB + 64 KiB and one chunk of slack; copies nothing until `take`. */
export function createSample(): Sample {
  return new ChunkSample();
}

class ChunkSample implements Sample {
  #head: Buffer[] = [];
  #headLength = 0;
  /** Ring by index: chunks before `#first` have left the tail. */
  #tail: Buffer[] = [];
  #first = 0;
  #tailLength = 0;

  add(chunk: Buffer): void {
    if (this.#headLength < headBytes) {
      const piece = chunk.subarray(0, headBytes - this.#headLength);
      this.#head.push(piece);
      this.#headLength += piece.length;
    }
    this.#tail.push(chunk);
    this.#tailLength += chunk.length;
    this.#shrink();
  }

  #shrink(): void {
    let oldest = this.#tail[this.#first];
    while (oldest !== undefined && this.#tailLength - oldest.length >= tailBytes) {
      this.#tailLength -= oldest.length;
      this.#first += 1;
      oldest = this.#tail[this.#first];
    }
    if (this.#first > 256 && this.#first * 2 > this.#tail.length) {
      this.#tail = this.#tail.slice(this.#first);
      this.#first = 0;
    }
  }

  take(): { head: Uint8Array; tail: Uint8Array } {
    const tail = Buffer.concat(this.#tail.slice(this.#first), this.#tailLength);
    return {
      head: Buffer.concat(this.#head, this.#headLength),
      tail: tail.length > tailBytes ? tail.subarray(tail.length - tailBytes) : tail,
    };
  }
}
