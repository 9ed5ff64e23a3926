/** What a structural method makes of a text: units that stay or go, and what they are worth. */
import type { Steps } from '../../core/steps.ts';
import type { UnitSegment } from '../select.ts';

/**
 * Units of one text with their worth. `forced` units are what the syntax needs. Null = the text is not what its
 * content kind says, or too irregular to be sure: it comes back whole.
 */
export type UnitPlan = Omit<UnitSegment, 'text' | 'encoding'>;

export type Planner = (text: string, question: string) => Steps<UnitPlan | null>;
