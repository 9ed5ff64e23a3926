/** Entry of the command line; `bin/sluice.js` imports the compiled form of this file. */
import { endOnBrokenPipe } from './io.ts';
import { runProgram } from './program.ts';

endOnBrokenPipe();
process.exitCode = await runProgram(process.argv.slice(2));
