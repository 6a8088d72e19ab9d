import { pathToFileURL } from 'node:url';

// Files that share a process, each with tests of its own of tap's one root.
for (const file of process.argv.slice(2)) await import(pathToFileURL(file).href);
