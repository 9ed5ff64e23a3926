/** The pure parts of windows as one object, for the gateway. */
import { recordPrompt } from './records.ts';
import { runWindows } from './run.ts';
import { renderWindow, splitWindows } from './split.ts';
import type { WindowTools } from './types.ts';

/** @param relevance how relevant each text is for a question; higher is better */
export function createWindowTools(relevance: WindowTools['relevance']): WindowTools {
  return { split: splitWindows, render: renderWindow, relevance, recordPrompt, run: runWindows };
}
