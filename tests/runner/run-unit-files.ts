import { pathToFileURL } from 'node:url';

// Files that share a process, each with tests of its own under tap's one root. It names its folder of
// fixtures by the arguments, which are too many for that.
for (const file of process.argv.splice(2)) await import(pathToFileURL(file).href);
