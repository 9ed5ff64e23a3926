/** One unit of text and where it stands. */
export interface PoolUnit {
  readonly text: string;
  /** Document it belongs to, from 0. The messages of one conversation are one document. */
  readonly document: number;
  /** Paragraph inside its document and position inside that paragraph, from 0. */
  readonly paragraph: number;
  readonly position: number;
  /** Ordinal of the turn of a conversation that it stands in, from 0; null outside of conversations. */
  readonly turn: number | null;
}
