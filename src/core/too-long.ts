/** A prompt that a backend refused because of its length. */

export class TooLong extends Error {
  /** Context window and length of the prompt in the backend's tokens; null = it did not say. */
  readonly limit: number | null;
  readonly prompt: number | null;

  constructor(facts: { readonly limit: number | null; readonly prompt: number | null }) {
    super('The backend refused the length of a prompt');
    this.name = 'TooLong';
    this.limit = facts.limit;
    this.prompt = facts.prompt;
  }
}
