/** Property tests draw the same cases in every run; `SLUICE_TEST_SEED=n` (or `random`) draws others. */
import fc from 'fast-check';

const wanted = process.env['SLUICE_TEST_SEED'] ?? '20261121';
if (wanted !== 'random') fc.configureGlobal({ seed: Number(wanted) });
