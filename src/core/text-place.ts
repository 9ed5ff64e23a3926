/** A stretch of text inside a request body. */

export interface TextPlace {
  /** RFC 6901 pointer of the JSON string that holds it. */
  readonly pointer: string;
  /** UTF-16 offsets into the decoded string. */
  readonly start: number;
  readonly end: number;
}
