/** What a prompt has beside its texts, where nobody has counted it. Tokens. */

/** Of a chat template around one message. */
export const perMessage = 8;
/** The same around all of them. */
export const around = 16;
/** Room for an answer whose length the client does not limit. */
export const usualAnswer = 256;
