/** llmlingua against the Python reference on the same weights: see divergences.ts for the rest. */
import { describeReference } from './compare.ts';

describeReference(['llmlingua'], 'quick');
